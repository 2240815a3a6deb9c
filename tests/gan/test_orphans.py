"""Real processes whose parents are killed, before and after they asked to end with them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHILD = "import os, sys, time\nfrom gan.orphans import end_with_parent\n"
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1], str(os.getpid())])
print(child.pid, flush=True)
time.sleep(60)
"""
EARLY = "end_with_parent(int(sys.argv[1])); print('asked', flush=True); time.sleep(60)"
LATE = """
print('started', flush=True)
while os.getppid() == int(sys.argv[1]):
    time.sleep(0.01)
end_with_parent(int(sys.argv[1]))
time.sleep(60)
"""


@pytest.mark.parametrize("code", [EARLY, LATE], ids=["after it asked", "before it asked"])
def test_a_process_ends_with_its_parent(code):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD + code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    try:
        parent.stdout.readline()  # the child's
        parent.kill()
        end = time.monotonic() + 20
        while alive(child) and time.monotonic() < end:
            time.sleep(0.02)
        assert not alive(child)
    finally:
        if alive(child):
            os.kill(child, signal.SIGKILL)
        parent.communicate()


def alive(process: int) -> bool:
    """Return whether a process runs; one that has ended may wait for somebody to ask how."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def test_asking_does_not_load_torch():
    code = "import sys, gan.orphans; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
