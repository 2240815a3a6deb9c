"""What every job of a study takes, from what like jobs of its miniature took.

A job starts, which takes as long as in the miniature, and works, which takes longer by the scans that it has to do
with, or by the rounds that it plays. Disk grows with the scans, memory does not. Not told are what several devices say
to each other, and the kernel distance's growth with the square of the slices.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch

from enrich.config import Config
from enrich.crossfit import MEAN
from enrich.forecast.cohort import Counts
from enrich.forecast.jobs import Job
from enrich.forecast.miniature import Measured, Miniature
from enrich.forecast.plans import Planned, planned
from enrich.forecast.rounds import Pace
from enrich.forecast.trainings import Key, Training

TRAININGS = ("pretrain", "train_gan", "train_segmenter")
WHOLE = ("phantom", "prepare", "missing", "precomputed", "control", "fill", "nnunet_dataset")
TRAINING = ("enriched_slices", "cases", "nnunet_preprocess")
TESTING = ("nnunet_predict", "segment", "segment_translations", "segment_sources", "evaluate")
TRANSLATED = ("score_translations", "score_bounds", "distances", "distances_of_sources")
TRANSLATING = ("segment_translations", "segment_sources")  # of every modality but their own
LIKE = {"synthesize_tests": "synthesize"}  # only cross-fitting has the former, and no miniature that
FOLDED = ("nnunet_predict", "segment_translations", "segment_sources")  # once by every fold's network
EPOCHS, ITERATIONS, VALIDATION, FOLDS = 1000, 250, 50, 5  # nnU-Net's own


@dataclass(frozen=True)
class Estimate:
    """What one job will take: seconds, and the most memory and the disk in 10⁹ bytes."""

    seconds: float
    memory_gb: float
    disk_gb: float


@dataclass(frozen=True)
class Study:
    """A study, as far as its jobs depend on it.

    Attributes:
        config: resolved.
        counts: of its scans.
        jobs: all of them.
        trainings: what its methods train.
        paces: of these trainings.
        batches: cases in a batch of nnU-Net's, of the study's data sets and of its miniature's.
        prepare_s: seconds of one core to read and prepare one scan; 0 where the miniature's own are the study's.
    """

    config: Config
    counts: Counts
    jobs: Sequence[Job]
    trainings: Mapping[Key, Training]
    paces: Mapping[Key, Pace]
    batches: Mapping[Planned, int]
    prepare_s: float


def estimate(study: Study, small: Miniature) -> list[Estimate]:
    """Return what each job of a study will take, in their order; without a like one, what the shortest did."""
    ran = [job for job, _ in small.jobs]

    def one(job: Job) -> Estimate:
        if job.benchmark is None:
            return Estimate(0, 0, 0)
        like = _alike(job, small)
        if not like:
            seen = [found for _, found in small.jobs if not math.isnan(found.memory_gb)]
            shortest = min(seen, key=lambda found: found.seconds)
            return Estimate(shortest.seconds, shortest.memory_gb, 0)
        measured = [found for _, found in like]
        memory = max((found.memory_gb for found in measured if not math.isnan(found.memory_gb)), default=0.0)
        disk, start = fmean(found.disk_gb for found in measured), fmean(found.start_s for found in measured)
        if job.rule in TRAININGS:
            return _training(job, study, small, like)
        if job.rule == "nnunet_train":
            seconds = _nnunet(job, study, small, like) + _validation(job, study, small)
            return Estimate(seconds, memory * study.config["nnunet"]["devices"], disk)
        own = _units(job, study.config, study.counts, study.jobs)
        ratio = fmean(own / _units(other, small.config, small.counts, ran) for other, _ in like)
        work = fmean(found.seconds - found.start_s for found in measured) * ratio
        if job.rule == "prepare" and study.prepare_s:
            work = study.prepare_s * own / min(job.threads, own)
        if job.rule in ("synthesize", "synthesize_tests"):
            slices = own * fmean(small.depth.values()) * (len(study.config["modalities"]) - 1)
            slower = _pace(study, job).image_s - fmean(_pace(study, other).image_s for other, _ in like)
            work = max(work + slices * slower, 0)
        return Estimate(start + work, memory, disk * ratio)

    return [one(job) for job in study.jobs]


def _alike(job: Job, small: Miniature) -> list[tuple[Job, Measured]]:
    """Return the miniature's jobs of a rule that share the most wildcards; none without such a rule."""
    same = [pair for pair in small.jobs if pair[0].rule == LIKE.get(job.rule, job.rule)]
    shared = [len(job.wildcards.items() & other.wildcards.items()) for other, _ in same]
    return [pair for pair, number in zip(same, shared, strict=True) if number == max(shared)]


def _units(job: Job, config: Config, counts: Counts, jobs: Sequence[Job]) -> float:
    """Return the scans that a job has to do with; what gathers has to do with those of all that is scored."""
    found: float
    if job.rule == "slices":
        found = counts.slices.total()
    elif job.rule in ("synthesize", "synthesize_tests"):
        whole, tests = job.rule == "synthesize", counts.testing.total()
        mean = (config["crossfit_test"] if whole else job.wildcards["test"]) == MEAN  # of every fold's translations
        found = (counts.scans.total() - tests if whole else 0) + tests * (max(1, config["crossfit"]) if mean else 1)
    elif job.rule in TRAINING:
        found = planned(job, config, counts)[1]
    elif job.rule in (*WHOLE, *TESTING, *TRANSLATED):
        kind = counts.scans if job.rule in WHOLE else counts.testing
        modality = job.wildcards.get("modality", "") if job.rule not in TRANSLATING else ""
        found = kind[modality] or kind.total()
    else:
        found = counts.testing.total() * sum(other.rule == "evaluate" for other in jobs)
    return max(1, found) * (len(config["nnunet"]["folds"]) if job.rule in FOLDED else 1)


def _key(job: Job) -> Key:
    return job.wildcards["name"], job.wildcards.get("network", "")


def _pace(study: Study, job: Job) -> Pace:
    return study.paces[_key(job)]


def _training(job: Job, study: Study, small: Miniature, like: Sequence[tuple[Job, Measured]]) -> Estimate:
    """Return what a method's training takes: its rounds, and what else the miniature's took."""
    pace, training = _pace(study, job), study.trainings[_key(job)]

    def rest(other: Job, found: Measured) -> float:
        theirs = study.trainings[_key(other)]
        entry = small.config["methods"][other.wildcards["name"]]
        entry = entry.get(other.wildcards.get("network", ""), entry)
        share = entry["batch_size"] / theirs.on_one_device.batch_size  # of a round
        played = float(entry["rounds"] * share * _pace(study, other).round_s)
        return max(found.seconds - played, found.start_s)

    if job.rule == "train_segmenter":
        modality = job.wildcards["modality"]
        scans = {modality: study.counts.training[modality]}
    else:
        counted = study.counts.labelled if training.settings.reads_target else study.counts.gan
        scans = {name: counted[name] for name in training.modalities[job.wildcards["training"]]}
    rounds = training.rounds(scans, small.depth)
    seconds = fmean(rest(other, found) for other, found in like) + rounds * pace.round_s
    return Estimate(seconds, pace.memory_gb * training.settings.devices, pace.model_gb)


def _nnunet(job: Job, study: Study, small: Miniature, like: Sequence[tuple[Job, Measured]]) -> float:
    """Return the seconds of an nnU-Net's training without its last validation."""
    ours, theirs = study.config["nnunet"], small.config["nnunet"]
    named = re.search(r"_(\d+)epochs?$", ours["trainer"])
    epochs: int = ours["epochs"] or (int(named[1]) if named else EPOCHS)
    batches: int = (ours["iterations"] or ITERATIONS) + (ours["validation_iterations"] or VALIDATION)
    played: int = (theirs["iterations"] + theirs["validation_iterations"]) * theirs["epochs"]
    shares = ours["devices"] if torch.cuda.is_available() else 1
    size = max(1, study.batches[planned(job, study.config, study.counts)] / shares)
    small_sizes = [study.batches[planned(other, small.config, small.counts)] for other, _ in like]
    case_s = fmean(found.training_s / few for (_, found), few in zip(like, small_sizes, strict=True)) / played
    return fmean(found.seconds - found.training_s for _, found in like) + epochs * batches * size * case_s


def _validation(job: Job, study: Study, small: Miniature) -> float:
    """Return the seconds in which a fold predicts its own validation cases; none where all cases train."""
    if job.wildcards["fold"] == "all":
        return 0.0
    predictions = [
        (found.seconds - found.start_s) / small.counts.testing[other.wildcards["modality"]]
        for other, found in small.jobs
        if other.rule == "nnunet_predict"
    ]
    modality = job.wildcards["modality"]
    cases: int = study.counts.training[modality] or study.counts.training.total()
    return fmean(predictions) * cases / FOLDS
