"""Enriched cases of the training and the watched patients as slices, for a segmenter in nnU-Net's place."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

from enrich import index, splits, structures, volume
from enrich.axial import AXIAL
from enrich.channels import read_channels
from enrich.intensity import Intensity
from enrich.nnunet.dataset import cases
from enrich.slices import Stack, write_facts, write_slices
from enrich.splits import Splits
from gan.errors import run
from gan.files import publish_folder


def stacks(
    scans_csv: Path,
    who: Splits,
    modality: str,
    synthetic: Path | None,
    added: Sequence[str],
    intensity: Intensity,
) -> Iterator[Stack]:
    """Yield every channel of every labelled case: slices of one patient, on one grid, with the real scan's target."""
    scans, known = index.read(scans_csv, index.SCANS), structures.read(scans_csv)
    set_of = dict.fromkeys(who.train, "train") | dict.fromkeys(who.watch, "watch")
    everyone = [case for case in cases(scans_csv, modality, synthetic, added) if case.label and case.patient in set_of]
    for case in tqdm(everyone, "slices", disable=None):
        found = read_channels(case, scans, modality, added, intensity)
        assert case.label is not None  # noqa: S101
        target = known.target_of(modality, volume.reorient(volume.read(case.label), AXIAL).array)
        for name, images in zip([modality, *added], found.images, strict=True):
            yield Stack(case.name, case.patient, name, set_of[case.patient], -1, images, found.body, target)


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
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    added = [name for name in arguments.modalities if name != arguments.modality] if arguments.synthetic else []
    with publish_folder(arguments.output.parent) as folder:
        found = stacks(
            arguments.scans,
            splits.read(arguments.splits),
            arguments.modality,
            arguments.synthetic,
            added,
            Intensity(**arguments.intensity),
        )
        write_slices(found, folder, arguments.image_size)
        made_of = {name: getattr(arguments, name) for name in ("scans", "splits", "synthetic")}
        write_facts(folder, [arguments.modality, *added], arguments.image_size, arguments.intensity, made_of)


if __name__ == "__main__":
    run(main)
