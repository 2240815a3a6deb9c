"""Tell before a launch what a study will take on this machine: jobs, hours, memory and disk, by rule.

    python -m enrich.forecast my-study.yaml [--cores 8] [--output forecast.json]

Every method plays some rounds, and a miniature of the study runs from end to end in a temporary folder: minutes, or
longer where a round or an nnU-Net's batch takes as long. The whole study is forecast, whatever of it is finished.
"""

import argparse
import json
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing import active_children
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from enrich.config import resolve as resolve_config
from enrich.forecast import cohort, miniature
from enrich.forecast.estimate import Estimate, Study, estimate
from enrich.forecast.jobs import Job, resolve
from enrich.forecast.plans import batch_sizes, planned
from enrich.forecast.schedule import Schedule, simulate
from enrich.forecast.trainings import paces, trainings
from gan.errors import InputError, run
from gan.files import publish
from gan.reading import read_yaml

PROJECT = Path(__file__).resolve().parents[2]
COLUMNS = ("jobs", "hours", "gpu_hours", "memory_gb", "disk_gb")


def forecast(config_file: Path, cores: int) -> dict[str, Any]:
    """Return the forecast of a study.

    Returns:
        `rules` and, of all of them, `total`, each with jobs, hours (the sum of all jobs'), gpu_hours (the same,
        times the GPUs that a job takes; 0 without one), memory_gb (of the largest job), disk_gb; in `total` also
        wall_hours on these cores and GPUs, and at_once_gb, the most memory that jobs hold together. 10⁹ bytes.

    Raises:
        InputError: a config or data that the study would refuse, or a calibration that failed.
    """
    config, gpus = (
        resolve_config(read_yaml(config_file, "the config of a study"), config_file),
        torch.cuda.device_count(),
    )
    jobs = resolve(config_file, PROJECT, cores)
    if gpus and (most := max(job.gpus for job in jobs)) > gpus:
        raise InputError("GPUs", gpus, f"at least {most}, for one job of the study")
    scans = cohort.scans_of(config)
    counts = cohort.count(config, cohort.patients_of(config, scans))
    threads = min(config["threads"], cores)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, prepare_s = cohort.few(config, scans, folder / "few", threads)
        small = miniature.run(miniature.config_of(config, data), folder, PROJECT, cores)
        ran = [job for job, _ in small.jobs]
        ours = [planned(job, config, counts) for job in jobs if job.rule == "nnunet_train"]
        theirs = [planned(job, small.config, small.counts) for job in ran if job.rule == "nnunet_train"]
        batches = batch_sizes(config["nnunet"], ran, folder, [*ours, *theirs])
    trained = trainings(config)
    measured = paces(trained, config["image_size"], threads, cores)
    estimates = estimate(Study(config, counts, jobs, trained, measured, batches, prepare_s), small)
    seconds, memory = [one.seconds for one in estimates], [one.memory_gb for one in estimates]
    return summary(jobs, estimates, gpus, simulate(jobs, seconds, memory, cores, gpus))


def summary(jobs: Sequence[Job], estimates: Sequence[Estimate], gpus: int, schedule: Schedule) -> dict[str, Any]:
    """Return the figures of every rule and of all."""

    def figures(chosen: Sequence[tuple[Job, Estimate]]) -> dict[str, float]:
        return {
            "jobs": len(chosen),
            "hours": sum(one.seconds for _, one in chosen) / 3600,
            "gpu_hours": sum(one.seconds * job.gpus for job, one in chosen) / 3600 if gpus else 0.0,
            "memory_gb": max(one.memory_gb for _, one in chosen),
            "disk_gb": sum(one.disk_gb for _, one in chosen),
        }

    pairs = list(zip(jobs, estimates, strict=True))
    rules = dict.fromkeys(job.rule for job in jobs)
    whole = figures(pairs) | {"wall_hours": schedule.wall_s / 3600, "at_once_gb": schedule.memory_gb}
    return {
        "rules": {rule: figures([pair for pair in pairs if pair[0].rule == rule]) for rule in rules},
        "total": whole,
    }


def table(found: dict[str, Any], cores: int, gpus: int) -> str:
    """Return a forecast as text."""
    lines = [f"{'rule':24}" + "".join(f"{name:>12}" for name in COLUMNS)]
    for name, figures in [*found["rules"].items(), ("total", found["total"])]:
        lines.append(f"{name:24}{figures['jobs']:12}" + "".join(f"{figures[column]:12.3f}" for column in COLUMNS[1:]))
    total = found["total"]
    means = f"{cores} cores and {gpus} GPUs" if gpus else f"{cores} cores; no GPU, which leaves gpu_hours at 0"
    return "\n".join(
        [
            *lines,
            f"{total['wall_hours']:.2f} hours of wall time on {means}; at most {total['at_once_gb']:.1f} GB at once",
        ]
    )


def _end(number: int, _: FrameType | None) -> None:
    """End at once with all that was started, and leave nothing behind."""
    signal.signal(number, signal.SIG_IGN)
    for process in active_children():
        process.kill()
    sys.exit(128 + number)


def main() -> None:
    """Parse the command line, forecast and print."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    parser = argparse.ArgumentParser(prog="python -m enrich.forecast", description="Forecast what a study will take.")
    parser.add_argument("config", type=Path)
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="that snakemake will be given; default: all")
    parser.add_argument("--output", type=Path, help="also write the forecast as JSON")
    arguments = parser.parse_args()
    if arguments.cores < 1:
        raise InputError("--cores", arguments.cores, "at least 1")
    found = forecast(arguments.config, arguments.cores)
    sys.stdout.write(table(found, arguments.cores, torch.cuda.device_count()) + "\n")
    if arguments.output:
        with publish(arguments.output) as temporary:
            temporary.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
