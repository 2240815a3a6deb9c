"""The small study and what nnU-Net's first two steps make of it, once for all tests."""

from pathlib import Path

import pytest
import torch

from enrich.nnunet.preprocess import preprocess

from .ada import write_cases, write_preprocessed, write_single_dataset
from .study import PATIENTS, Study, abdomen, translated, write_dataset, write_study


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Let this process compute as the programs do in their own."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    root = tmp_path_factory.mktemp("study")
    everyone = [patient for patients in PATIENTS.values() for patient in patients]
    images = {patient: abdomen(seed) for seed, patient in enumerate(everyone)}
    return write_study(root, images, translated, "ct", "t1")


@pytest.fixture(scope="session")
def raw(study: Study) -> Path:
    """`dataset.json` of CT and synthetic T1w, with folds."""
    return write_dataset(study, study.root / "nnunet", "ct", "t1", folds="0")


@pytest.fixture(scope="session")
def preprocessed(raw: Path) -> Path:
    """`preprocessed.json` of it, with nnU-Net's own number of foreground samples."""
    folder = raw.parents[2] / "preprocessed" / raw.parent.name
    preprocess(raw, folder, "2d")
    return folder / "preprocessed.json"


@pytest.fixture(scope="session")
def cases(study: Study) -> Path:
    """`index.csv` of cases for CT."""
    return write_cases(study.root)


@pytest.fixture(scope="session")
def single(study: Study) -> Path:
    """`preprocessed.json` of the real scans alone."""
    return write_preprocessed(write_single_dataset(study, study.root / "alone", None), None)


@pytest.fixture(scope="session")
def raw_tuned(study: Study, cases: Path) -> Path:
    """`dataset.json` of the real scans and the further cases."""
    return write_single_dataset(study, study.root / "tuned", cases)


@pytest.fixture(scope="session")
def tuned(raw_tuned: Path, single: Path) -> Path:
    """`preprocessed.json` of it, under the plans of the real scans alone."""
    return write_preprocessed(raw_tuned, single)
