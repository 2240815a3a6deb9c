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

from gan import stopwatch
from gan.lease import hold, visible

ROOT = Path(__file__).parents[2]
UUIDS = ["GPU-8932f937-d72c", "GPU-89aa0000-0001", "GPU-45cb0000-0002"]
HOLD = """
import sys, time
from pathlib import Path
from gan.lease import hold
names = hold(sys.argv[3].split(","), int(sys.argv[2]), Path(sys.argv[1]))
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
        (None, UUIDS),
        ("2,0", [UUIDS[2], UUIDS[0]]),
        (" 1 , 2", [UUIDS[1], UUIDS[2]]),
        (UUIDS[1], [UUIDS[1]]),
        ("GPU-45,GPU-893", [UUIDS[2], UUIDS[0]]),
        ("0,GPU-45", [UUIDS[0], UUIDS[2]]),
        ("GPU-89", []),  # the beginning of two
        ("MIG-0a1b", ["MIG-0a1b"]),
        ("", []),
        ("-1", []),
        ("0,-1,1", [UUIDS[0]]),
        ("0,7,1", [UUIDS[0]]),
        ("1,1", []),
        ("1,GPU-89aa", []),
        ("none", []),
    ],
)
def test_the_visible_devices_are_those_of_cuda(names, found):
    assert visible(names, UUIDS) == found


def test_no_gpu_is_leased_where_there_is_none():
    assert visible(None, []) == visible("0,1", []) == []


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
        assert hold(["a", "b"], 1, tmp_path) == ["b"]
    finally:
        end(holder)


def test_waiting_is_counted_and_said_by_who_waited_alone(tmp_path):
    say = "from gan import stopwatch; stopwatch.report(); time.sleep(20)"
    holder, waiting = start(tmp_path, "a", then=say), None
    try:
        assert holder.stdout.readline().strip() == "a"
        begin = time.monotonic()
        waiting = start(tmp_path, "a", then=say)
        waiting.stderr.readline()  # that it waits
        time.sleep(1.5)
        holder.kill()
        assert "seconds" not in holder.communicate()[1]
        said = waiting.stderr.readline()
        assert said.startswith(stopwatch.WAITING)
        assert 1.5 < float(said.removeprefix(stopwatch.WAITING)) < time.monotonic() - begin
    finally:
        end(holder, *([waiting] if waiting else []))


SEE = "print(os.environ['CUDA_VISIBLE_DEVICES'], flush=True)"


@pytest.fixture
def machine(tmp_path):
    """Return a function that leases in a process of its own, where nvidia-smi and the driver are as told."""
    programs, driver = tmp_path / "bin", tmp_path / "dev"
    programs.mkdir()
    driver.mkdir()
    own = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    own |= {"PATH": f"{programs}:{os.environ['PATH']}"}

    def run(code: str, nvidia_smi: str, locks: Path = tmp_path / "locks", nodes: int = 2, **more: str):
        """Run `code`, which may call `lease`, and return what it printed and the error it ended with."""
        for number in range(nodes):
            (driver / f"nvidia{number}").touch()
        (programs / "nvidia-smi").write_text(f"#!/bin/sh\n{nvidia_smi}\n")
        (programs / "nvidia-smi").chmod(0o755)
        begin = "import os, subprocess, sys\nfrom pathlib import Path\nfrom gan import errors, lease as module\n"
        begin += f"module.FOLDER, module.DRIVER = Path({str(locks)!r}), Path({str(driver)!r})\nlease = module.lease\n"
        code = begin + "def main():\n    " + code + "\nerrors.run(main)"
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=ROOT, env=own | more, capture_output=True, text=True, check=False, timeout=60
        )
        return done.stdout.split(), done.stderr.strip()

    return run


TWO = "[ \"$*\" = '--query-gpu=uuid --format=csv,noheader' ] && printf 'GPU-a\\nGPU-b\\n'"


def test_a_process_sees_its_device_alone_and_its_own_processes_take_no_other(machine):
    child = f"from gan.lease import lease; import os; lease(); {SEE}"
    code = f"lease(); {SEE}; lease(); {SEE}; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    assert machine(code, TWO) == (["GPU-a"] * 3, "")
    assert machine(f"lease(2); {SEE}", TWO) == (["GPU-a,GPU-b"], "")


def test_eight_jobs_that_start_at_once_on_a_machine_of_one_gpu_take_turns(machine, tmp_path):
    """As `snakemake --cores 8` starts them; each makes a file while it has the GPU, which nobody else may have made."""
    assert machine("lease()", "echo GPU-a") == ([], "")  # writes the programs and the driver of the machine
    turn = """
import os, sys, time
from pathlib import Path
from gan import errors, lease as module
folder = Path(sys.argv[1])
module.FOLDER, module.DRIVER, module.POLL_S = folder / "locks", folder / "dev", 0.05
def main():
    (folder / f"ready{os.getpid()}").touch()
    while len(list(folder.glob("ready*"))) < 8:
        time.sleep(0.01)
    module.lease()
    (folder / os.environ["CUDA_VISIBLE_DEVICES"]).touch(exist_ok=False)
    time.sleep(0.1)
    (folder / "GPU-a").unlink()
errors.run(main)
"""
    own = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    own["PATH"] = f"{tmp_path / 'bin'}:{own['PATH']}"
    command = [sys.executable, "-c", turn, os.fspath(tmp_path)]
    jobs = [subprocess.Popen(command, cwd=ROOT, env=own, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    try:
        said = [job.communicate(timeout=120)[1] for job in jobs]
    finally:
        end(*jobs)
    assert [job.returncode for job in jobs] == [0] * 8, said
    assert any("waiting for 1 of the GPUs GPU-a" in text for text in said)


def test_an_index_becomes_the_uuid_of_the_card_whose_lock_is_held(machine):
    """CUDA may count from the fastest on, where nvidia-smi counts along the bus."""
    code = f"lease(); {SEE}; print(*(path.name for path in module.FOLDER.glob('GPU-*')))"
    assert machine(code, TWO, CUDA_VISIBLE_DEVICES="1") == (["GPU-b", "GPU-b.lock"], "")


def test_an_empty_list_is_left_as_it_is_and_nobody_is_asked(machine):
    code = "lease(2); print(repr(os.environ['CUDA_VISIBLE_DEVICES']))"
    assert machine(code, "exit 9", CUDA_VISIBLE_DEVICES="") == (["''"], "")


def test_more_than_there_are_is_an_error_inherited_or_not(machine):
    expected = "error: GPUs: found 1 (GPU-a), expected at least 2"
    assert machine("lease(2)", "echo GPU-a") == ([], expected)
    assert machine("lease(1); lease(2)", TWO) == ([], expected)


@pytest.mark.parametrize(
    ("nvidia_smi", "found"),
    [
        ("echo GPU-a; echo Unable to determine the device handle; exit 15", "GPU-a Unable to determine the device h"),
        ("echo NVIDIA-SMI has failed >&2; exit 9", "NVIDIA-SMI has failed,"),
        ("echo No devices were found", "No devices were found,"),
        ("true", "nothing,"),
    ],
)
def test_an_nvidia_smi_that_fails_is_an_error_where_there_is_a_driver(machine, nvidia_smi, found):
    printed, error = machine("lease(); print('on')", nvidia_smi)
    assert printed == []
    assert error.startswith(f"error: nvidia-smi: found {found}")
    assert error.endswith("the UUIDs of the machine's GPUs, or an empty CUDA_VISIBLE_DEVICES to go without")


def test_an_nvidia_smi_that_fails_is_nothing_where_there_is_no_driver(machine):
    assert machine("lease(); print('on')", "exit 9", nodes=0) == (["on"], "")


def test_lines_of_nvidia_smi_that_name_no_gpu_are_passed_over(machine):
    assert machine(f"lease(2); {SEE}", "echo WARNING: infoROM is corrupted; echo GPU-a; echo ' GPU-x'; echo GPU-b") == (
        ["GPU-a,GPU-b"],
        "",
    )


def test_locks_that_cannot_be_made_are_an_error_that_names_their_folder(machine, tmp_path):
    (tmp_path / "file").touch()
    printed, error = machine("lease()", TWO, tmp_path / "file" / "locks")
    assert printed == []
    assert error == f"error: {tmp_path}/file/locks: found Not a directory, expected a folder for the locks of GPUs"


def test_the_locks_of_a_user_are_in_one_place_whatever_tmpdir_says():
    code = "from gan.lease import FOLDER; print(FOLDER)"
    done = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"TMPDIR": folder}, capture_output=True, check=True
        ).stdout
        for folder in ("/tmp", "/var/tmp")
    ]
    assert done[0] == done[1] != b""


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
