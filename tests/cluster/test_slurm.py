"""A study through the Slurm profile on a real cluster: a killed job is retried, and the table is a local run's."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from enrich.forecast.jobs import resolve
from tests.cluster import slurm
from tests.cluster.study import PROFILES, SCORES, TABLE, project

LACKING = slurm.missing()
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(bool(LACKING), reason=f"no {', '.join(LACKING)}: install slurm-wlm and munge"),
]
KILLED = "train_gan"
WAIT_S = 1800
MEMORY_MB = 64_000  # that the node is said to have; nobody measures what jobs take


def lines(environment):
    """Return the facts that Slurm knows of each job, by its number; a job's comment names its rule."""
    text = slurm.ask(environment, "scontrol", "--oneliner", "show", "job")
    found = [dict(word.split("=", 1) for word in line.split() if "=" in word) for line in text.splitlines()]
    return {int(job["JobId"]): job for job in found if "Comment" in job}


def rule(job):
    return re.match(r"rule_(.*?)(_wildcards_|$)", job["Comment"])[1]


def kill_first(environment, folder, running):
    """Cancel the training of a GAN when it has left a checkpoint, in its middle; return its number."""
    checkpoint = folder / "results/tiny/gan/stargan/all/seed0/checkpoint.pt"
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and running.poll() is None:
        for number, job in lines(environment).items():
            if rule(job) == KILLED and job["JobState"] == "RUNNING" and checkpoint.exists():
                slurm.ask(environment, "scancel", str(number))
                return number
        time.sleep(0.2)
    return None


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What came of the study: its folder, Slurm's jobs by number, and the one that was killed."""
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="the extra slurm is not installed")
    folder = tmp_path_factory.mktemp("slurm") / "project"
    config = project(folder)
    command = [sys.executable, "-m", "snakemake", "--profile", str(PROFILES / "slurm"), TABLE]
    options = ["--configfile", str(config), "--slurm-status-command", "squeue"]
    quickly = ["--slurm-init-seconds-before-status-checks", "10", "--latency-wait", "10"]
    with slurm.cluster(os.cpu_count() or 1, MEMORY_MB) as environment, (folder / "said").open("w") as said:
        start = time.monotonic()
        snakemake = subprocess.Popen(
            [*command, *options, *quickly], cwd=folder, env=environment, stdout=said, stderr=said
        )
        try:
            killed = kill_first(environment, folder, snakemake)
            status = snakemake.wait(WAIT_S)
        finally:
            snakemake.kill()
        seconds = time.monotonic() - start
        jobs = lines(environment)
    text = (folder / "said").read_text()
    sys.stderr.write(f"{len(jobs)} jobs of a cluster: {seconds:.0f} s\n")
    assert status == 0, text[-5000:]
    return folder, jobs, killed


def test_a_killed_training_is_retried_with_more_memory_and_goes_on_after_its_checkpoint(run):
    folder, jobs, killed = run
    first, second = sorted(number for number, job in jobs.items() if rule(job) == KILLED)
    assert first == killed
    assert [jobs[number]["JobState"] for number in (first, second)] == ["CANCELLED", "COMPLETED"]
    asked = [memory_mb(jobs[number]) for number in (first, second)]
    assert asked[1] > 1.5 * asked[0]
    assert "going on after round" in (folder / "results/tiny/logs/gan/stargan_all_seed0.log").read_text()


def memory_mb(job):
    number, unit = re.search(r"mem=([\d.]+)([MG])", job["TRES"]).groups()
    return float(number) * {"M": 1, "G": 1024}[unit]


def test_the_table_is_that_of_a_local_run_to_the_last_byte(run, tmp_path):
    folder, _, _ = run
    local = tmp_path / "project"
    config = project(local)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", TABLE, "--configfile", str(config)]
    start = time.monotonic()
    done = subprocess.run(command, cwd=local, capture_output=True, text=True, check=False)
    sys.stderr.write(f"the same without a cluster: {time.monotonic() - start:.0f} s\n")
    assert done.returncode == 0, done.stderr[-3000:]
    for name in (SCORES, TABLE):
        assert (folder / name).read_bytes() == (local / name).read_bytes()


def test_every_job_ran_once_and_with_the_gpus_that_it_can_use(run):
    folder, jobs, killed = run
    planned = {job.rule: job.gpus for job in resolve(folder / "tiny.yaml", folder, cores=1)}
    for number, job in jobs.items():
        assert job["JobState"] == ("CANCELLED" if number == killed else "COMPLETED")
        assert ("gpu:1" in job.get("TresPerJob", "")) == bool(planned[rule(job)]), job
        assert job["NumCPUs"] == "1"
    assert {"train_gan", "nnunet_train"} <= {rule(job) for job in jobs.values()} <= planned.keys()


def test_the_daemons_end_with_the_cluster():
    with slurm.cluster(1, 1000) as environment:
        config = Path(environment["SLURM_CONF"])
        assert daemons(config.parent) == {"munged", "slurmctld", "slurmd"}
        job = slurm.ask(environment, "sbatch", "--parsable", "--output=/dev/null", "--wrap=sleep 600")
        deadline = time.monotonic() + 60
        while state(environment, job) != "RUNNING":
            assert time.monotonic() < deadline, job
            time.sleep(0.1)
    assert daemons(config.parent) == set()
    assert not config.parent.exists()


def state(environment, job):
    return slurm.ask(environment, "squeue", "--noheader", "--format=%T", f"--jobs={job.strip()}").strip()


def daemons(folder):
    """Return the programs that run with something of a folder on their command lines."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_text().split("\0")
        except OSError:  # it has ended meanwhile
            continue
        if any(str(folder) in word for word in words):
            found.add(Path(words[0]).name)
    return found
