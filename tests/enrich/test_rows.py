from pathlib import Path

import pytest

from enrich.config import resolve
from enrich.rows import compared, data_set, rows
from gan.errors import InputError

GIVEN = {
    "data": {"reader": "chaos", "phantom": {}},
    "modalities": ["ct", "t1"],
    "target": "liver",
    "structures": ["liver"],
    "controls": ["single"],
}
SOURCE = Path("study.yaml")


def rows_of(**keys):
    return {row.name: row for row in rows(resolve(GIVEN | keys, SOURCE))}


def test_a_translator_has_one_row():
    found = rows_of(methods={"stargan": {}, "thin": {"method": "targan"}})
    assert list(found) == ["single", "stargan", "thin"]
    assert (found["stargan"].title, found["thin"].title) == ("StarGAN", "thin")
    assert {row.segmenter for row in found.values()} == {"nnunet"}
    assert [row.channels(3) for row in found.values()] == ["single", "stargan-seed3", "thin-seed3"]
    assert [row.labels_used for row in found.values()] == ["–", "none", "all modalities"]


def test_a_method_that_segments_has_its_own_row_and_a_twin_with_nnunet():
    found = rows_of(methods={"uagan": {}})
    assert list(found) == ["single", "uagan", "uagan-nnunet"]
    own, twin = found["uagan"], found["uagan-nnunet"]
    assert (own.segmenter, own.channels(0), own.title) == ("uagan", "single", "UAGAN")
    assert (twin.segmenter, twin.channels(0), twin.title) == ("nnunet", "uagan-seed0", "UAGAN + nnU-Net")


def test_compositions():
    found = rows_of(
        methods={"stargan": {}, "segan": {}},
        compositions={
            "stargan-segan": {"translator": "stargan", "segmenter": "segan"},
            "ada": {"translator": "stargan", "use": "cases"},
        },
    )
    assert list(found) == ["single", "stargan", "segan", "stargan-segan", "ada"]
    assert (found["segan"].segmenter, found["segan"].channels(1)) == ("segan", "single")
    together, ada = found["stargan-segan"], found["ada"]
    assert (together.segmenter, together.channels(1), together.title) == ("segan", "stargan-seed1", "StarGAN + SegAN")
    assert (ada.segmenter, ada.channels(1), ada.title) == ("nnunet", "stargan-cases-seed1", "ADA of StarGAN")
    assert (together.labels_used, ada.labels_used, found["segan"].labels_used) == ("none", "all modalities", "–")


def test_labels_used_follow_the_keys_that_turn_them_off():
    found = rows_of(
        methods={
            "off": {"method": "csgan", "weights": {"shape": 0}},
            "half": {"method": "csgan"},
            "thin": {"method": "targan", "target_stream": False},
        }
    )
    assert [found[f"{name}-nnunet"].labels_used for name in ("off", "half")] == ["none", "all modalities"]
    assert found["off"].labels_used == "all modalities"  # its segmentors read them all the same
    assert found["thin"].labels_used == "none"


@pytest.mark.parametrize(
    ("compositions", "message"),
    [
        ({"x": {"translator": "nobody"}}, "compositions.x.translator: found nobody, expected one of stargan"),
        ({"x": {"translator": "segan"}}, "compositions.x.translator: found segan"),
        ({"x": {"translator": "stargan", "segmenter": "targan"}}, "x.segmenter: found targan, expected one of nnunet"),
        ({"x": {"translator": "stargan", "segmenter": "segan", "use": "cases"}}, "expected nnunet"),
        ({"stargan": {"translator": "stargan"}}, "found the name of a method"),
        ({"x": {"translator": "stargan"}}, "compositions.x: found what stargan is already, expected another row"),
        ({"few-cases-x": {"translator": "stargan", "use": "cases"}}, "compositions: found 'few-cases-x' should not"),
    ],
)
def test_a_composition_of_nothing_is_named(compositions, message):
    with pytest.raises(InputError, match=message):
        rows_of(methods={"stargan": {}, "segan": {}}, compositions=compositions)


def test_what_is_no_method_of_a_study():
    with pytest.raises(InputError, match="found method conditional_segmentor, expected one of targan"):
        rows_of(methods={"conditional_segmentor": {}})


def test_budgets_are_further_rows_of_nnunet():
    found = rows_of(
        controls=["single", "zero", "pooled"],
        methods={"uagan": {}},
        compositions={"ada": {"translator": "uagan", "use": "cases"}},
        label_fractions=[0.25],
        synthetic_fractions=[0.5],
    )
    full = ["single", "zero", "pooled", "uagan", "uagan-nnunet", "ada"]
    budgeted = ["single@labels25", "uagan-nnunet@labels25"]
    budgeted += ["ada@synthetic50", "ada@labels25", "ada@labels25@synthetic50"]
    assert list(found) == [*full, *budgeted]
    assert [name for name, row in found.items() if row.full] == full
    assert found["single@labels25"].channels(0) == "single-labels25"
    assert found["single@labels25"].title == "Single, 25 % of labels"
    assert found["uagan-nnunet@labels25"].channels(2) == "uagan-seed2-labels25"
    assert found["ada@labels25@synthetic50"].channels(0) == "uagan-cases-seed0-labels25-synthetic50"
    assert found["pooled"].labels_used == "all modalities"


def test_primary_comparisons_are_of_rows_of_full_budget_unless_others_are_named():
    config = resolve(GIVEN | {"methods": {"stargan": {}, "targan": {}}, "label_fractions": [0.5]}, SOURCE)
    assert compared(config, rows(config)) == ["stargan", "targan"]
    config["statistics"]["methods"] = ["targan"]
    assert compared(config, rows(config)) == ["targan"]
    config["statistics"]["methods"] = ["targan@labels50"]
    assert compared(config, rows(config)) == ["targan@labels50"]
    config["statistics"]["methods"] = ["targan@labels25"]
    with pytest.raises(InputError, match=r"statistics\.methods: found targan@labels25, expected one of single, "):
        compared(config, rows(config))
    config["statistics"]["reference"] = "zero"
    with pytest.raises(InputError, match=r"statistics\.reference: found zero"):
        compared(config, rows(config))


def test_an_entry_may_be_called_like_a_control():
    config = resolve(GIVEN | {"methods": {"single-gan": {"method": "stargan"}}, "segmentation": "unified"}, SOURCE)
    assert data_set(config, "t1", "single-gan-seed0") == "pooled/single-gan-seed0"
    assert data_set(config, "t1", "single-labels50") == "t1/single-labels50"


def test_with_transfer_no_method_reads_labels():
    transfer = {"segmentation": "transfer", "transfer_from": ["ct"]}
    given = {"method": "precomputed", "folder": "elsewhere"}
    found = rows_of(methods={"stargan": {}, "mine": given}, **transfer)
    assert found["stargan"].labels_used == "CT"
    assert found["mine"].labels_used == "CT; its own unknown"
    for name, keys in (("targan", {}), ("segan", {}), ("csgan", {"weights": {"shape": 0}})):
        with pytest.raises(InputError, match=f"methods.{name}: found a method that reads those of"):
            rows_of(methods={name: keys}, **transfer)
