"""The training and the watched patients' scans as 2-D slices on the GAN's grid, in one memory-mapped cache."""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from enrich import index, splits, structures, volume
from enrich.axial import AXIAL, to_axial
from enrich.gan_grid import pixel_mm, to_gan_grid
from enrich.intensity import Intensity
from enrich.parallel import in_order
from enrich.splits import Splits
from gan.errors import InputError, run
from gan.files import digests, publish_folder, publish_json, sha256

INDEX = (
    *("row", "case", "patient", "modality", "slice", "set", "fold"),
    *("labelled", "target_pixels", "grid", "pixel_mm", "slice_mm"),
)


@dataclass(frozen=True)
class Origin:
    """What slices are of.

    Attributes:
        case: of the scan.
        patient: of the scan.
        modality: of the scan.
        set: train or watch.
        fold: of the patient in cross-fitting; -1 for none.
    """

    case: str
    patient: str
    modality: str
    set: str
    fold: int


@dataclass(frozen=True)
class Stack:
    """The axial slices of one scan that show its foreground, on the GAN's grid of S×S pixels.

    Attributes:
        origin: the scan.
        labelled: whether the scan has a label.
        slices: their numbers, (N,).
        images: (N, S, S), float16 in [-1, 1].
        targets: the target, (N, S, S), uint8; 0 without a label.
        body: the foreground, (N, S, S), uint8.
        shape: of the scan once it is axial, (Z, Y, X).
        corner: its first voxel, which with the shape says the grid.
        pixel_mm: edge of a pixel.
    """

    origin: Origin
    labelled: bool
    slices: NDArray[np.intp]
    images: NDArray[np.float16]
    targets: NDArray[np.uint8]
    body: NDArray[np.uint8]
    shape: tuple[int, ...]
    corner: volume.Volume
    pixel_mm: float


@dataclass(frozen=True)
class ScanCutter:
    """Cuts scans into slices; one of them is in memory at a time.

    Attributes:
        scans_csv: the scans.
        who: the split.
        intensity: how to scale them.
        image_size: S.
        labels_of: modalities whose labels are seen; None, all.
    """

    scans_csv: Path
    who: Splits
    intensity: Intensity
    image_size: int
    labels_of: Collection[str] | None = None

    def __call__(self, scan: "pd.Series[str]") -> Stack:
        """Cut the scan of a row of `scans.csv`."""
        path = index.file_of(self.scans_csv, scan["image"], scan["image_sha256"])
        images, body = to_axial(volume.read(path), scan, self.intensity, path)
        target = None
        if scan["label"] and (self.labels_of is None or scan["modality"] in self.labels_of):
            label = volume.read(index.file_of(self.scans_csv, scan["label"], scan["label_sha256"]))
            known = structures.read(self.scans_csv)
            target = known.target_of(scan["modality"], volume.reorient(label, AXIAL).array)
        fold = self.who.fold_of(scan["patient"])
        origin = Origin(
            scan["case"],
            scan["patient"],
            scan["modality"],
            "watch" if scan["patient"] in self.who.watch else "train",
            -1 if fold is None else fold,
        )
        return cut(origin, images, body, target, self.image_size)


def cut(
    origin: Origin,
    images: volume.Volume,
    body: NDArray[np.bool_],
    target: NDArray[np.bool_] | None,
    image_size: int,
) -> Stack:
    """Return the slices of a scan.

    Args:
        origin: the scan.
        images: on the scan's axial grid; voxels in [-1, 1].
        body: the foreground, (Z, Y, X).
        target: the target, (Z, Y, X); None without a label.
        image_size: rows and columns of the result.
    """
    shown = np.flatnonzero(body.any(axis=(1, 2)))
    corner = volume.crop(images, (slice(1),) * 3)

    def mask(voxels: NDArray[np.bool_]) -> NDArray[np.uint8]:
        return (to_gan_grid(voxels[shown], image_size, 0) >= 0.5).astype(np.uint8)

    return Stack(
        origin,
        labelled=target is not None,
        slices=shown,
        images=to_gan_grid(images.array[shown], image_size, -1).astype(np.float16),
        targets=mask(np.zeros_like(body) if target is None else target),
        body=mask(body),
        shape=images.array.shape,
        corner=replace(corner, array=corner.array.copy()),  # a view would keep the whole scan in memory
        pixel_mm=pixel_mm(images.spacing_mm, images.array.shape[1:], image_size),
    )


def stacks(cutter: ScanCutter, workers: int = 1) -> Iterator[Stack]:
    """Yield every scan of the patients who train the GAN and of the watched ones, with a label or without."""
    scans, who = index.read(cutter.scans_csv, index.SCANS), cutter.who
    scans = scans[scans["patient"].isin([*who.translated_from, *who.unlabelled, *who.watch])]
    rows = (scan for _, scan in scans.iterrows())
    yield from tqdm(in_order(cutter, rows, workers), "slices", len(scans), disable=None)


def write_slices(found: Iterable[Stack], folder: Path, image_size: int) -> None:
    """Write the cache to `folder`: index.csv, images.npy, targets.npy and body.npy, one row a slice.

    Images are float16 in [-1, 1], masks uint8, (N, image_size, image_size). One stack is in memory at a time. Equal
    `grid` in the index: scans of a case that are aligned voxel by voxel.

    Raises:
        InputError: no training slice shows the target.
    """
    rows = 0
    attended = False
    grids: dict[str, list[tuple[tuple[int, ...], volume.Volume]]] = defaultdict(list)
    shape = (image_size, image_size)
    with (
        (folder / "index.csv").open("w", newline="") as index_file,
        _growing(folder / "images.npy", np.dtype(np.float16), shape) as images_file,
        _growing(folder / "targets.npy", np.dtype(np.uint8), shape) as targets_file,
        _growing(folder / "body.npy", np.dtype(np.uint8), shape) as body_file,
    ):
        table = csv.DictWriter(index_file, INDEX, lineterminator="\n")
        table.writeheader()
        for stack in found:
            for file, array in ((images_file, stack.images), (targets_file, stack.targets), (body_file, stack.body)):
                file.write(array.tobytes())
            facts: dict[str, object] = {
                **asdict(stack.origin),
                "labelled": int(stack.labelled),
                "grid": _grid_number(stack, grids[stack.origin.case]),
                "pixel_mm": stack.pixel_mm,
                "slice_mm": stack.corner.spacing_mm[2],
            }
            pixels = stack.targets.sum(axis=(1, 2), dtype=np.int64).tolist()
            for z, target_pixels in zip(stack.slices.tolist(), pixels, strict=True):
                table.writerow({**facts, "row": rows, "slice": z, "target_pixels": target_pixels})
                rows += 1
            attended |= stack.origin.set == "train" and any(pixels)
    if not attended:
        raise InputError("the training patients", "an empty target in all slices", "a target to attend to")


def write_facts(
    folder: Path,
    modalities: list[str],
    image_size: int,
    intensity: dict[str, object],
    made_of: Mapping[str, Path | None],
) -> None:
    """Write slices.json, which stands for the whole cache: what it was made with and of, and the hash of every file."""
    facts = {
        "modalities": modalities,
        "image_size": image_size,
        "intensity": intensity,
        "provenance": {f"{name}_sha256": sha256(path) for name, path in made_of.items() if path is not None},
        "sha256": digests(folder),
    }
    publish_json(folder / "slices.json", facts)


def _grid_number(stack: Stack, known: list[tuple[tuple[int, ...], volume.Volume]]) -> int:
    """Return the place of a stack's grid among a case's known ones, which a new one joins."""
    for number, (shape, corner) in enumerate(known):
        if stack.shape == shape and volume.same_grid(stack.corner, corner):
            return number
    known.append((stack.shape, stack.corner))
    return len(known) - 1


@contextmanager
def _growing(path: Path, dtype: np.dtype[np.generic], shape: tuple[int, int]) -> Iterator[IO[bytes]]:
    """Open an .npy file whose first axis is as long as what is written; NumPy's header leaves room for it."""

    def header(stream: IO[bytes], length: int) -> None:
        description = {"descr": dtype.str, "fortran_order": False, "shape": (length, *shape)}
        np.lib.format.write_array_header_1_0(stream, description)

    with path.open("w+b") as stream:
        header(stream, 0)
        start = stream.tell()
        yield stream
        length = (stream.tell() - start) // (dtype.itemsize * shape[0] * shape[1])
        stream.seek(0)
        header(stream, length)


def main() -> None:
    """Parse the command line and publish the folder of slices."""
    parser = argparse.ArgumentParser(description="Cut the training patients' scans into slices on the GAN's grid.")
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--modalities", nargs="+", required=True)
    parser.add_argument("--labels-of", nargs="+", help="modalities whose labels may be seen; all by default")
    parser.add_argument("--image-size", type=int, required=True)
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    with publish_folder(arguments.output.parent) as folder:
        who, intensity = splits.read(arguments.splits), Intensity(**arguments.intensity)
        cutter = ScanCutter(arguments.scans, who, intensity, arguments.image_size, arguments.labels_of)
        write_slices(stacks(cutter, arguments.workers), folder, arguments.image_size)
        made_of = {"scans": arguments.scans, "splits": arguments.splits}
        write_facts(folder, arguments.modalities, arguments.image_size, arguments.intensity, made_of)


if __name__ == "__main__":
    run(main)
