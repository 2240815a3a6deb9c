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
import yaml

from enrich.datasets import phantom_brats, phantom_chaos
from tests import planted, warm
from tests.test_workflow import CONFIG, ROOT, copy_project
from tests.warm import OFFLINE

DOWNLOAD = ROOT / "workflow/rules/download.smk"
NAMES = ("-rf", "--help", "NA", "nan", "007", "None", "1e3", "a..b", "_")
"""Of cases, as far as they are allowed: what a shell, a parser or a table might take for something else."""
FOLDER = "data/it's $(touch PWNED) `touch PWNED`; touch PWNED & | * \" $HOME <img src=x onerror=alert(1)>"
SMALL = {
    "image_size": 64,
    "methods": {"stargan": CONFIG["methods"]["stargan"]},
    "nnunet": CONFIG["nnunet"],
    "threads": 1,
}


def write_chaos(project):
    phantom_chaos.write(phantom_chaos.Settings(3, 3, 10, 64, 1), project / "data/CHAOS_Train_Sets")
    record = {"url": "", "sha256": re.search(r'CHAOS_SHA256 = "(\w+)"', DOWNLOAD.read_text())[1]}
    planted.into_dicom(project / "data/CHAOS_Train_Sets")
    (project / "data/CHAOS_Train_Sets/download.json").write_text(json.dumps(record))  # as if it had been fetched


def write_brats(project, patients=8):
    phantom_brats.write(phantom_brats.Settings(patients, 8, 64, 1), project / "data/BraTS2021_Training_Data")
    planted.into_nifti(project / "data/BraTS2021_Training_Data")


def write_nnunet(project):
    """Write some cases of a BraTS phantom as a raw data set in which one case in three lacks T1ce, another FLAIR.

    The last case has no label.
    """
    write_brats(project, patients=9)
    folder = project / FOLDER
    folder.mkdir()
    (project / "data/Dataset137_Tumour").symlink_to(folder)
    names, rows = ["flair", "t1ce"], []
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / name).mkdir(parents=True)
    cases = sorted((project / "data/BraTS2021_Training_Data").glob("BraTS*"))
    for number, (name, case) in enumerate(zip(NAMES, cases, strict=True)):
        label = folder / "labelsTr" / f"{name}.nii.gz"
        if number < 8:
            label.symlink_to(case / f"{case.name}_seg.nii.gz")
        for channel, modality in enumerate(names):
            if number % 3 != channel + 1:
                image = case / f"{case.name}_{modality}.nii.gz"
                where = folder / ("imagesTr" if number < 8 else "imagesTs")
                (where / f"{name}_{channel:04d}.nii.gz").symlink_to(image)
                rows.append((name, modality, image, label if number < 8 else ""))
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
    "chaos": (
        write_chaos,
        {"modalities": ["ct", "t1"], "structures": ["liver"], "correction": {"ct_field_of_view_mm": 200}},
    ),
    "brats": (
        write_brats,
        {"modalities": ["flair", "t1ce", "t2"], "structures": ["whole_tumour"], "controls": ["single", "oracle"]},
    ),
    "your-nnunet-data": (write_nnunet, {"data": {"reader": "nnunet_raw", "folder": FOLDER}}),
}


def blocks(page: Path) -> list[str]:
    """Return the commands of a page, block by block."""
    found = re.findall(r"(?:^ {4}.*\n)+", page.read_text(), re.MULTILINE)
    return [re.sub(r"^ {4}", "", block, flags=re.MULTILINE) for block in found]


def run_example(name: str, project: Path) -> list[str]:
    """Run the commands of a page in a copy of the project; return what each printed."""
    copy_project(project)
    write, small = EXAMPLES[name]
    write(project)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | warm.environment(project) | {"PATH": path}
    printed = []
    for commands in blocks(ROOT / "docs" / f"{name}.md"):
        before, _, study = commands.partition("snakemake --cores 8")
        for part in (before, f"snakemake --cores 2 {study}" if study else ""):
            done = subprocess.run(
                [*OFFLINE, "bash", "-ec", part],
                cwd=project,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{part}\n{done.stdout[-2000:]}\n{done.stderr[-5000:]}"
            (project / "said.txt").open("a").write(done.stdout + done.stderr)
            printed.append(done.stdout)
            for config in project.glob("my-*.yaml"):
                config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | SMALL | small))
    return printed
