"""What one process at a time makes, whichever others were started or lived on."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gan.errors import InputError


def hold(made: Path, by: str, lock: Path) -> FileLock:
    """Hold what is `made`, by the file `lock`, until the returned is released or this process ends, however it does.

    Raises:
        InputError: another process holds it; `by` says what that would be.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    taken = FileLock(lock, blocking=False)
    try:
        taken.acquire()
    except Timeout:
        raise InputError(made, f"another {by} that is making it", "none: wait for it, or end it") from None
    return taken


@contextmanager
def held(made: Path, by: str, lock: Path) -> Iterator[None]:
    """Hold what is `made` in this block, as `hold` does, and leave no lock."""
    taken = hold(made, by, lock)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)  # whoever opened it before takes it for held
        taken.release()
