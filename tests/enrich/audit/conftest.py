"""A finished run once for all tests, and a copy of it for each leak that is planted."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enrich.audit import __main__ as audit
from tests.enrich.nnunet.study import call

from .edits import found_by
from .run import make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return `results/tiny`, in which only the predictions are not a network's."""
    root = make(tmp_path_factory.mktemp("results") / "tiny")
    yield root
    assert not any(found_by(root).values()), "a test wrote into a file of the run"


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    """Return a copy of the run, of hard links, to plant a leak in."""
    return Path(shutil.copytree(finished, tmp_path / "results" / "tiny", symlinks=True, copy_function=os.link))


@pytest.fixture
def caught(root: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., None]:
    """Return a function that audits the copy, which must fail with one line that holds the given fragments."""

    def audits(*fragments: str) -> None:
        output = root / "audit.json"
        output.write_text('{"passed": true}')
        with pytest.raises(SystemExit) as stopped:
            call(audit.main, "--run", root, "--output", output)
        (line,) = str(stopped.value).splitlines()
        assert line.startswith("error: ")
        for fragment in fragments:
            assert fragment in line
        every = [found for found in capsys.readouterr().err.splitlines() if ": found " in found]
        assert line.removeprefix("error: ").startswith(every[0])
        assert line.endswith(f" (and {len(every) - 1} further)" if len(every) > 1 else every[0])
        assert not output.exists()

    return audits
