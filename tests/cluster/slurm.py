"""A Slurm cluster of this machine alone: python -m tests.cluster.slurm COMMAND … runs a command beside one.

Its daemons, Debian's `slurm-wlm` and `munge`, listen on the loopback address, keep everything in a temporary folder and
run in the foreground, so that whoever started them ends them by their process ids. There is no accounting.
"""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from gan.orphans import end_with_parent

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "scontrol", "srun")
NODE = "alone"
DEVICES = ("/dev/null", "/dev/zero")  # stand for GPUs: Slurm counts and hands out whatever device files it is told
START_S, STOP_S = 60.0, 30.0
CONFIG = """\
ClusterName=nnenrich
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
GresTypes=gpu
MinJobAge=3600
KillWait=5
SchedulerParameters=batch_sched_delay=0,sched_interval=1
SlurmdParameters=config_overrides
NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory_mb} Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes={name} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Return the programs that a cluster needs and this machine lacks."""
    return [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]


@contextmanager
def cluster(cpus: int, memory_mb: int) -> Iterator[dict[str, str]]:
    """Run a cluster of one node; yield the environment in which Slurm's commands find it.

    When left, however, all its jobs are cancelled and its daemons ended.

    Raises:
        RuntimeError: a daemon ended, or the node was not there in time, with the end of the logs.
    """
    with tempfile.TemporaryDirectory(prefix="slurm-") as name, ExitStack() as running:
        folder = Path(name)
        folder.chmod(0o755)  # munged wants its socket where every user may get to
        environment = os.environ | {"PATH": f"{folder}/bin:{_path()}", "SLURM_CONF": f"{folder}/slurm.conf"}
        _configure(folder, cpus, memory_mb)
        daemons: list[subprocess.Popen[bytes]] = []
        commands = [
            ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket"],
            ["slurmctld", "-D", "-f", f"{folder}/slurm.conf"],
            ["slurmd", "-D", "-f", f"{folder}/slurm.conf", "-N", NODE],
        ]
        commands[0] += [f"--{name}-file={folder}/munge.{name}" for name in ("key", "pid", "seed", "log")]
        for command in commands:
            daemons.append(_start(command, folder, environment))
            running.callback(_end, daemons[-1])
        running.callback(_cancel, environment)
        _wait_for_node(folder, environment, daemons)
        yield environment


def ask(environment: dict[str, str], *command: str) -> str:
    """Return what one of Slurm's commands prints; nothing where it fails."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else ""


def _path() -> str:
    """Return where programs are looked for; Debian's daemons lie where not every user looks."""
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _configure(folder: Path, cpus: int, memory_mb: int) -> None:
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(os.urandom(1024))
    controller, node = _free_ports()
    host = socket.gethostname().partition(".")[0]
    text = CONFIG.format(
        **{"host": host, "controller": controller, "node": node, "user": getpass.getuser(), "folder": folder},
        **{"name": NODE, "cpus": cpus, "memory_mb": memory_mb, "gpus": len(DEVICES)},
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "gres.conf").write_text("".join(f"NodeName={NODE} Name=gpu File={path}\n" for path in DEVICES))
    step = folder / "bin/srun"  # a job's step: Snakemake's executor starts it without SLURM_CONF
    step.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun", path=_path())} "$@"\n')
    step.chmod(0o755)


def _free_ports() -> tuple[int, int]:
    """Return two ports of the loopback address that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def _start(command: Sequence[str], folder: Path, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    with (folder / f"{command[0]}.out").open("wb") as out:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # so that Ctrl-C reaches them by `cluster` alone
            preexec_fn=partial(end_with_parent, os.getpid()),  # if nobody is left to end them
        )


def _end(daemon: "subprocess.Popen[bytes]") -> None:
    daemon.terminate()
    try:
        daemon.wait(STOP_S)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()


def _cancel(environment: dict[str, str]) -> None:
    """Cancel all jobs and wait until none is left, which would otherwise go on without the daemons."""
    ask(environment, "scancel", f"--user={getpass.getuser()}")
    deadline = time.monotonic() + STOP_S
    while ask(environment, "squeue", "--noheader") and time.monotonic() < deadline:
        time.sleep(0.2)


def _wait_for_node(folder: Path, environment: dict[str, str], daemons: "Sequence[subprocess.Popen[bytes]]") -> None:
    deadline = time.monotonic() + START_S
    while "idle" not in ask(environment, "sinfo", "--noheader", "--format=%T"):
        if time.monotonic() > deadline or any(daemon.poll() is not None for daemon in daemons):
            said = [f"{path.name}: {path.read_text()[-2000:]}" for path in sorted(folder.glob("*.out"))]
            raise RuntimeError("\n".join(["the cluster did not start", *said]))
        time.sleep(0.2)


def main() -> int:
    """Run a command beside a cluster and return its exit status."""
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    with cluster(os.cpu_count() or 1, memory_mb) as environment:
        return subprocess.run(sys.argv[1:], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
