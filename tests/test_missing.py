"""Cases that lack different modalities, and one segmenter of all, from raw scans to the audit, on a tiny phantom."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from enrich import index
from enrich.audit.__main__ import audit
from tests.test_workflow import CONFIG, copy_project, snakemake

NAMES = ["flair", "t1ce"]
RUN = CONFIG | {
    "data": {"reader": "brats", "release": "2021", "phantom": {"patients": 6, "slices": 8, "size": 64, "seed": 1}},
    "modalities": NAMES,
    "target": "whole_tumour",
    "structures": ["whole_tumour"],
    "methods": {"stargan": CONFIG["methods"]["stargan"]},
    "controls": ["single", "oracle"],
}
DESIGNS = {
    "missing": {"missing": {"source": ["flair"], "simulate": {"t1ce": 0.5}}},
    "unified": {"segmentation": "unified"},
    "transfer": {"segmentation": "transfer", "transfer_from": ["flair"]},
    "precomputed": {
        "missing": {"source": "mean", "simulate": {"t1ce": 0.5}},
        "methods": {"mine": {"method": "precomputed", "folder": "results/unified/synthetic/stargan/seed0"}},
    },
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    copy = tmp_path_factory.mktemp("missing")
    copy_project(copy)
    return copy


@pytest.fixture(scope="module")
def run_of(project):
    """Return the folder of the finished run of a design."""
    made = {}

    def run(name) -> Path:
        if name not in made:
            if name == "precomputed":
                run("unified")
            config = RUN | {"run": name} | DESIGNS[name]
            done = snakemake(
                project, f"results/{name}/{'report/index.html' if 'missing' in config else 'audit.json'}", config=config
            )
            assert done.returncode == 0, done.stderr[-5000:]
            made[name] = project / "results" / name
        return made[name]

    return run


def dataset(root, name):
    return json.loads((root / "nnunet" / name / "raw/Dataset001_enriched/dataset.json").read_text())


def names(path):
    table = index.read(path, ("case", "modality"))
    return set(zip(table["case"], table["modality"], strict=True))


@pytest.mark.parametrize("design", DESIGNS)
def test_every_row_scores_every_test_scan(run_of, design):
    root = run_of(design)
    scores = pd.read_csv(root / "scores/segmentation.csv", dtype=str)
    scans, who = index.read(root / "scans.csv", index.SCANS), json.loads((root / "splits.json").read_text())
    tests = scans[scans["patient"].isin(who["test"])]
    expected = set(zip(tests["case"], tests["modality"], strict=True))
    assert set(scores["method"]) == {"single", "oracle", "mine" if design == "precomputed" else "stargan"}
    for _, own in scores.groupby("method"):
        assert set(zip(own["case"], own["modality"], strict=True)) == expected
        assert len(own) == len(expected)


def test_a_case_keeps_its_scans_and_lacks_what_was_dropped(run_of):
    root = run_of("missing")
    kept, dropped = names(root / "scans.csv"), names(root / "dropped.csv")
    assert len(dropped) == 3
    assert {modality for _, modality in dropped} == {"t1ce"}
    filled = index.read(root / "filled/stargan/seed0/index.csv", ("case", "source", "target", "of"))
    for row in filled.to_dict("records"):
        has = (row["case"], row["target"]) in kept
        assert row["of"] == ("real" if has else "flair")
    channels = dataset(root, "flair/stargan-seed0")["channel_names"]
    assert channels == {"0": "FLAIR", "1": "real or synthetic T1ce"}
    assert dataset(root, "flair/oracle")["channel_names"] == {"0": "FLAIR", "1": "T1ce"}
    assert dataset(root, "t1ce/single")["numTraining"] < dataset(root, "flair/single")["numTraining"]


def test_the_report_shows_what_the_segmenters_got(run_of):
    root = run_of("missing")
    page = (root / "report/index.html").read_text()
    data = json.loads(re.search(r'<script type="application/json" id="slices-data">(.*?)</script>', page, re.DOTALL)[1])
    kept, seen = names(root / "scans.csv"), set()
    for scan in data["scans"]:
        case, modality = scan["source"].split()
        by = {method["title"]: [channel["title"] for channel in method["channels"]] for method in scan["methods"]}
        other, title = ("t1ce", "T1ce") if modality == "flair" else ("flair", "FLAIR")
        has = (case, other) in kept
        seen.add(has)
        assert by == {
            "Single": [],
            "Oracle": [f"{title} channel"],
            "StarGAN": [f"real {title} channel" if has else f"synthetic {title} channel, made of FLAIR"],
        }
    assert seen == {True, False}


def test_scans_made_elsewhere_fill_what_is_missing(run_of):
    root = run_of("precomputed")
    filled = index.read(root / "filled/mine/seed0/index.csv", ("case", "source", "target", "of"))
    assert set(filled["of"]) == {"real", "flair"}
    told = [json.loads(path.read_text()) for path in (root / "synthetic/mine/seed0").glob("*.json")]
    assert told
    assert all(one["fit"] == "all" and one["precomputed_sha256"] for one in told)
    assert "mine" in (root / "tables/translation.md").read_text()


def test_one_segmenter_takes_the_cases_of_all_modalities_in_one_order(run_of):
    root = run_of("unified")
    told = dataset(root, "pooled/stargan-seed0")
    assert told["channel_names"] == {"0": "real or synthetic FLAIR", "1": "real or synthetic T1ce"}
    assert {name.rpartition("_")[2] for name in told["dataset"]} == set(NAMES)
    for name, case in told["dataset"].items():
        own = name.rpartition("_")[2]
        real = ["/scans/" in image for image in case["images"]]
        assert real == [modality == own for modality in NAMES]
    assert not (root / "nnunet/flair/stargan-seed0/preprocessed").exists()
    oracle = dataset(root, "pooled/oracle")["dataset"]
    assert {name.rpartition("_")[2] for name in oracle} == {"flair"}  # the same images under t1ce are not taken twice


def test_only_labels_of_one_modality_train(run_of):
    root = run_of("transfer")
    told = dataset(root, "pooled/stargan-seed0")
    assert {name.rpartition("_")[2] for name in told["dataset"]} == {"flair"}
    slices = pd.read_csv(root / "slices/index.csv")
    assert slices.groupby("modality")["labelled"].agg(set).to_dict() == {"flair": {1}, "t1ce": {0}}


@pytest.fixture
def copied(run_of, tmp_path):
    """Return a copy of the run with missing scans, of links: files are replaced and never written into."""
    root = tmp_path / "results" / "missing"
    shutil.copytree(run_of("missing"), root, symlinks=True)
    return root


def found_in(root):
    return [line for check in audit(root, 1)[1] for line in check.found]


def test_a_dropped_scan_that_came_back(copied):
    dropped = pd.read_csv(copied / "dropped.csv", dtype=str)
    kept = pd.read_csv(copied / "scans.csv", dtype=str)
    index.write(pd.concat([kept, dropped[:1]]), copied / "scans.csv")
    expected = f"found a t1ce of {dropped['case'].iloc[0]}, expected the draw of the config"
    assert any(line.endswith(expected) for line in found_in(copied))


def test_a_channel_filled_with_a_dropped_scan(copied):
    dropped = pd.read_csv(copied / "dropped.csv", dtype=str).iloc[0]
    path = copied / "filled/stargan/seed0/index.csv"
    filled = pd.read_csv(path, dtype=str)
    place = (filled["case"] == dropped["case"]) & (filled["target"] == "t1ce")
    filled.loc[place, ["image", "sha256"]] = [f"../../../{dropped['image']}", dropped["image_sha256"]]
    index.write(filled, path)
    assert any(f"the dropped {dropped['case']} t1ce" in line for line in found_in(copied))


def test_a_channel_of_another_source_than_configured(copied):
    path = copied / "filled/stargan/seed0/index.csv"
    filled = pd.read_csv(path, dtype=str)
    filled.loc[filled["of"] == "flair", "of"] = "real"
    index.write(filled, path)
    assert any("with t1ce of real, expected flair" in line for line in found_in(copied))


def test_a_channel_of_another_patient(copied):
    path = copied / "filled/stargan/seed0/index.csv"
    filled = pd.read_csv(path, dtype=str)
    first, second = filled[filled["of"] == "flair"].index[:2]
    told = ["image", "sha256"]
    filled.loc[first, told], filled.loc[second, told] = filled.loc[second, told].copy(), filled.loc[first, told].copy()
    index.write(filled, path)
    expected = f"{filled['case'][first]} flair with t1ce of flair, another image, expected the image of that case"
    assert any(expected in line for line in found_in(copied))


def test_a_translation_compared_with_a_dropped_scan(copied):
    path = copied / "translations/stargan/seed0/all/scores.csv"
    scores = pd.read_csv(path, dtype=str)
    dropped = pd.read_csv(copied / "dropped.csv", dtype=str)
    place = scores["case"].isin(dropped["case"]) & (scores["target"] == "t1ce")
    scores.loc[place, "ssim"] = "0.5"
    index.write(scores, path)
    assert place.any()
    assert any("its t1ce, which was dropped, expected not compared" in line for line in found_in(copied))


def test_a_slice_of_a_dropped_scan(copied):
    dropped = pd.read_csv(copied / "dropped.csv", dtype=str).iloc[0]
    path = copied / "slices/index.csv"
    slices = pd.read_csv(path, dtype=str)
    index.write(pd.concat([slices, slices[:1].assign(case=dropped["case"], modality="t1ce")]), path)
    assert any(f"the dropped t1ce of {dropped['case']}, expected no slice of it" in line for line in found_in(copied))
