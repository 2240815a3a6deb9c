"""A lease of the machine's GPUs: jobs that start at once take different ones, and wait where all are taken.

A GPU is leased by a lock on a file called as its UUID. The kernel releases it when the process ends, however it ends.
"""

import logging
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gan.errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
LEASED = "NNENRICH_LEASED_DEVICES"  # what a program's own processes inherit, so that they take no other
POLL_S = 1.0

logger = logging.getLogger(__name__)
_held: list[FileLock] = []


def lease(count: int = 1) -> None:
    """Take the first `count` free GPUs among CUDA_VISIBLE_DEVICES until this process ends; nothing where none is there.

    To be called before CUDA is initialized: afterwards CUDA_VISIBLE_DEVICES names these GPUs alone, for this process
    and for those that it starts, in which another call does nothing.

    Raises:
        InputError: some GPUs, but fewer than `count`.
    """
    if LEASED in os.environ and os.environ[LEASED] == os.environ.get(VISIBLE):
        return
    if devices := visible(os.environ.get(VISIBLE), uuids()):
        folder = Path(tempfile.gettempdir(), f"nnenrich-gpus-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        os.environ[VISIBLE] = os.environ[LEASED] = ",".join(hold(devices, count, folder))


def uuids() -> list[str]:
    """Return the UUIDs of the machine's GPUs in the order of their indices; CUDA stays as it is."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    command = [program, "--query-gpu=uuid", "--format=csv,noheader"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return found.stdout.split() if found.returncode == 0 else []


def visible(names: str | None, uuids: Sequence[str]) -> dict[str, str]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names, each with its UUID; all of `uuids` where it is None.

    As CUDA reads it: indices or beginnings of UUIDs, up to the first that names no GPU; none where one is named twice.
    """
    if names is None:
        return {uuid: uuid for uuid in uuids}
    found: dict[str, str] = {}
    for name in names.split(","):
        name = name.strip()
        if name.isdecimal():
            fitting = list(uuids[int(name) : int(name) + 1])
        elif name.startswith("MIG-"):
            fitting = [name]  # a part of a GPU
        else:
            fitting = [uuid for uuid in uuids if name.startswith("GPU-") and uuid.startswith(name)]
        if len(fitting) != 1:
            break
        if fitting[0] in found.values():
            return {}
        found[name] = fitting[0]
    return found


def hold(devices: Mapping[str, str], count: int, folder: Path) -> list[str]:
    """Lock the first `count` free of `devices`, which are named files in `folder`, and return their names.

    Waits, and says so once, until that many are free at one time.

    Raises:
        InputError: there are fewer.
    """
    if len(devices) < count:
        raise InputError("GPUs", f"{len(devices)} ({', '.join(devices)})", f"at least {count}")
    said = False
    while True:
        taken: dict[str, FileLock] = {}
        with FileLock(folder / "choice.lock"):  # one chooses at a time: two never take each other's last GPU
            for name, uuid in devices.items():
                lock = FileLock(folder / f"{uuid}.lock", blocking=False)
                with suppress(Timeout):
                    lock.acquire()
                    taken[name] = lock
                if len(taken) == count:
                    _held.extend(taken.values())
                    return list(taken)
            for lock in taken.values():
                lock.release()
        if not said:
            logger.warning("waiting for %d of the GPUs %s: others use them", count, ", ".join(devices))
            said = True
        time.sleep(POLL_S)
