"""One run that is ended again and again and resumed each time, and what it must share with an undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import torch

from gan import checkpoint
from tests.gan.test_training import assert_same

HOOK = Path(__file__).with_name("hook")
RESUME = ["make", "--assume-old=.venv/installed", "resume", "CORES=2", "CONFIG=tiny.yaml"]
PATIENCE_S = 900
GRACE_S = 60  # from SIGTERM to SIGKILL, as clusters have it: Snakemake's handler, told twice, may wait for itself
KILLS = int(os.environ.get("NNENRICH_KILLS", "0"))
faults = pytest.mark.skipif(not KILLS, reason="NNENRICH_KILLS says how many kills; make test-faults sets it")


@dataclass(frozen=True)
class Fault:
    """What ends the process group: a signal, at a publish point (`before:path`, `after:path`) or after some seconds."""

    number: signal.Signals
    at: str | float

    def __str__(self) -> str:
        return f"{self.number.name} {f'{self.at:.1f} s' if isinstance(self.at, float) else self.at}"


def start(project: Path, command: list[str], **more: str) -> "subprocess.Popen[str]":
    """Start a command in the project as a process group of its own, with the hook."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": f"{HOOK}{os.pathsep}{project}"} | more
    with (project / "said.txt").open("a") as said:
        return subprocess.Popen(
            command, cwd=project, env=environment, stdout=said, stderr=said, text=True, start_new_session=True
        )


def resume(project: Path, fault: Fault | None = None) -> bool:
    """Resume a run; return whether the fault came before it had ended. All processes are gone then.

    Raises:
        AssertionError: it failed by itself.
    """
    at, came = fault.at if fault else PATIENCE_S, project / "came.txt"
    came.unlink(missing_ok=True)
    process = start(project, RESUME, FAULT=f"{int(fault.number)}:{at}" if fault and isinstance(at, str) else "0::")
    deadline = time.monotonic() + (PATIENCE_S if isinstance(at, str) else at)
    while process.poll() is None and not came.exists():
        if time.monotonic() > deadline:
            assert fault is not None, "a run that hangs"
            assert isinstance(at, float), f"a run that hangs before {at}"
            came.touch()
            os.killpg(process.pid, fault.number)
        time.sleep(0.05)
    wait_for_all(process.pid)
    code = process.wait()
    said = (project / "said.txt").read_text()[-3000:]
    assert code == 0 or came.exists(), said
    assert code in (0, -signal.SIGKILL) or (fault and fault.number == signal.SIGTERM), said
    return code != 0


def wait_for_all(group: int) -> None:
    """Wait until no process of a group is left; those that save at SIGTERM take their time, and no more than that."""
    deadline = time.monotonic() + GRACE_S
    while any(alive(process, group) for process in psutil.process_iter()):
        if time.monotonic() > deadline:
            os.killpg(group, signal.SIGKILL)
        time.sleep(0.1)


def alive(process: psutil.Process, group: int) -> bool:
    """Return whether a process of a group is more than an entry that nobody has read."""
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def timeless(path: Path) -> bool:
    """Return whether a file says nothing of how long things took."""
    return not path.name.startswith("cost.")


def assert_same_results(one: Path, other: Path) -> None:
    """Compare two results folders of one study: tables and scores byte by byte, checkpoints tensor by tensor."""
    for pattern in ("tables/*", "scores/*.csv", "nnunet/**/predictions/*.nii.gz", "scans.csv", "splits.json"):
        names, others = (
            {path.relative_to(folder) for path in folder.glob(pattern) if path.is_file() and timeless(path)}
            for folder in (one, other)
        )
        assert names == others
        assert names
        for name in names:
            assert (one / name).read_bytes() == (other / name).read_bytes(), name
    models = [path.relative_to(one) for path in one.glob("gan/**/model.pt")]
    segmenters = [path.relative_to(one) for path in one.glob("nnunet/**/checkpoint_final.pth")]
    assert models
    assert segmenters
    for name in models:
        assert_same(checkpoint.load(one / name), checkpoint.load(other / name))
    for name in segmenters:
        first, second = (torch.load(folder / name, weights_only=False) for folder in (one, other))
        assert_same(first["network_weights"], second["network_weights"])
        assert_same(first["optimizer_state"]["state"], second["optimizer_state"]["state"])
    assert not [path for path in other.rglob(".*") if len(path.name) > 34]
