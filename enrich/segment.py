"""Segment the test patients by a method itself: its own branch, or a segmenter in nnU-Net's place."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from enrich import index, splits, structures, volume
from enrich.channels import read_channels
from enrich.gan_grid import from_gan_grid, pixel_mm, to_gan_grid
from enrich.intensity import Intensity
from enrich.nnunet.dataset import FILE_ENDING, Case, cases
from gan.errors import InputError, run
from gan.files import publish_folder, sha256
from gan.lease import lease
from gan.segmenter import Segmenter


def segment(
    everyone: Sequence[Case],
    scans: Mapping[str, "pd.Series[str]"],
    modality: str,
    added: Sequence[str],
    segmenter: Segmenter,
    intensity: Intensity,
    value: int = 1,
) -> Iterator[tuple[str, volume.Volume]]:
    """Yield each case's segmentation on its own grid, uint8: `value` where the target is at least as probable as not.

    Args:
        everyone: the cases.
        scans: those of the modality, as `index.of_modality` returns them.
        modality: of the real channel.
        added: those of the synthetic channels, in order.
        segmenter: the trained models.
        intensity: as in their training.
        value: of the target.
    """
    size = segmenter.image_size
    for case in everyone:
        found = read_channels(case, scans[case.name], added, intensity)
        axial = found.images[0]
        images = np.stack([to_gan_grid(image.array, size, -1) for image in found.images], axis=1)
        ratio = axial.spacing_mm[2] / pixel_mm(axial.spacing_mm, axial.array.shape[1:], size)
        probability = segmenter.segment(images, modality, slice_over_pixel=ratio)
        mask = from_gan_grid(probability, axial.array.shape[1:]) >= 0.5
        segmentation = volume.reorient(axial.with_array(mask * np.uint8(value)), found.orientation)
        grid = volume.read_grid(case.images[0])
        volume.require_same_grid(case.images[0], segmentation, grid)
        yield case.name, grid.with_array(segmentation.array)


def main() -> None:
    """Parse the command line, segment, and publish the folder of segmentations and their index."""
    parser = argparse.ArgumentParser(description="Segment the test patients by a method itself.")
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--modality", required=True, help="modality of the real channel")
    parser.add_argument("--modalities", nargs="+", required=True, help="all modalities, in the order of the channels")
    parser.add_argument("--synthetic", type=Path, help="index of the synthetic images; none: the real channel alone")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="model.pt, of all pairs")
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="…/predictions/index.csv")
    arguments = parser.parse_args()
    lease()
    added = [name for name in arguments.modalities if name != arguments.modality] if arguments.synthetic else []
    test = splits.read(arguments.splits).test
    found = cases(arguments.scans, arguments.modality, arguments.synthetic, added)
    everyone = [case for case in found if case.label and case.patient in test]
    if not everyone:
        raise InputError(arguments.splits, f"no labelled {arguments.modality} scan to test", "at least one")
    scans = index.of_modality(index.read(arguments.scans, index.SCANS), arguments.modality)
    segmenter = Segmenter(arguments.models)
    rows = []
    with publish_folder(arguments.output.parent) as folder:
        what = everyone, scans, arguments.modality, added, segmenter, Intensity(**arguments.intensity)
        masks = segment(*what, structures.read(arguments.scans).own_value(arguments.modality))
        for case, mask in tqdm(masks, "segment", len(everyone), disable=None):
            path = folder / f"{case}{FILE_ENDING}"
            volume.write(mask, path)
            rows.append({"case": case, "image": path.name, "sha256": sha256(path)})
        index.write_made_by(folder, arguments.models, [arguments.synthetic] if arguments.synthetic else [])
        index.write(pd.DataFrame(rows), folder / arguments.output.name)


if __name__ == "__main__":
    run(main)
