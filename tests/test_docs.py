"""The worked examples of `docs`: each ends with a report, a passed audit and the next patient."""

import json
import subprocess
import sys

import pandas as pd
import pytest

from tests import planted
from tests.examples import EXAMPLES, NAMES, ROOT, run_example
from tests.warm import OFFLINE


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


def test_nobody_is_named_in_what_a_study_leaves_behind(example):
    """Free text of the NIfTI headers, in any file."""
    _, project, _ = example
    found = planted.found_below(project)
    assert {path.partition("/")[0] for path in found} == {"data", "tests"}, found


def test_names_from_data_and_config_are_only_names(example):
    """Of cases and of the folder: nothing that a shell could make of them was made, and the page shows them as text."""
    name, project, _ = example
    assert not list(project.rglob("*PWNED"))
    if name == "your-nnunet-data":
        scans = pd.read_csv(project / "results/my-tumours/scans.csv", dtype=str, keep_default_na=False)
        assert set(scans["case"]) == set(NAMES)
        scores = pd.read_csv(project / "results/my-tumours/scores/segmentation.csv", dtype=str, keep_default_na=False)
        who = json.loads((project / "results/my-tumours/splits.json").read_text())
        assert set(scores["case"]) == set(who["test"])
        page = (project / "results/my-tumours/report/index.html").read_text()
        assert "&lt;img src=x" in page  # of the folder, in the config
        assert "<img src=x" not in page


def test_the_examples_need_no_network():
    if not OFFLINE:
        pytest.skip("no network namespaces here")
    code = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    done = subprocess.run([*OFFLINE, sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "unreachable" in done.stderr


def test_every_page_is_run():
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} == {*EXAMPLES, "README"}
