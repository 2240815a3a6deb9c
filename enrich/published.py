"""What papers report, to print beside our own figures, and how far a study is from what they did."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import pandas as pd
import yaml

from enrich.config import SCHEMA, Config, changes, resolve

TARGETS = "all modalities"
CONFIGS = SCHEMA.parents[1] / "config"
PROTOCOLS = sorted(CONFIGS.glob("paper-*.yaml"))
ADDED = (
    "threads",
    "overwrite",
    "controls",
    "compositions",
    "statistics",
    "report_megabytes",
    "seeds",
)  # deviate from no protocol
NOT_PROTOCOL = ("run", "data.folder", "data.phantom", "distance_features")

Cells = dict[tuple[str, str], tuple[float, float]]


@dataclass(frozen=True)
class Published:
    """A published table.

    Attributes:
        citation: the paper and its table.
        kind: the table of ours that it stands in: `segmentation`, `translation` or `ablation`.
        reader: of its data; None for data that no reader reads, whose figures stand in a note.
        structure: that was segmented.
        patients: test patients of each modality; None where the paper does not say.
        protocol: the config beside `chaos.yaml` that does what the paper did, as far as a config can.
        note: what no config can say: how its figures differ from ours.
        rows: by method its title, the modalities whose target masks its translator saw, and (mean, standard deviation)
            by metric and modality (of other data, by what the paper tells apart); NaN where no deviation is published.
    """

    citation: str
    kind: str
    reader: str | None
    structure: str
    patients: int | None
    protocol: str
    note: str
    rows: dict[str, tuple[str, str, Cells]]

    @property
    def modalities(self) -> list[str]:
        """The modalities of its columns, in order."""
        return list(dict.fromkeys(modality for _, _, cells in self.rows.values() for _, modality in cells))

    @property
    def metrics(self) -> set[str]:
        """The metrics of its columns."""
        return {metric for _, _, cells in self.rows.values() for metric, _ in cells}

    def deviations(self, config: Config) -> list[str]:
        """Return the keys in which a study is not the paper's protocol, each with both values.

        Methods count where both have an entry of the same name.
        """
        path = CONFIGS / self.protocol
        paper = resolve(yaml.safe_load(path.read_text()), path)
        default = "the default"
        return [
            f"{key} {default if ours == 'nothing' else ours} (paper: {default if theirs == 'nothing' else theirs})"
            for key, theirs, ours in changes(config, paper, ignored=ADDED)
            if not key.startswith(NOT_PROTOCOL)
        ]

    def notes(self, config: Config) -> list[str]:
        """Return what is to be known before a study's figures are held against these."""
        found = self.deviations(config)
        named = f"the keys of workflow/config/{self.protocol}"
        deviations = f"deviates in {'; '.join(found)}" if found else "does not deviate in any key"
        return [f"{self.citation}: {self.note} This run, held against {named}, {deviations}."]

    def figures(self, modalities: Iterable[str]) -> pd.DataFrame:
        """Return its figures of some modalities: source, method, title, labels_used, modality, metric, mean, std, n."""
        wanted = set(modalities)
        names = ["source", "method", "title", "labels_used", "modality", "metric", "mean", "std", "n"]
        rows = [
            (self.citation, method, title, labels, modality, metric, mean, std, self.patients)
            for method, (title, labels, cells) in self.rows.items()
            for (metric, modality), (mean, std) in cells.items()
            if modality in wanted
        ]
        return pd.DataFrame(rows, columns=names)

    def sentence(self) -> str:
        """Return the figures as a note under a table that has no columns for them."""
        rows = [
            f"{title} " + ", ".join(f"{column} {_spread(*values)}" for (_, column), values in cells.items())
            for title, _, cells in self.rows.values()
        ]
        return f"Published on other data, not comparable ({self.citation}; {self.note}): {'; '.join(rows)}."


def of(kind: str, reader: str, structure: str, modalities: Iterable[str]) -> list[Published]:
    """Return the tables of a kind of a reader's data, a structure and any of the modalities; none for a phantom."""
    wanted = (kind, reader, structure)
    return [
        table
        for table in PUBLISHED
        if (table.kind, table.reader, table.structure) == wanted and set(table.modalities) & set(modalities)
    ]


def elsewhere(kind: str, methods: Iterable[str]) -> list[Published]:
    """Return the tables of a kind whose data no reader reads, for a study that has all of their methods."""
    known = set(methods)
    return [table for table in PUBLISHED if table.kind == kind and table.reader is None and table.rows.keys() <= known]


def _spread(mean: float, deviation: float) -> str:
    return f"{mean:g}" if math.isnan(deviation) else f"{mean:g} ± {deviation:g}"


def _cells(metrics: Iterable[str], columns: Iterable[str], numbers: Iterable[float], *, spread: bool = True) -> Cells:
    """Arrange numbers as printed: for each metric and column the mean and, with `spread`, its deviation."""
    values = iter(numbers)
    return {column: (next(values), next(values) if spread else math.nan) for column in product(metrics, columns)}


def _chaos(*numbers: float) -> Cells:
    return _cells(("dice_percent", "ravd_percent"), ("ct", "t1", "t2"), numbers)


def _fid_s_score(*numbers: float) -> Cells:
    return _cells(("fid", "s_score_percent"), ("ct", "t1", "t2"), numbers, spread=False)


def _s_score(*numbers: float) -> Cells:
    return _cells(("s_score_percent",), ("ct", "t1", "t2"), numbers, spread=False)


def _psnr_ssim(*numbers: float) -> Cells:
    return _cells(("psnr_db", "ssim"), ("flair", "t1", "t1ce"), numbers)


def _slice_dice(*numbers: float) -> Cells:
    return _cells(("slice_dice_percent",), ("t2",), numbers)


def _mean(metric: str, *numbers: float) -> Cells:
    return _cells((metric,), ("CT", "MR"), numbers, spread=False)


# fmt: off
PUBLISHED = (
    Published(
        "Chen et al. 2021, Table 1", "translation", "chaos", "liver", 10, "paper-targan.yaml",
        "Its FID has features of Models Genesis, by the first author's account: not comparable with that of another"
        " backbone. Its segmenters for the S-score are its own; which patients train, and the settings of StarGAN,"
        " CSGAN and ReMIC, are not said.",
        rows={
            "stargan": ("StarGAN", "none", _fid_s_score(0.0488, 0.1179, 0.2615, 42.89, 29.23, 42.17)),
            "csgan": ("CSGAN", TARGETS, _fid_s_score(0.0484, 0.1396, 0.4819, 56.72, 45.67, 69.09)),
            "remic": ("ReMIC", TARGETS, _fid_s_score(0.0912, 0.1151, 0.5925, 51.03, 32.00, 69.58)),
            "targan": ("TarGAN", TARGETS, _fid_s_score(0.0418, 0.0985, 0.2431, 57.13, 65.79, 69.63)),
        },
    ),
    Published(
        "Chen et al. 2021, Table 2", "segmentation", "chaos", "liver", 10, "paper-targan.yaml",
        "Its CSGAN and ReMIC segment by themselves, the others by nnU-Net, of version 1 where ours is 2. Which patients"
        " train, and whether its T1 is in phase, is not said; ours are drawn. Whether its deviations are of a sample or"
        " of a population is not said, nor is any difference tested.",
        rows={
            "single": ("Single", "–", _chaos(
                96.29, 0.74, 93.53, 2.43, 89.24, 8.18, 3.31, 1.80, 3.81, 3.49, 11.68, 14.37)),
            "stargan": ("StarGAN", "none", _chaos(
                96.65, 0.34, 92.71, 1.66, 86.38, 4.95, 3.07, 1.53, 5.40, 2.87, 15.71, 9.85)),
            "csgan": ("CSGAN", TARGETS, _chaos(
                96.08, 2.05, 87.47, 5.97, 86.35, 6.29, 4.47, 3.94, 15.74, 14.18, 8.23, 8.55)),
            "remic": ("ReMIC", TARGETS, _chaos(
                93.81, 1.43, 86.33, 8.50, 82.70, 4.36, 5.33, 3.55, 8.06, 8.80, 10.62, 6.80)),
            "targan": ("TarGAN", TARGETS, _chaos(
                97.06, 0.62, 94.02, 2.00, 90.94, 6.28, 2.33, 1.60, 3.50, 1.82, 9.92, 11.17)),
        },
    ),
    Published(
        "Chen et al. 2021, Table 3", "ablation", "chaos", "liver", 10, "paper-targan.yaml",
        "T: translation of the target area, S: shape controller, C: crossing loss.",
        rows={
            "targan-without-s-t-c": ("TarGAN w/o S, T, C", "none", _s_score(30.64, 35.05, 67.45)),
            "targan-without-s-c": ("TarGAN w/o S, C", TARGETS, _s_score(39.78, 29.96, 67.47)),
            "targan-without-t-c": ("TarGAN w/o T, C", "none", _s_score(37.42, 38.33, 68.85)),
            "targan-without-c": ("TarGAN w/o C", TARGETS, _s_score(43.00, 38.83, 71.27)),
            "targan-without-s": ("TarGAN w/o S", TARGETS, _s_score(56.69, 59.37, 71.89)),
            "targan": ("TarGAN", TARGETS, _s_score(57.13, 65.79, 69.63)),
        },
    ),
    Published(
        "Xin et al. 2020, Table 1", "translation", "brats", "whole_tumour", 85, "paper-tcmgan.yaml",
        "From T2 only, where ours are means over the sources; PSNR and SSIM of slices of 128 pixels, of a data range"
        " that the paper does not state, with the deviation over slices.",
        rows={
            "pix2pix": ("pix2pix", "none", _psnr_ssim(
                24.0345, 3.1225, 25.2793, 3.6721, 25.1622, 3.1622, 0.9110, 0.0444, 0.9421, 0.0355, 0.9260, 0.0359)),
            "mgan": ("MGAN", "none", _psnr_ssim(
                24.6176, 3.2926, 25.8468, 3.8419, 25.7269, 3.8608, 0.9256, 0.0387, 0.9520, 0.0327, 0.9389, 0.0319)),
            "tc_mgan": ("TC-MGAN", TARGETS, _psnr_ssim(
                24.6416, 3.4277, 25.7784, 3.9372, 25.6822, 3.9470, 0.9267, 0.0386, 0.9520, 0.0326, 0.9390, 0.0322)),
            "tc_mgan_bw": ("TC-MGAN bw", TARGETS, _psnr_ssim(
                24.6164, 3.4460, 25.8126, 3.9763, 25.6962, 3.9776, 0.9266, 0.0382, 0.9528, 0.0322, 0.9399, 0.0319)),
        },
    ),
    Published(
        "Xin et al. 2020, Table 2", "segmentation", "brats", "whole_tumour", 85, "paper-tcmgan.yaml",
        "Its DICE is that of slices, with its deviation over slices, where ours is over patients; T2 is the source. The"
        " names of its rows are inferred from its section 3.4, since they are lost in our text of the paper. Its"
        " segmenter is a 2-D U-Net of 30 epochs.",
        rows={
            "pix2pix": ("pix2pix", "none", _slice_dice(73.81, 36.11)),
            "mgan": ("MGAN", "none", _slice_dice(74.40, 35.88)),
            "tc_mgan": ("TC-MGAN", TARGETS, _slice_dice(75.85, 35.19)),
            "tc_mgan_bw": ("TC-MGAN bw", TARGETS, _slice_dice(75.79, 35.13)),
            "single": ("Only T2", "–", _slice_dice(74.04, 36.00)),
            "oracle": ("4 modalities", "–", _slice_dice(81.42, 30.03)),
        },
    ),
    Published(
        "Zhang et al. 2018, Table 1", "translation", None, "heart", None, "paper-csgan.yaml",
        "private cardiac CT and MR, the mean DICE of five structures in 3-D; no deviation is published",
        rows={
            "csgan-without-shape": ("G w/o SC", "none", _mean("s_score_percent", 66.8, 67.5)),
            "csgan": ("CSGAN", TARGETS, _mean("s_score_percent", 69.2, 69.6)),
        },
    ),
    Published(
        "Zhang et al. 2018, Table 2", "segmentation", None, "heart", None, "paper-csgan.yaml",
        "private cardiac CT and MR, the mean DICE of five structures in 3-D, 14 % of the real data of one modality; no"
        " deviation is published",
        rows={
            "single": ("Baseline (R)", "–", _mean("dice_percent", 67.8, 70.3)),
            "ada": ("ADA (R+S)", TARGETS, _mean("dice_percent", 66.0, 71.0)),
            "csgan": ("CSGAN (R+S)", TARGETS, _mean("dice_percent", 74.4, 73.2)),
        },
    ),
    Published(
        "Hiasa et al. 2018, section 3.2", "segmentation", None, "hip", 10, "paper-hiasa.yaml",
        "DICE on private MR, of a U-Net trained on real CT and synthetic MR and tested on synthetic CT and real MR,"
        " where ours trains and tests on labels of one modality; the paper's reference trains and tests on MR",
        rows={
            "cyclegan_gc": ("CycleGAN + GC", "none", _cells(
                ("dice_percent",), ("pelvis", "femur", "gluteus medius", "gluteus minimus"),
                (80.8, 3.6, 88.3, 2.9, 80.4, 4.0, 66.9, 5.4))),
            "single": ("Single, five folds on MR", "–", _cells(
                ("dice_percent",), ("pelvis", "femur", "gluteus medius", "gluteus minimus"),
                (81.5, 4.6, 92.1, 2.3, 82.5, 2.9, 75.2, 4.5))),
        },
    ),
)
"""Tables, and numbers in the text, that a table of ours has a place for."""
