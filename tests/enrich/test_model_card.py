"""What a model card says of its data is what was recorded when its models were trained."""

import pandas as pd
import pytest

from enrich import export, index, model_card, structures
from enrich.columns import SEGMENTATION
from gan import checkpoint
from gan.errors import InputError
from gan.files import publish_json


@pytest.fixture
def results(tmp_path):
    scans = [(f"p{n}_{time}", f"p{n}", modality) for n in range(4) for time in "ab" for modality in ("t1", "t2")]
    rows = pd.DataFrame(scans, columns=["case", "patient", "modality"])
    index.write(rows.reindex(columns=index.SCANS, fill_value=""), tmp_path / "scans.csv")
    return tmp_path


def test_cases_and_patients_are_counted_in_what_trained(results, monkeypatch):
    """A share of the labels, one segmenter of all, further synthetic cases, and models of folds."""
    single, pooled = results / "single.json", results / "pooled.json"
    publish_json(single, {"dataset": {"p1_a": {}, "p1_b": {}, "x": {}}, "synthetic_cases": ["x"]})
    publish_json(pooled, {"dataset": {"p1_a_t1": {}, "p1_b_t2": {}, "p2_a_t2": {}}})
    recorded = {"one.pt": ["p1", "p2"], "two.pt": ["p2", "p3"]}
    known = {name: {"config": {"patients": patients, "torch": "2.0"}} for name, patients in recorded.items()}
    monkeypatch.setattr(checkpoint, "load", known.__getitem__)
    trained = model_card.Trained(results, {"t1": single}, list(known))
    assert list(trained.lines(results / "scans.csv")) == [
        "the segmenter of T1w: 2 cases of 1 patients, and 1 synthetic cases",
        "the translator: 3 patients",
    ]
    trained = model_card.Trained(results, {"t1": pooled, "t2": pooled}, [])
    assert list(trained.lines(results / "scans.csv")) == ["the segmenter of T1w, T2w: 3 cases of 2 patients"]


def test_versions_are_those_of_the_training(results):
    folder = results / "nnunet/t1"
    folder.mkdir(parents=True)
    (folder / "model.json").write_text('{"versions": {"nnunetv2": "2.8.0"}}')
    assert list(model_card.Trained(results, {}, []).versions()) == [
        "segmenter, trained with nnU-Net: 2.8.0",
        "segmenter, trained with torch: not recorded",
    ]


def test_scores_are_of_those_who_test_in_the_split_of_the_models(results):
    rows = [
        {"patient": patient, "method": "stargan", "structure": "liver", "modality": "t1", "dice_percent": dice}
        for patient, dice in (("p0", 10.0), ("p1", 30.0))
    ]
    table = pd.DataFrame(rows).assign(case="c", seed=0, note="")
    index.write(table.reindex(columns=SEGMENTATION.columns), results / "scores/segmentation.csv")
    card = model_card._scores(results, "stargan", ["p1", "p2"])
    assert card.splitlines()[-1] == "| liver | T1w | 1 | 30.00 |"
    with pytest.raises(InputError, match="found no score of stargan on p2"):
        model_card._scores(results, "stargan", ["p2"])


@pytest.mark.parametrize(
    ("data", "modality", "values"),
    [
        ({"reader": "brats", "release": "2021"}, "flair", {"whole_tumour": (1, 2, 4), "enhancing_tumour": (4,)}),
        ({"reader": "brats", "release": "2023"}, "flair", {"whole_tumour": (1, 2, 3), "enhancing_tumour": (3,)}),
        ({"reader": "chaos"}, "ct", {"liver": (1,)}),
        ({"reader": "table", "structures": {"tumour": [4, 5]}}, "t1", {"tumour": (4, 5)}),
    ],
)
def test_values_are_those_in_the_files_of_the_release(results, data, modality, values):
    chosen = structures.parts(values, list(values))[1]
    structures.Structures(tuple(values)[:1], {modality: chosen}).write(results / "scans.csv")
    found = export.label_values({"modalities": [modality], "data": data}, results)[modality]
    assert {name: found[name] for name in values} == values


def test_values_that_the_run_was_not_prepared_with(results):
    structures.Structures(("tumour",), {"t1": {"tumour": (1, 2)}}).write(results / "scans.csv")
    config = {"modalities": ["t1"], "data": {"reader": "table", "structures": {"tumour": [4]}}}
    with pytest.raises(InputError, match=r"structures\.json: found"):
        export.label_values(config, results)
