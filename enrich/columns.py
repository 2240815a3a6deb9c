"""The columns of the tables of scores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """A kind of table.

    Attributes:
        columns: all of them, in order.
        keys: those that together name a row.
        order: of the keys, for sorting.
        integers: columns of whole numbers.
        numbers: columns of numbers that may be undefined.
    """

    columns: list[str]
    keys: list[str]
    order: list[str]
    integers: list[str]
    numbers: list[str]


METRICS = ["dice_percent", "ravd_percent", "assd_mm", "mssd_mm", "hd95_mm", "chaos_score", "slice_dice_percent"]
TRANSLATION_METRICS = ["s_score_percent", "psnr_db", "ssim", "mi_nats", "mae_in_target", "slice_consistency"]
OF_REAL_TARGETS = ["psnr_db", "ssim", "mae_in_target"]
"""Those that compare a translation with the real scan of its target."""
FLOOR, CEILING = "copy", "real"
"""Methods of the translation tables that are no translator: the source, or a real scan, in a translation's place."""


def _table(keys: str, order: str, integers: str, numbers: list[str], text: str = "") -> Table:
    named, whole = keys.split(), integers.split()
    columns = [*named, *(name for name in whole if name not in named), *numbers, *text.split()]
    return Table(columns, named, order.split(), whole, numbers)


SEGMENTATION = _table(
    "patient case modality method seed structure",
    "structure modality method seed patient case",
    "seed",
    [*METRICS, "reference_ml", "prediction_ml"],
    "note",
)
TRANSLATION = _table(
    "patient case source target method seed fit",
    "method target source seed fit patient case",
    "seed",
    TRANSLATION_METRICS,
)
DISTRIBUTION = _table(
    "source target method seed fit backbone outer",
    "backbone method target source seed fit outer",
    "seed outer features n_real n_fake",
    ["fid", "kid"],
)
TABLES = {"segmentation": SEGMENTATION, "translation": TRANSLATION, "distribution": DISTRIBUTION}
