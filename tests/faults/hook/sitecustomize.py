"""What every Python of a run under test imports first: records where files are published, or ends the run there.

PUBLISHED names a file to which the targets of all renames are added. FAULT is `signal:before:path` or
`signal:after:path`: as this file takes its place, `came.txt` is made and the whole process group gets the signal, once.
"""

import os
import re
import select
import signal
import time
from pathlib import Path

_replace = Path.replace
_record = os.environ.get("PUBLISHED")
_number, _when, _victim = os.environ.get("FAULT", "0::").split(":", 2)


def _end(when: str, target: Path) -> None:
    if when == _when and target == Path(_victim).absolute():
        Path("came.txt").touch()
        os.killpg(0, int(_number))
        if int(_number) == signal.SIGKILL:
            signal.pause()  # until it comes


def replace(self: Path, target: Path) -> Path:
    """Rename as ever."""
    goal = Path(re.sub(r"/\.[0-9a-f]{32}\.", "/", str(Path(target).absolute())))  # in a folder that is being made
    _end("before", goal)
    done = _replace(self, target)
    if _record and not Path(target).name.startswith("."):
        with open(_record, "a") as stream:  # noqa: PTH123  (small enough to be added at once)
            stream.write(f"{goal}\n")
    _end("after", goal)
    return done


def sleep(seconds: float) -> None:
    """Sleep without the deadline that libfaketime refuses."""
    select.select([], [], [], seconds)


if "FAKETIME_TIMESTAMP_FILE" in os.environ:
    time.sleep = sleep  # type: ignore[assignment]
Path.replace = replace  # type: ignore[assignment,method-assign]
