"""Enriched cases of the training and the watched patients as slices, for a segmenter in nnU-Net's place."""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from enrich import index, splits, structures, volume
from enrich.axial import AXIAL
from enrich.channels import read_channels
from enrich.intensity import Intensity
from enrich.nnunet.dataset import Case, cases
from enrich.parallel import in_order
from enrich.slices import Origin, Stack, cut, write_facts, write_slices
from enrich.splits import Splits
from gan.errors import run
from gan.files import publish_folder


@dataclass(frozen=True)
class CaseCutter:
    """Cuts enriched cases into slices; one of them is in memory at a time.

    Attributes:
        scans_csv: the scans.
        who: the split.
        modality: of the real channel.
        added: those of the synthetic channels, in order.
        intensity: how to scale them.
        image_size: rows and columns of the slices.
    """

    scans_csv: Path
    who: Splits
    modality: str
    added: Sequence[str]
    intensity: Intensity
    image_size: int

    def __call__(self, labelled: tuple[Case, "pd.Series[str]"]) -> list[Stack]:
        """Cut every channel of a labelled case, which comes with its row of `scans.csv`.

        All are slices of one patient, on one grid, with the real scan's target.
        """
        case, row = labelled
        assert case.label is not None  # noqa: S101
        known = structures.read(self.scans_csv)
        found = read_channels(case, row, self.added, self.intensity)
        target = known.target_of(self.modality, volume.reorient(volume.read(case.label), AXIAL).array)
        where = "watch" if case.patient in self.who.watch else "train"
        return [
            cut(Origin(case.name, case.patient, name, where, -1), images, found.body, target, self.image_size)
            for name, images in zip([self.modality, *self.added], found.images, strict=True)
        ]


def stacks(cutter: CaseCutter, synthetic: Path | None, workers: int = 1) -> Iterator[Stack]:
    """Yield every channel of every labelled case; `synthetic` is the index of those that are added."""
    found, who = cases(cutter.scans_csv, cutter.modality, synthetic, cutter.added), cutter.who
    scans = index.of_modality(index.read(cutter.scans_csv, index.SCANS), cutter.modality)
    chosen = {*who.train, *who.watch}
    everyone = [(case, scans[case.name]) for case in found if case.label and case.patient in chosen]
    for channels in tqdm(in_order(cutter, everyone, workers), "slices", len(everyone), disable=None):
        yield from channels


def main() -> None:
    """Parse the command line and publish the folder of slices."""
    parser = argparse.ArgumentParser(description="Cut the training patients' enriched cases into slices.")
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--modality", required=True, help="modality of the real channel")
    parser.add_argument("--modalities", nargs="+", required=True, help="all modalities, in the order of the channels")
    parser.add_argument("--synthetic", type=Path, help="index of the synthetic images; none: the real channel alone")
    parser.add_argument("--image-size", type=int, required=True)
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    added = [name for name in arguments.modalities if name != arguments.modality] if arguments.synthetic else []
    with publish_folder(arguments.output.parent) as folder:
        cutter = CaseCutter(
            arguments.scans,
            splits.read(arguments.splits),
            arguments.modality,
            added,
            Intensity(**arguments.intensity),
            arguments.image_size,
        )
        write_slices(stacks(cutter, arguments.synthetic, arguments.workers), folder, arguments.image_size)
        made_of = {name: getattr(arguments, name) for name in ("scans", "splits", "synthetic")}
        write_facts(folder, [arguments.modality, *added], arguments.image_size, arguments.intensity, made_of)


if __name__ == "__main__":
    run(main)
