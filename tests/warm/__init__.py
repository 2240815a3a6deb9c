"""Programs of a whole DAG started from a process that has torch and nnU-Net's dependencies loaded: seconds less each.

They are the real programs with real arguments, environment, folder and exit code; what they save is imports, and they
have no network. The DAGs that are killed, `tests/faults`, start every program by itself.
"""

import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
OFFLINE = ["unshare", "--map-root-user", "--net"]
"""Runs a command without any network, loopback included; empty where the system does not let it."""
if subprocess.run([*OFFLINE, "true"], capture_output=True, check=False).returncode:
    OFFLINE = []


def environment(project: Path) -> dict[str, str]:
    """Return what a command in `project` needs in its environment for its programs to be forks of one server.

    The server ends with this process.
    """
    return {"WARM": str(_start()), "PYTHONPATH": f"{HERE / 'client'}{os.pathsep}{project}"}


@cache
def _start() -> Path:
    """Start the server, and return its socket."""
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name, "socket")
    command = [*OFFLINE, sys.executable, HERE / "server.py", path]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    _kept.extend((folder, server))
    return path


_kept: list[object] = []  # the server's standard input stays open as long as this process lives
