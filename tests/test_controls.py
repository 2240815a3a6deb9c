"""Controls, outer folds and a label budget from raw scans to the audited report, without any GAN, on a tiny phantom."""

import json

import pandas as pd
import pytest

from tests.test_workflow import CONFIG, copy_project, snakemake

CONTROLS = CONFIG | {
    "run": "controls",
    "data": {"reader": "brats", "release": "2021", "phantom": {"patients": 4, "slices": 8, "size": 64, "seed": 1}},
    "modalities": ["flair", "t1ce"],
    "target": "whole_tumour",
    "split": {"watch": 0},
    "outer_folds": 2,
    "methods": {},
    "controls": ["single", "pooled", "oracle"],
    "label_fractions": [0.5],
}
FULL = {"single", "pooled", "oracle"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    copy = tmp_path_factory.mktemp("project")
    copy_project(copy)
    done = snakemake(copy, "all", config=CONTROLS)
    assert done.returncode == 0, done.stderr[-5000:]
    return copy / "results" / "controls"


def test_every_row_scores_every_patient_once(project):
    scores = pd.read_csv(project / "scores" / "segmentation.csv")
    everyone = sorted(pd.read_csv(project / "scans.csv")["patient"].unique())
    for _, own in scores.groupby(["method", "modality", "structure"]):
        assert sorted(own["patient"]) == everyone
    assert set(scores["method"]) == {*FULL, "single@labels50"}
    table = pd.read_csv(project / "tables" / "segmentation.csv")
    assert set(table["method"]) == FULL
    assert (table["patients"] == 4).all()


def test_the_oracle_has_both_real_channels_and_pooled_the_scans_of_both(project):
    outer = project / "outer0" / "nnunet"
    facts = {name: json.loads(path.read_text()) for name, path in datasets(outer)}
    assert len(facts["flair/oracle"]["channel_names"]) == 2
    assert facts["pooled/single"]["numTraining"] == 2 * facts["flair/single"]["numTraining"] == 4
    assert facts["flair/single-labels50"]["numTraining"] == 1


def datasets(folder):
    for path in folder.glob("*/*/raw/Dataset001_enriched/dataset.json"):
        modality, channels = path.relative_to(folder).parts[:2]
        yield f"{modality}/{channels}", path


def test_the_run_is_audited_and_reported(project):
    audit = json.loads((project / "audit.json").read_text())
    assert audit["passed"]
    names = ["segmentation", "comparisons", "cost"]
    assert all((project / "tables" / f"{name}.{suffix}").is_file() for name in names for suffix in ("csv", "md", "tex"))
    page = (project / "report" / "index.html").read_text()
    assert all(words in page for words in ("Pooled real", "Oracle", "Label budget"))
    assert (project / "figures" / "label_budget.png").is_file()
    assert "Single | 50 %" in (project / "tables" / "label_budget.md").read_text()
