"""What one process at a time makes, whichever others were started or lived on."""

from pathlib import Path

from filelock import FileLock, Timeout

from gan.errors import InputError

_held: list[FileLock] = []


def hold(made: Path, by: str, lock: Path) -> None:
    """Hold what is `made`, by the file `lock`, until this process ends, however it ends.

    Raises:
        InputError: another process holds it; `by` says what that would be.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    taken = FileLock(lock, blocking=False)
    try:
        taken.acquire()
    except Timeout:
        raise InputError(made, f"another {by} that is making it", "none: wait for it, or end it") from None
    _held.append(taken)
