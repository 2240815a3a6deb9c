"""A lease of the machine's GPUs: jobs that start at once take different ones, and wait where all are taken.

A GPU is leased by a lock on a file called as its UUID. The kernel releases it when the process ends, however it ends.
"""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gan import stopwatch
from gan.errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
LEASED = "NNENRICH_LEASED_DEVICES"  # what a program's own processes inherit, so that they take no other
FOLDER = Path(f"/tmp/nnenrich-gpus-{os.getuid()}")  # noqa: S108  (whatever TMPDIR says: all jobs meet here)
DRIVER = Path("/dev")  # where it puts its nvidia0, nvidia1, …
POLL_S = 1.0

logger = logging.getLogger(__name__)
_held: list[FileLock] = []


def lease(count: int = 1) -> None:
    """Take the first `count` free GPUs among CUDA_VISIBLE_DEVICES until this process ends; nothing where none is there.

    To be called before CUDA is initialized: afterwards CUDA_VISIBLE_DEVICES names these GPUs alone, by their UUIDs, for
    this process and for those that it starts, in which another call does nothing.

    Raises:
        InputError: some GPUs, but fewer than `count`; a driver whose GPUs nvidia-smi does not name; or no place for
            the locks.
    """
    names = os.environ.get(VISIBLE)
    if names is not None and names == os.environ.get(LEASED):
        _require_enough(names.split(","), count)
    elif names != "" and (devices := visible(names, uuids())):
        _require_enough(devices, count)
        try:
            FOLDER.mkdir(mode=0o700, exist_ok=True)
            held = hold(devices, count, FOLDER)
        except OSError as error:
            raise InputError(FOLDER, error.strerror, "a folder for the locks of GPUs") from error
        os.environ[VISIBLE] = os.environ[LEASED] = ",".join(held)


def uuids() -> list[str]:
    """Return the UUIDs of the machine's GPUs in nvidia-smi's order, which is that of the PCI bus; CUDA stays as it is.

    Raises:
        InputError: there is a driver, and nvidia-smi is missing, fails or names none.
    """
    program = shutil.which("nvidia-smi")
    said, done = ["no such program"], False
    if program is not None:
        command = [program, "--query-gpu=uuid", "--format=csv,noheader"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        said, done = (found.stdout + found.stderr).splitlines(), found.returncode == 0
    named = [line.strip() for line in said if done and line.startswith("GPU-")]
    if not named and any(DRIVER.glob("nvidia[0-9]*")):
        expected = f"the UUIDs of the machine's GPUs, or an empty {VISIBLE} to go without"
        raise InputError("nvidia-smi", " ".join(said) or "nothing", expected)
    return named


def visible(names: str | None, uuids: Sequence[str]) -> list[str]:
    """Return the UUIDs of the GPUs that CUDA_VISIBLE_DEVICES names; all of `uuids` where it is None.

    As CUDA reads it: indices or beginnings of UUIDs, up to the first that names no GPU; none where one is named twice.
    But an index counts as nvidia-smi does, and CUDA with CUDA_DEVICE_ORDER=PCI_BUS_ID, not the fastest first.
    """
    if names is None:
        return list(uuids)
    found: list[str] = []
    for name in map(str.strip, names.split(",")):
        if name.isdecimal():
            fitting = list(uuids[int(name) : int(name) + 1])
        elif name.startswith("MIG-"):
            fitting = [name]  # a part of a GPU
        else:
            fitting = [uuid for uuid in uuids if name.startswith("GPU-") and uuid.startswith(name)]
        if len(fitting) != 1:
            break
        found += fitting
    return found if len(set(found)) == len(found) else []


def hold(devices: Sequence[str], count: int, folder: Path) -> list[str]:
    """Lock the first `count` free of `devices`, files of their names in `folder`, and return them.

    Waits, says so once and counts the time, until that many are free at one time.
    """
    if not (taken := _take(devices, count, folder)):
        logger.warning("waiting for %d of the GPUs %s: others use them", count, ", ".join(devices))
        with stopwatch.spent(stopwatch.WAITING):
            while not (taken := _take(devices, count, folder)):
                time.sleep(POLL_S)
    _held.extend(taken.values())
    return list(taken)


def _require_enough(devices: Sequence[str], count: int) -> None:
    """Raise an `InputError` if there are fewer than `count`."""
    if len(devices) < count:
        raise InputError("GPUs", f"{len(devices)} ({', '.join(devices)})", f"at least {count}")


def _take(devices: Sequence[str], count: int, folder: Path) -> dict[str, FileLock]:
    """Return the locks of the first `count` free of `devices`; none where fewer are free."""
    taken: dict[str, FileLock] = {}
    with FileLock(folder / "choice.lock"):  # one chooses at a time: two never take each other's last GPU
        for device in devices:
            lock = FileLock(folder / f"{device}.lock", blocking=False)
            with suppress(Timeout):
                lock.acquire()
                taken[device] = lock
            if len(taken) == count:
                return taken
        for lock in taken.values():
            lock.release()
    return {}
