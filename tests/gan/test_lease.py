"""GPUs are leased by real locks of real processes; which GPUs there are is told, since the lease itself needs none."""

import ast
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gan.errors import InputError
from gan.lease import hold, visible

ROOT = Path(__file__).parents[2]
UUIDS = ["GPU-8932f937-d72c", "GPU-89aa0000-0001", "GPU-45cb0000-0002"]
HOLD = """
import sys, time
from pathlib import Path
from gan.lease import hold
names = hold(dict(zip(*[sys.argv[3].split(",")] * 2)), int(sys.argv[2]), Path(sys.argv[1]))
print(*names, sep=",", flush=True)
"""


def start(folder: Path, devices: str, count: int = 1, then: str = "time.sleep(20)") -> subprocess.Popen[str]:
    """Start a process that holds `count` of some devices, for twenty seconds unless it has something else to do."""
    command = [sys.executable, "-c", HOLD + then, os.fspath(folder), str(count), devices]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (None, {uuid: uuid for uuid in UUIDS}),
        ("2,0", {"2": UUIDS[2], "0": UUIDS[0]}),
        (" 1 , 2", {"1": UUIDS[1], "2": UUIDS[2]}),
        (UUIDS[1], {UUIDS[1]: UUIDS[1]}),
        ("GPU-45,GPU-893", {"GPU-45": UUIDS[2], "GPU-893": UUIDS[0]}),
        ("GPU-89", {}),  # the beginning of two
        ("MIG-0a1b", {"MIG-0a1b": "MIG-0a1b"}),
        ("", {}),
        ("-1", {}),
        ("0,-1,1", {"0": UUIDS[0]}),
        ("0,7,1", {"0": UUIDS[0]}),
        ("1,1", {}),
        ("none", {}),
    ],
)
def test_the_visible_devices_are_those_of_cuda(names, found):
    assert list(visible(names, UUIDS).items()) == list(found.items())


def test_no_gpu_is_leased_where_there_is_none():
    assert visible(None, []) == visible("0,1", []) == {}


def test_eight_processes_never_hold_one_of_two_devices_twice(tmp_path):
    """Each, while it holds a device, makes a file called as it, which nobody else may have made."""
    then = """
own = Path(sys.argv[1], "used", names[0])
for _ in range(10):
    own.touch(exist_ok=False)
    time.sleep(0.02)
    own.unlink()
"""
    (tmp_path / "used").mkdir()
    processes = [start(tmp_path, "a,b", then=then) for _ in range(8)]
    try:
        ended = [process.communicate(timeout=120) for process in processes]
    finally:
        end(*processes)
    assert [process.returncode for process in processes] == [0] * 8, ended
    assert {out.strip() for out, _ in ended} == {"a", "b"}


def test_the_last_device_is_never_half_taken(tmp_path):
    """Processes that want both devices, and some that want one, all come to their turn."""
    processes = [start(tmp_path, "a,b", 1 + number % 2, then="time.sleep(0.1)") for number in range(6)]
    try:
        ended = [process.communicate(timeout=120) for process in processes]
    finally:
        end(*processes)
    assert [out.strip() for out, _ in ended][1::2] == ["a,b"] * 3, ended


def test_a_killed_holder_frees_its_device_even_if_a_forked_child_lives_on(tmp_path):
    fork = """
import os
if (child := os.fork()) == 0:
    time.sleep(60)
    os._exit(0)
print(child, flush=True)
time.sleep(20)
"""
    holder = start(tmp_path, "a", then=fork)
    child = None
    waiting = None
    try:
        assert holder.stdout.readline().strip() == "a"
        child = int(holder.stdout.readline())
        waiting = start(tmp_path, "a")
        said = waiting.stderr.readline()
        assert said == "waiting for 1 of the GPUs a: others use them\n"
        time.sleep(1.5)
        assert waiting.poll() is None
        holder.send_signal(signal.SIGKILL)
        assert waiting.stdout.readline().strip() == "a"
    finally:
        if child is not None:
            os.kill(child, signal.SIGKILL)
        end(holder, *([waiting] if waiting else []))


def test_a_device_that_is_held_is_passed_over(tmp_path):
    holder = start(tmp_path, "a,b")
    try:
        assert holder.stdout.readline().strip() == "a"
        assert hold({"0": "a", "1": "b"}, 1, tmp_path) == ["1"]
    finally:
        end(holder)


def test_more_than_there_are_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"^GPUs: found 1 \(0\), expected at least 2$"):
        hold({"0": "a"}, 2, tmp_path)


@pytest.fixture
def two_gpus(tmp_path):
    """Return an environment in which nvidia-smi lists two GPUs, as it does where they are."""
    program = tmp_path / "bin/nvidia-smi"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n[ \"$*\" = '--query-gpu=uuid --format=csv,noheader' ] && printf 'GPU-a\\nGPU-b\\n'\n"
    )
    program.chmod(0o755)
    own = {name: value for name, value in os.environ.items() if name not in ("CUDA_VISIBLE_DEVICES", "XDG_RUNTIME_DIR")}
    return own | {"PATH": f"{program.parent}:{os.environ['PATH']}", "TMPDIR": os.fspath(tmp_path)}


def leased(environment: dict[str, str], code: str) -> list[str]:
    command = [sys.executable, "-c", f"import os, subprocess, sys\nfrom gan.lease import lease\n{code}"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.split()


def test_a_process_sees_its_device_alone_and_its_own_processes_take_no_other(two_gpus):
    see = "print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True)"
    child = f"from gan.lease import lease; import os; lease(); {see}"
    code = f"lease(); {see}; lease(); {see}; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    assert leased(two_gpus, code) == ["GPU-a"] * 3
    assert leased(two_gpus | {"CUDA_VISIBLE_DEVICES": "1"}, code) == ["1"] * 3
    assert leased(two_gpus, f"lease(2); {see}") == ["GPU-a,GPU-b"]
    assert leased(
        two_gpus | {"CUDA_VISIBLE_DEVICES": ""}, "lease(); print(repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    ) == ["''"]


def programs_on_gpus() -> dict[str, str]:
    """Return the program of every rule that asks for a GPU."""
    rules = [rule for path in (ROOT / "workflow/rules").glob("*.smk") for rule in path.read_text().split("\nrule ")[1:]]
    asking = [rule for rule in rules if re.search(r"^        gpu=", rule, re.MULTILINE)]
    return {rule.partition(":")[0]: re.search(r"python -m ([\w.]+)", rule)[1] for rule in asking}


def test_every_program_that_a_rule_gives_a_gpu_leases_it():
    programs = programs_on_gpus()
    assert len(programs) > 8
    for program in set(programs.values()):
        tree = ast.parse(ROOT.joinpath(*program.split(".")).with_suffix(".py").read_text())
        (main,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "main")
        called = [node.func.id for node in ast.walk(main) if isinstance(node, ast.Call) and hasattr(node.func, "id")]
        assert "lease" in called, program


def test_no_program_asks_cuda_anything_before_it_leases():
    """CUDA reads CUDA_VISIBLE_DEVICES once, when it is first asked: importing must not."""
    modules = ", ".join(sorted(set(programs_on_gpus().values())))
    ask = "torch._C._cuda_getDeviceCount = torch._C._cuda_init = ask\n"
    code = f"import torch\ndef ask(): raise SystemExit('asked')\n{ask}import {modules}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
