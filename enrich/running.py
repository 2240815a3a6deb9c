"""The start of a run: one snakemake a study at a time, nothing half written or of the future, its config on record."""

import os
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock
from snakemake.exceptions import WorkflowError

from enrich.config import Config, record
from gan.errors import InputError
from gan.files import everything_in, remove_leftovers
from gan.holding import hold

_held: list[FileLock] = []


def date_now(results: Path) -> None:
    """Have what a clock that was ahead dated into the future count as made now.

    Snakemake takes nothing that seems older than what it is made of, and would refuse all that is made of these files.
    """
    now = time.time()
    for path in everything_in(results):
        with suppress(FileNotFoundError, PermissionError):  # of a job that outlived its snakemake, or of someone else
            if path.lstat().st_mtime > now:
                os.utime(path, (now, now), follow_symlinks=False)


def begin(config: Config, results: Path) -> None:
    """Hold a study's folder, remove what killed programs left in it, date it back to now, and record the config.

    Raises:
        WorkflowError: another snakemake holds it, or it cannot be written.
    """
    try:
        _held.append(hold(results, "snakemake", results / ".running"))  # which --unlock does not release
        remove_leftovers(results)
        date_now(results)
        record(config, results)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    except OSError as error:
        raise WorkflowError(f"{results}: found {error.strerror}, expected a folder to write to") from None
