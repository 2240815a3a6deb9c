"""Cross-fitting, outer folds and label budgets through the DAG, on a tiny phantom."""

import json

import pandas as pd
import pytest

from gan import checkpoint
from tests.test_workflow import CONFIG, copy_project, planned, snakemake

DESIGN = CONFIG | {
    "run": "design",
    "data": {"reader": "brats", "release": "2021", "phantom": {"patients": 8, "slices": 8, "size": 64, "seed": 1}},
    "modalities": ["flair", "t1ce"],
    "target": "whole_tumour",
    "outer_folds": 2,
    "crossfit": 2,
    "methods": {"stargan": {"width": 4, "batch_size": 2, "rounds": 5}},
    "compositions": {"ada": {"translator": "stargan", "use": "cases"}},
    "controls": ["single", "pooled", "zero", "copy", "oracle"],
    "label_fractions": [0.5],
    "synthetic_fractions": [0.5],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    copy = tmp_path_factory.mktemp("project")
    copy_project(copy)
    indexes = [f"results/design/outer{k}/synthetic/stargan/seed0/index.csv" for k in range(2)]
    done = snakemake(copy, *indexes, config=DESIGN)
    assert done.returncode == 0, done.stderr[-5000:]
    return copy / "results" / "design"


def test_every_patient_tests_in_one_outer_fold(project):
    everyone = set(pd.read_csv(project / "scans.csv")["patient"])
    tests = [json.loads((project / f"outer{k}" / "splits.json").read_text())["test"] for k in range(2)]
    assert sorted(tests[0] + tests[1]) == sorted(everyone)


def test_no_patient_is_translated_by_a_model_that_saw_her(project):
    for outer in (project / f"outer{k}" for k in range(2)):
        rows = pd.read_csv(outer / "synthetic/stargan/seed0/index.csv")
        scans = pd.read_csv(project / "scans.csv").set_index("case")["patient"].to_dict()
        seen = {}
        for fit in ("all", "fold0", "fold1"):
            folder = outer / "gan/stargan/all/seed0" / ("" if fit == "all" else fit)
            seen[fit] = set(checkpoint.load(folder / "model.pt")["config"]["patients"])
        assert seen["all"] == seen["fold0"] | seen["fold1"]
        assert not seen["fold0"] & seen["fold1"]
        assert set(rows["fit"]) == {"all", "fold0", "fold1"}
        for row in rows.to_dict("records"):
            assert scans[row["case"]] not in seen[row["fit"]]


def test_the_whole_design_resolves(project):
    jobs = planned(project.parents[1], "all", config=DESIGN)
    channels = {wildcards[0] for rule, wildcards in jobs if rule == "nnunet_train"}
    shares = ["", "-labels50"]
    assert channels == {
        *("zero", "copy", "oracle"),
        *(f"{name}{share}" for name in ("single", "stargan-seed0") for share in shares),
        *(f"stargan-cases-seed0{share}{cases}" for share in shares for cases in ("", "-synthetic50")),
    }
    assert {rule for rule, _ in jobs} >= {
        "audit",
        "crossfit_table",
        "label_budget_table",
        "label_budget_figure",
        "html_report",
    }
