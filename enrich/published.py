"""What papers report on the data sets that we read, to print beside our own figures."""

from dataclasses import dataclass
from itertools import product

TARGETS = "all modalities"


@dataclass(frozen=True)
class Published:
    """One published table of segmentation results.

    Attributes:
        citation: the paper and its table.
        patients: test patients of each modality.
        rows: by method its title, the modalities whose target masks its translator saw, and (mean, standard deviation)
            by metric and modality.
    """

    citation: str
    patients: int
    rows: dict[str, tuple[str, str, dict[tuple[str, str], tuple[float, float]]]]


def _cells(*numbers: float) -> dict[tuple[str, str], tuple[float, float]]:
    columns = product(("dice_percent", "ravd_percent"), ("ct", "t1", "t2"))
    return dict(zip(columns, zip(numbers[::2], numbers[1::2], strict=True), strict=True))


# fmt: off
PUBLISHED = {
    ("chaos", "liver"): Published(
        "Chen et al. 2021, Table 2",
        patients=10,
        rows={
            "single": ("Single", "–", _cells(
                96.29, 0.74, 93.53, 2.43, 89.24, 8.18, 3.31, 1.80, 3.81, 3.49, 11.68, 14.37)),
            "stargan": ("StarGAN", "none", _cells(
                96.65, 0.34, 92.71, 1.66, 86.38, 4.95, 3.07, 1.53, 5.40, 2.87, 15.71, 9.85)),
            "csgan": ("CSGAN", TARGETS, _cells(
                96.08, 2.05, 87.47, 5.97, 86.35, 6.29, 4.47, 3.94, 15.74, 14.18, 8.23, 8.55)),
            "remic": ("ReMIC", TARGETS, _cells(
                93.81, 1.43, 86.33, 8.50, 82.70, 4.36, 5.33, 3.55, 8.06, 8.80, 10.62, 6.80)),
            "targan": ("TarGAN", TARGETS, _cells(
                97.06, 0.62, 94.02, 2.00, 90.94, 6.28, 2.33, 1.60, 3.50, 1.82, 9.92, 11.17)),
        },
    ),
}
"""By data set and structure: TarGAN's liver segmentations on CHAOS. Its CSGAN and ReMIC segment by themselves."""
