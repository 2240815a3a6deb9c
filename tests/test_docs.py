"""The worked examples of `docs`: each ends with a report, a passed audit and the next patient."""

import json

import pandas as pd
import pytest

from tests.examples import EXAMPLES, ROOT, run_example


@pytest.fixture(scope="module", params=["brats", "your-nnunet-data"])  # that of CHAOS is run by test_bundle.py
def example(request, tmp_path_factory):
    """Run an example; return its name, its folder and what its commands printed."""
    project = tmp_path_factory.mktemp(request.param)
    return request.param, project, run_example(request.param, project)


def test_an_example_ends_with_the_next_patient(example):
    name, project, printed = example
    (study,) = project.glob("my-*.yaml")
    results = project / "results" / study.stem
    assert json.loads((results / "audit.json").read_text())["passed"]
    assert (results / "report/index.html").is_file()
    assert list((project / "out").glob("*/*_segmentation.nii.gz"))
    assert any("spacing_mm" in text for text in printed)  # of enrich.check
    scores = pd.read_csv(results / "scores/segmentation.csv")
    assert "stargan" in set(scores["method"])
    if name == "brats":
        table = pd.read_csv(results / "tables/availability.csv")
        assert (table["state"] == "dropped").sum() == 4
        assert "oracle" in set(scores["method"])
    else:
        assert list(pd.read_csv(project / "out/scores.csv").columns) == list(scores.columns)
        assert len(json.loads((results / "splits.json").read_text())["unlabelled"]) == 1


def test_every_page_is_run():
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} == {*EXAMPLES, "README"}
