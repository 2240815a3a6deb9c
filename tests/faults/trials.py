"""Inputs that may be broken, each given to a reader in a process of its own with limits of time and memory.

A trial ends well where its input is `accepted`, and what was read is right, or `refused` by an `InputError` that names
it in one line. Otherwise it is `wrong`, `crashed` or `hung`, or it has `spilled` files beside its output.
"""

import math
import os
import resource
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from gan.errors import InputError

SECONDS = 60  # of computing, after which a reader counts as hung
PATIENCE_S = 600  # until a process that computes nothing does, however busy the machine is
MEMORY = 2 << 30  # bytes that a reader may take beyond what its process holds before
GOOD = ("accepted", "refused")
INPUT, OUTPUT = "in", "out"

CONTEXT = get_context("fork")  # what the readers import is there already


@dataclass(frozen=True)
class Trial:
    """An input and what is done with it.

    Attributes:
        name: what is wrong with the input.
        attempt: given a folder with empty folders `in` and `out`, writes the input into the one and reads it; only the
            other may be written to by what is tried. An `AssertionError` says that what was read is wrong.
    """

    name: str
    attempt: Callable[[Path], object]


@dataclass(frozen=True)
class Outcome:
    name: str
    kind: str
    found: str
    megabytes: float


def outcomes(trials: Sequence[Trial], folder: Path) -> list[Outcome]:
    """Return what becomes of every trial, in folders below `folder`."""
    found: list[Outcome] = []
    while len(found) < len(trials):
        ours, theirs = CONTEXT.Pipe()
        worker = CONTEXT.Process(target=_work, args=(trials[len(found) :], len(found), folder, theirs))
        worker.start()
        theirs.close()
        try:
            while len(found) < len(trials) and ours.poll(PATIENCE_S):
                found.append(ours.recv())
            if len(found) < len(trials):
                found.append(Outcome(trials[len(found)].name, "hung", f"nothing in {PATIENCE_S} s", 0))
        except EOFError:
            worker.join()
            kind = "hung" if worker.exitcode == -signal.SIGXCPU else "crashed"
            found.append(Outcome(trials[len(found)].name, kind, f"exit code {worker.exitcode}", 0))
        finally:
            worker.kill()
            worker.join()
    return found


def require_good(trials: Sequence[Trial], folder: Path, record: Callable[[str, object], None]) -> list[Outcome]:
    """Try all; record the counts of each outcome and the peak memory, and fail where one did not end well."""
    assert len({trial.name for trial in trials}) == len(trials)
    begun = time.perf_counter()
    found = outcomes(trials, folder)
    counts = Counter(outcome.kind for outcome in found)
    peak = max(outcome.megabytes for outcome in found)
    record("faults", {"tried": len(found), **counts, "peak_mb": peak, "seconds": time.perf_counter() - begun})
    bad = [outcome for outcome in found if outcome.kind not in GOOD]
    assert not bad, "\n".join(f"{one.kind}: {one.name}: {one.found}" for one in bad)
    return found


def _work(trials: Sequence[Trial], number: int, folder: Path, pipe: Connection) -> None:
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    silent = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silent, stream)
    for place, trial in enumerate(trials, number):
        pipe.send(_tried(trial, folder / f"{place:04d}"))


def _tried(trial: Trial, folder: Path) -> Outcome:
    for part in (INPUT, OUTPUT):
        (folder / part).mkdir(parents=True)
    os.chdir(folder / INPUT)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    limit = math.ceil(time.process_time()) + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
    before = _kilobytes("VmRSS")
    try:
        trial.attempt(folder)
        kind, found = "accepted", ""
    except InputError as error:
        kind, found = "refused", str(error)
        if "\n" in found or not names(error):
            kind = "wrong"
    except AssertionError as error:
        kind, found = "wrong", " ".join(str(error).split())[:2000]
    except BaseException:  # whatever a reader lets through
        kind, found = "crashed", traceback.format_exc(limit=-3)
    megabytes = (_kilobytes("VmHWM") - before) / 1000
    strange = sorted(path.name for path in folder.iterdir() if path.name not in (INPUT, OUTPUT))
    if strange:
        kind, found = "spilled", ", ".join(strange)
    os.chdir("/")
    shutil.rmtree(folder)
    return Outcome(trial.name, kind, found, megabytes)


def names(error: InputError) -> bool:
    """Return whether an error begins with a path or an option."""
    return str(error).startswith(("/", "--"))


def _kilobytes(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
