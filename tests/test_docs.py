"""The worked examples of `docs`, command by command, on phantoms in the layouts that they are about.

Only the sizes of networks, images and trainings are changed, in the config that an example has just written.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from enrich.datasets import phantom_brats, phantom_chaos
from tests.test_workflow import CONFIG, ROOT, copy_project

DOWNLOAD = ROOT / "workflow/rules/download.smk"
SMALL = {
    "image_size": 64,
    "methods": {"stargan": CONFIG["methods"]["stargan"]},
    "nnunet": CONFIG["nnunet"],
    "threads": 1,
}


def write_chaos(project):
    phantom_chaos.write(phantom_chaos.Settings(3, 3, 10, 64, 1), project / "data/CHAOS_Train_Sets")
    record = {"url": "", "sha256": re.search(r'CHAOS_SHA256 = "(\w+)"', DOWNLOAD.read_text())[1]}
    (project / "data/CHAOS_Train_Sets/download.json").write_text(json.dumps(record))  # as if it had been fetched


def write_brats(project, patients=8):
    phantom_brats.write(phantom_brats.Settings(patients, 8, 64, 1), project / "data/BraTS2021_Training_Data")


def write_nnunet(project):
    """Write some cases of a BraTS phantom as a raw data set in which one case in three lacks T1ce, another FLAIR.

    The last case has no label.
    """
    write_brats(project, patients=9)
    folder = project / "data/Dataset137_Tumour"
    names, rows = ["flair", "t1ce"], []
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / name).mkdir(parents=True)
    for number, case in enumerate(sorted((project / "data/BraTS2021_Training_Data").glob("BraTS*"))):
        label = folder / "labelsTr" / f"{case.name}.nii.gz"
        if number < 8:
            label.symlink_to(case / f"{case.name}_seg.nii.gz")
        for channel, modality in enumerate(names):
            if number % 3 != channel + 1:
                image = case / f"{case.name}_{modality}.nii.gz"
                where = folder / ("imagesTr" if number < 8 else "imagesTs")
                (where / f"{case.name}_{channel:04d}.nii.gz").symlink_to(image)
                rows.append((f"next{number}", modality, image, label if number < 8 else ""))
    told = {
        "channel_names": {"0": "FLAIR", "1": "T1ce"},
        "labels": {"background": 0, "whole tumour": [1, 2, 4], "tumour core": [1, 4], "enhancing tumour": 4},
        "regions_class_order": [2, 1, 4],
        "numTraining": 8,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(told))
    cohort = pd.DataFrame(rows, columns=["case", "modality", "image", "label"])
    cohort[cohort["label"] != ""].to_csv(project / "data/cases.csv", index=False)


EXAMPLES = {
    "chaos": (write_chaos, {"modalities": ["ct", "t1"], "structures": ["liver"], "controls": ["single"]}),
    "brats": (
        write_brats,
        {"modalities": ["flair", "t1ce", "t2"], "structures": ["whole_tumour"], "controls": ["single", "oracle"]},
    ),
    "your-nnunet-data": (write_nnunet, {}),
}


def blocks(page: Path) -> list[str]:
    """Return the commands of a page, block by block."""
    found = re.findall(r"(?:^ {4}.*\n)+", page.read_text(), re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in found]


@pytest.fixture(scope="module", params=EXAMPLES)
def example(request, tmp_path_factory):
    """Run an example; return its folder and what its commands printed."""
    project = tmp_path_factory.mktemp(request.param)
    copy_project(project)
    write, small = EXAMPLES[request.param]
    write(project)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed = {}
    for commands in blocks(ROOT / "docs" / f"{request.param}.md"):
        before, _, study = commands.partition("snakemake --cores 8")
        for part in (before, f"snakemake --cores 2 {study}" if study else ""):
            environment = os.environ | {"PATH": path, "PYTHONPATH": str(project)}
            done = subprocess.run(
                ["bash", "-ec", part], cwd=project, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{part}\n{done.stdout[-2000:]}\n{done.stderr[-5000:]}"
            printed[part] = done.stdout
            for config in project.glob("my-*.yaml"):
                config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | SMALL | small))
    return request.param, project, printed


def test_an_example_ends_with_the_next_patient(example):
    name, project, printed = example
    (study,) = project.glob("my-*.yaml")
    results = project / "results" / study.stem
    assert json.loads((results / "audit.json").read_text())["passed"]
    assert (results / "report/index.html").is_file()
    assert list((project / "out").glob("*/*_segmentation.nii.gz"))
    assert any("spacing_mm" in text for text in printed.values())  # of enrich.check
    scores = pd.read_csv(results / "scores/segmentation.csv")
    assert "stargan" in set(scores["method"])
    if name == "chaos":
        assert {path.name for path in (project / "out/case").iterdir()} >= {
            "ct_segmentation.nii.gz",
            "ct_segmentation.dcm",
            "ct_to_t1.nii.gz",
        }
    if name == "brats":
        table = pd.read_csv(results / "tables/availability.csv")
        assert (table["state"] == "dropped").sum() == 4
    if name == "your-nnunet-data":
        assert list(pd.read_csv(project / "out/scores.csv").columns) == list(scores.columns)
        assert len(json.loads((results / "splits.json").read_text())["unlabelled"]) == 1


def test_every_page_is_run():
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} == {*EXAMPLES, "README"}
