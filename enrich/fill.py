"""The channels of every case: its own scans, and what is missing, synthesized from the scans that it has.

Whatever lies on another grid than the case's reference scan is resampled onto it; nothing is registered.
"""

import argparse
import json
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from enrich import index, volume
from enrich.intensity import AIR_HU, Intensity
from enrich.modality import is_ct
from enrich.volume import Volume
from gan.errors import InputError, run
from gan.files import publish_folder, publish_json, sha256

COLUMNS = (*index.SYNTHETIC, "of", "of_sha256")
RECORD = "filled.json"
MEAN = "mean"
REAL = "real"
COVERED = 0.9  # of the reference's voxels, that a scan on another grid must reach


@dataclass(frozen=True)
class Image:
    """An indexed file.

    Attributes:
        path: of the file.
        sha256: of the file.
    """

    path: Path
    sha256: str


class Known:
    """The scans of every case, and what was synthesized from each."""

    def __init__(self, scans_csv: Path, synthetic: Path) -> None:
        """Read both indexes."""
        self.scans = index.read(scans_csv, index.SCANS)
        self._scans_csv, self._synthetic = scans_csv, synthetic
        self._real = {(row["case"], row["modality"]): row for row in self.scans.to_dict("records")}
        self._modalities: defaultdict[str, list[str]] = defaultdict(list)
        for case, modality in self._real:
            self._modalities[case].append(modality)
        rows = index.read(synthetic, index.SYNTHETIC).to_dict("records")
        self._made = {(row["case"], row["source"], row["target"]): row for row in rows}

    def modalities(self, case: str) -> list[str]:
        """Return the modalities that a case has."""
        return self._modalities[case]

    def real(self, case: str, modality: str) -> Image:
        """Return a scan, after its hash was checked."""
        row = self._real[case, modality]
        return Image(index.file_of(self._scans_csv, row["image"], row["image_sha256"]), row["image_sha256"])

    def synthetic(self, case: str, source: str, target: str) -> Image:
        """Return what stands for a modality that a case lacks, after its hash was checked.

        Raises:
            InputError: no such image.
        """
        if (case, source, target) not in self._made:
            raise InputError(self._synthetic, f"no image of {case} {source} to {target}", "one")
        row = self._made[case, source, target]
        return Image(index.file_of(self._synthetic, row["image"], row["sha256"]), row["sha256"])


def made_of(order: Sequence[str] | str, has: Sequence[str], reference: str, target: str, real: bool = False) -> str:
    """Return what a channel is made of: `real`, or the scans that it is synthesized from, joined by `+`.

    Args:
        order: modalities, of which the first that the case has is taken; or `mean`, all of them.
        has: the modalities whose scans the case keeps.
        reference: the modality that is segmented, taken where the order names none.
        target: the modality of the channel.
        real: whether what stands for a missing modality is its real scan, as an oracle has it.
    """
    if real or target in has:
        return REAL
    if order == MEAN:
        return "+".join(has)
    return next((name for name in order if name in has), reference)


def fill(
    known: Known,
    modalities: Sequence[str],
    order: Sequence[str] | str | None,
    intensity: Intensity,
    folder: Path,
    home: Path,
    real: bool = False,
) -> Iterator[tuple[str, ...]]:
    """Yield a row of the index for every scan, as the reference, and every modality.

    A modality is the scan itself, another scan of the case, or synthetic. A file that needs no change is named where it
    lies; any other is written. Real CT is stored as synthetic CT is, HU + 1024 within the window, so that the channel
    means the same whichever it holds.

    Args:
        known: scans, and what was synthesized.
        modalities: all of them.
        order: as of `made_of`; None, every modality but its own is made of the reference.
        intensity: of the study.
        folder: for the files.
        home: where the folder is published, to which paths are relative.
        real: what stands for a missing modality is its real scan too, as an oracle has it.

    Raises:
        InputError: a missing or changed file, or a scan that covers too little of its case's reference.
    """
    for row in tqdm(known.scans.to_dict("records"), "fill", disable=None):
        case, reference = row["case"], row["modality"]
        grid = volume.read_grid(known.real(case, reference).path)
        has = [reference] if order is None else known.modalities(case)
        for target in modalities:
            of = made_of(order or [], has, reference, target, real)
            if target in has:
                images = [known.real(case, target)]
            else:
                chosen = [reference] if real else of.split("+")
                images = [known.synthetic(case, source, target) for source in chosen]
            clipped = of == REAL and is_ct(target)
            image = None if clipped else _as_they_are(images, grid)
            if image is None:
                path = folder / f"{case}_{reference}_{target}.nii.gz"
                volume.write(_onto(images, grid, intensity.ct_window_hu if clipped else None), path)
                image = Image(path, sha256(path))
                name = path.name
            else:
                name = os.path.relpath(image.path.absolute(), home.absolute())
            yield case, reference, target, name, image.sha256, of, "+".join(each.sha256 for each in images)


def _as_they_are(images: Sequence[Image], grid: Volume) -> Image | None:
    """Return the one image of a channel if it lies on the grid of the reference."""
    alone = len(images) == 1 and volume.same_grid(volume.read_grid(images[0].path), grid)
    return images[0] if alone else None


def _onto(images: Sequence[Image], grid: Volume, window_hu: tuple[float, float] | None) -> Volume:
    """Return the mean of the images of a channel on the grid of the reference, real CT first clipped to the window."""
    found = []
    for image in images:
        scan = volume.read(image.path)
        if window_hu is not None:
            scan = scan.with_array(np.rint(np.clip(scan.array, *window_hu) - AIR_HU).astype(np.int16))
        if not volume.same_grid(scan, grid):
            scan, covered = volume.resample(scan, grid)
            if covered < COVERED:
                expected = f"at least {COVERED:.0%}, since nothing is registered here"
                raise InputError(image.path, f"{covered:.0%} of the grid of its case's reference covered", expected)
        found.append(scan.array)
    if len(found) == 1:
        return grid.with_array(found[0])
    mean = np.asarray(np.mean(found, axis=0, dtype=np.float32))
    whole = all(np.issubdtype(array.dtype, np.integer) for array in found)
    return grid.with_array(volume.compact(np.rint(mean)) if whole else mean)


def main() -> None:
    """Parse the command line and publish the folder of channels."""
    parser = argparse.ArgumentParser(prog="python -m enrich.fill", description=__doc__)
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--synthetic", type=Path, required=True, help="index of the synthetic images")
    parser.add_argument("--modalities", nargs="+", required=True, help="all of them")
    parser.add_argument("--real", action="store_true", help="these are the real scans, as an oracle has them")
    parser.add_argument("--order", type=json.loads, default=None, help="the config's key missing.source, as JSON")
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    home, modalities = arguments.output.parent, arguments.modalities
    with publish_folder(home) as folder:
        known = Known(arguments.scans, arguments.synthetic)
        intensity = Intensity(**arguments.intensity)
        rows = fill(known, modalities, arguments.order, intensity, folder, home, arguments.real)
        index.write(pd.DataFrame(rows, columns=COLUMNS), folder / "index.csv")
        facts = {f"{name}_sha256": sha256(getattr(arguments, name)) for name in ("scans", "synthetic")}
        publish_json(folder / RECORD, facts)


if __name__ == "__main__":
    run(main)
