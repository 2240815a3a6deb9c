"""An undisturbed run, once for all faults that are tried where NNENRICH_KILLS says how often."""

from pathlib import Path

import pytest
import yaml

from tests.faults.chain import RESUME, start
from tests.gan.conftest import make_slices
from tests.test_workflow import CONFIG, copy_project

__all__ = ["make_slices"]


def copied(project: Path) -> Path:
    """Copy the project and its tiny config to a folder."""
    copy_project(project)
    (project / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    return project


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """Return a copy of the project with a finished run, and beside it what was published, in order."""
    project = copied(tmp_path_factory.mktemp("undisturbed") / "project")
    process = start(project, RESUME, PUBLISHED=str(project.with_name("published.txt")))
    assert process.wait() == 0, (project / "said.txt").read_text()[-3000:]
    return project


@pytest.fixture
def project(tmp_path):
    """Return another copy, of which nothing is run."""
    return copied(tmp_path / "project")
