"""A study made small: few patients, trainings of a few rounds, one method of each kind; all else as in the study."""

import copy
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import pandas as pd
import yaml

from enrich import index
from enrich.config import PRECOMPUTED, Config, facts, method_of
from enrich.forecast.cohort import Counts, Patients, count
from enrich.forecast.jobs import Job, resolve
from enrich.last_words import last_words
from enrich.nnunet.checkpoint import read_checkpoint
from gan.errors import InputError

RUN = "miniature"
ITERATIONS = 10
IMPORT = re.compile(r"^import time: +(\d+) \| +\d+ \| +(\S+)$", re.MULTILINE)
KINDS = ("translates", "segments", "pretrained")
ENDING_S = 10  # for the miniature's programs to end, once they are told to


@dataclass(frozen=True)
class Measured:
    """What a job of the miniature took.

    Attributes:
        seconds: from start to end.
        start_s: of these, the imports of the program and of the processes that it starts.
        training_s: of these, rounds or epochs of a training.
        memory_gb: the most that it held, 10⁹ bytes; NaN where it was too short to be seen.
        disk_gb: what it left.
    """

    seconds: float
    start_s: float
    training_s: float
    memory_gb: float
    disk_gb: float


@dataclass(frozen=True)
class Miniature:
    """A miniature that ran.

    Attributes:
        config: its own, resolved.
        patients: its patients.
        depth: slices of a scan, by modality.
        jobs: what each of them took.
    """

    config: Config
    patients: Patients
    depth: Mapping[str, float]
    jobs: list[tuple[Job, Measured]]

    @cached_property
    def counts(self) -> Counts:
        """Its scans."""
        return count(self.config, self.patients)


def config_of(study: Config, data: Config) -> Config:
    """Return the config of a study's miniature on other `data`."""
    small = copy.deepcopy(study)
    small |= {"run": RUN, "data": data, "seeds": study["seeds"][:1], "report_megabytes": 1}
    small |= {"outer_folds": 0, "crossfit": 0, "gan_patients": "all", "label_fractions": [], "synthetic_fractions": []}
    watch = study["split"]["watch"] if isinstance(study["split"], dict) else 1
    if data["structures"] is not None:
        small["structures"] = None  # all that the table has
    if (weights := study["distance_features"]["weights"]) is not None:
        small["distance_features"]["weights"] = str(Path(weights).absolute())
    small["split"] = {"train": 0.5, "watch": min(1, watch), "seed": 0}
    small["controls"] = ["single"]
    small["statistics"] |= {"methods": None, "reference": "single"}
    small["intensity"]["preset"] = "default"
    small["correction"] = {"n4": False, "ct_field_of_view_mm": None}
    if small["missing"]:
        small["missing"] |= {"simulate": {}}
    nnunet = small["nnunet"]
    iterations, validation = nnunet["iterations"] or 250, nnunet["validation_iterations"] or 50
    used = min(iterations, ITERATIONS)
    nnunet |= {"folds": ["all"], "epochs": 2, "iterations": used, "devices": 1}
    nnunet["validation_iterations"] = max(1, round(validation * used / iterations))
    small["methods"], small["compositions"] = _representatives(study)
    for name, entry in small["methods"].items():
        about = facts(method_of(name, entry))
        _shorten(entry, small, about)
        for network in about.get("pretrained", {}):
            _shorten(entry.setdefault(network, {}), small, about)
    return small


def _representatives(study: Config) -> tuple[Config, Config]:
    """Return one method of each kind, and one composition of each with the methods that it is made of."""
    kinds: dict[Any, str] = {}
    for name, entry in study["methods"].items():
        if (method := method_of(name, entry)) != PRECOMPUTED:
            about = facts(method)
            kinds.setdefault(tuple(bool(about.get(key, key == "translates")) for key in KINDS), name)
    uses: dict[Any, str] = {}
    for name, entry in study["compositions"].items():
        if method_of(entry["translator"], study["methods"][entry["translator"]]) != PRECOMPUTED:
            uses.setdefault((entry["use"], entry["segmenter"] == "nnunet"), name)
    made_of = {study["compositions"][name][key] for name in uses.values() for key in ("translator", "segmenter")}
    kept = {*kinds.values(), *made_of}
    methods = {name: copy.deepcopy(entry) for name, entry in study["methods"].items() if name in kept}
    return methods, {name: study["compositions"][name] for name in uses.values()}


def _shorten(entry: Config, study: Config, about: Config) -> None:
    """Let a training last a few rounds of few slices, on one device."""
    for key in ("epochs", "patience", "patient_fraction", "devices"):
        entry.pop(key, None)
    count = 2 if about["scope"] == "2" else len(study["modalities"])
    entry |= {"rounds": 2, "batch_size": count if about.get("balanced") else 2}


def run(small: Config, folder: Path, project: Path, cores: int) -> Miniature:
    """Run a miniature in `folder`, with the workflow and the code of `project`.

    Raises:
        InputError: a job failed; says what it said last.
    """
    for name in ("Snakefile", "workflow", "enrich", "gan"):
        (folder / name).symlink_to(project / name)
    config = folder / "miniature.yaml"
    config.write_text(yaml.safe_dump(small, sort_keys=False))
    jobs = resolve(config, folder, cores)
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "all", "--configfile", str(config)]
    environment = os.environ | {"PYTHONPROFILEIMPORTTIME": "1", "PYTHONPATH": str(folder)}
    failed, said = _ran(command, folder, environment)
    if failed:
        with chdir(folder):
            words = last_words(map(str, Path(".snakemake/log").glob("*.log")))
        others = [line for line in said.splitlines() if line and not line.startswith("import time:")]
        why = (words or others[-1:] or ["a failure"])[0]
        raise InputError("calibration", why, "a miniature of the study that runs")
    scans = index.read(folder / f"results/{RUN}/scans.csv", index.SCANS)
    patients = [(str(row.patient), str(row.modality), str(row.label)) for row in scans.itertuples()]
    depth = {str(name): float(rows["z"].mean()) for name, rows in scans.groupby("modality")}
    return Miniature(small, patients, depth, list(_measured(jobs, folder)))


def _ran(command: list[str], folder: Path, environment: Mapping[str, str]) -> tuple[int, str]:
    """Run a command in `folder` and return its exit code and errors; interrupted, it ends with all that it started."""
    process = subprocess.Popen(  # noqa: S603
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        _, said = process.communicate()
        return process.returncode, said
    except BaseException:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDING_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise


def _measured(jobs: list[Job], folder: Path) -> Iterator[tuple[Job, Measured]]:
    """Yield every job that ran a program, and what it took."""
    sizes = disk(jobs, folder)
    for place, job in enumerate(jobs):
        if job.benchmark is None or job.log is None:
            continue
        row = pd.read_csv(folder / job.benchmark, sep="\t", na_values=["NA", "-"]).iloc[0]
        imports = imports_s((folder / job.log).read_text(errors="replace"))
        seconds = float(row["s"])
        epochs = _epochs(folder / job.outputs[0]) if job.rule == "nnunet_train" else 0.0
        memory = float(row["max_rss"]) * 2**20 / 1e9
        yield job, Measured(seconds, min(imports, seconds - epochs), epochs, memory, sizes[place] / 1e9)


def imports_s(log: str) -> float:
    """Return the seconds of a program's imports, and of the same by the processes that it starts, all at once.

    Of a module that several processes imported the first two times count: the program's, and that of one of the others.
    """
    times: dict[str, list[int]] = {}
    for seconds, module in IMPORT.findall(log):
        times.setdefault(module, []).append(int(seconds))
    return sum(sum(own[:2]) for own in times.values()) / 1e6


def _epochs(checkpoint: Path) -> float:
    """Return the seconds that the last of an nnU-Net's epochs took, times their number."""
    log = read_checkpoint(checkpoint)["logging"]
    times = [end - start for start, end in zip(log["epoch_start_timestamps"], log["epoch_end_timestamps"], strict=True)]
    return cast(float, times[-1] * len(times))


def disk(jobs: list[Job], folder: Path) -> list[int]:
    """Return the bytes that each job left: of a file that no job names, the job that made the nearest one above."""
    owner: dict[Path, int] = {}
    for place, job in enumerate(jobs):
        for path in job.outputs:
            owner[path] = place
            owner.setdefault(path.parent, place)
            owner.setdefault(path.with_suffix(""), place)
    sizes = [0] * len(jobs)
    for found in (folder / "results").rglob("*"):
        path = found.relative_to(folder)
        near = next((owner[place] for place in (path, *path.parents) if place in owner), None)
        if (
            near is not None
            and found.is_file()
            and not found.is_symlink()
            and not {"logs", "benchmarks"} & {*path.parts}
        ):
            sizes[near] += found.stat().st_size
    return sizes
