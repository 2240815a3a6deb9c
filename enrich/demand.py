"""What jobs ask a cluster for: memory and time, by the size of the data.

Every formula is a start, what Python and its libraries hold, and bytes for each voxel of the largest scan: one and a
half to four times what was measured. On a CPU, with two threads and CTs and MRs of 66 × 384² voxels (9.7 million), jobs
held at most 0.8 GB (evaluate), 0.9 (prepare), 1.5 (synthesize), 1.6 (StarGAN of width 4, batches of 4 × 256²), 2.0
(nnunet_predict), 2.1 (slices), 4.3 (nnunet_train) and 5.5 (nnunet_preprocess, nnU-Net's own 10⁸ samples). On a GPU
nothing was measured. Too little is healed by a retry: what is asked for grows with the attempt.
"""

import csv
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path

LOGITS = 40  # bytes for each voxel and class, or channel, of a network's prediction
PARAMETERS_GB = 2.6  # weights, gradients, Adam's moments and moving average of 130 million, the most at width 64
FEATURES = 768  # bytes for each pixel and channel of the first layer, forward and backward, without a GPU
CUDA_GB = 5.0


@dataclass(frozen=True)
class Scans:
    """The size of a study.

    Attributes:
        number: of its scans.
        voxels: of the largest.
    """

    number: int
    voxels: int


UNKNOWN = Scans(number=100, voxels=100 * 512 * 512)  # before scans.csv is there


def scans_of(path: Path) -> Scans:
    """Return the size of the scans that `scans.csv` lists; `UNKNOWN` where it is not written yet, or was cut.

    Whoever reads its scans refuses the latter by its hash.
    """
    try:
        return _scans_of(path, path.stat().st_mtime_ns)
    except (OSError, KeyError, TypeError, ValueError, csv.Error):
        return UNKNOWN


@cache
def _scans_of(path: Path, _written: int) -> Scans:
    with path.open(newline="") as file:
        sizes = [int(row["z"]) * int(row["y"]) * int(row["x"]) for row in csv.DictReader(file)]
    return Scans(len(sizes), max(sizes)) if sizes else UNKNOWN


def reading_gb(scans: Scans, workers: int = 1) -> float:
    """Return what processes take that hold a scan each."""
    return 1 + workers * (0.5 + _gb(150 * scans.voxels))


def scoring_gb(scans: Scans) -> float:
    """Return what comparing two scans takes, distances and SSIM included."""
    return 1 + _gb(200 * scans.voxels)


def translating_gb(scans: Scans, modalities: int, threads: int) -> float:
    """Return what a translator takes, with the scans that its threads read and write meanwhile."""
    return 3 + _gb(16 * modalities * (threads + 2) * scans.voxels)


def predicting_gb(scans: Scans, channels: int, classes: int) -> float:
    """Return what an nnU-Net takes that segments one scan after another."""
    return 3 + _gb(LOGITS * (channels + classes) * scans.voxels)


def preprocessing_gb(scans: Scans, channels: int, samples: int, workers: int) -> float:
    """Return what nnU-Net's planning takes, which draws `samples` voxels of each channel, and its preprocessing."""
    return 1 + channels * _gb(16 * samples) + workers * (1 + _gb(200 * channels * scans.voxels))


def nnunet_training_gb(gpu_memory_gb: float | None, workers: int, devices: int) -> float:
    """Return what an nnU-Net's training takes: a batch for `gpu_memory_gb`, nnU-Net's own 8, and what augments it."""
    return devices * (4 + (gpu_memory_gb or 8) + workers)


def training_gb(pixels: int, width: int, devices: int, gpu: bool) -> float:
    """Return what a GAN's training takes with `pixels` in a batch; with a GPU, the layers lie in its memory."""
    features = 0.0 if gpu else _gb(FEATURES * pixels * width)
    return devices * (CUDA_GB * gpu + 1 + 2 * PARAMETERS_GB * (width / 64) ** 2) + 2 * features


def by_attempt(gb: float, attempt: int) -> str:
    """Return memory as Snakemake reads it, more of it at each attempt."""
    return f"{ceil(gb * attempt)}GB"


def hours(scans: Scans, seconds: float, attempt: int) -> str:
    """Return an hour and `seconds` for every million voxels of all scans, more of both at each attempt."""
    return f"{ceil(attempt * (1 + scans.number * scans.voxels / 1e6 * seconds / 3600))}h"


def _gb(size: float) -> float:
    return size / 1e9
