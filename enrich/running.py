"""The start of a run: one snakemake a study at a time, nothing half written beside it, its config on record."""

from pathlib import Path

from filelock import FileLock, Timeout
from snakemake.exceptions import WorkflowError

from enrich.config import Config, record
from gan.errors import InputError
from gan.files import remove_leftovers

_held: list[FileLock] = []


def hold(results: Path) -> None:
    """Hold a study's folder until this process ends, however it ends; `--unlock` does not release it.

    Raises:
        InputError: another process holds it.
    """
    results.mkdir(parents=True, exist_ok=True)
    lock = FileLock(results / ".running", blocking=False)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(results, "another snakemake that is making it", "none: wait for it, or end it") from None
    _held.append(lock)


def begin(config: Config, results: Path) -> None:
    """Hold a study's folder, remove what killed programs left in it, and record the config.

    Raises:
        WorkflowError: another snakemake holds it, or it cannot be written.
    """
    try:
        hold(results)
        remove_leftovers(results)
        record(config, results)
    except InputError as error:
        raise WorkflowError(str(error)) from None
    except OSError as error:
        raise WorkflowError(f"{results}: found {error.strerror}, expected a folder to write to") from None
