"""The training and the watched patients' scans as 2-D slices on the GAN's grid, in one memory-mapped cache."""

import argparse
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
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
from enrich.splits import Splits
from gan.errors import InputError, run
from gan.files import publish_folder, sha256


@dataclass(frozen=True)
class Stack:
    """The axial slices of one scan.

    Attributes:
        case: of the scan.
        patient: of the scan.
        modality: of the scan.
        set: train or watch.
        fold: of the patient in cross-fitting; -1 for none.
        images: on the scan's axial grid; voxels in [-1, 1].
        body: the foreground, (Z, Y, X).
        target: the target, (Z, Y, X); None without a label.
    """

    case: str
    patient: str
    modality: str
    set: str
    fold: int
    images: volume.Volume
    body: NDArray[np.bool_]
    target: NDArray[np.bool_] | None


def stacks(
    scans_csv: Path, who: Splits, intensity: Intensity, labels_of: Collection[str] | None = None
) -> Iterator[Stack]:
    """Yield every scan of the patients who train the GAN and of the watched ones, with a label or without.

    Labels of other modalities than `labels_of` are left out; None, of no modality.
    """
    scans, known = index.read(scans_csv, index.SCANS), structures.read(scans_csv)
    set_of = dict.fromkeys([*who.translated_from, *who.unlabelled], "train") | dict.fromkeys(who.watch, "watch")
    scans = scans[scans["patient"].isin(list(set_of))]
    for _, scan in tqdm(scans.iterrows(), "slices", len(scans), disable=None):
        path = index.file_of(scans_csv, scan["image"], scan["image_sha256"])
        images, body = to_axial(volume.read(path), scan, intensity, path)
        target = None
        if scan["label"] and (labels_of is None or scan["modality"] in labels_of):
            label = volume.read(index.file_of(scans_csv, scan["label"], scan["label_sha256"]))
            target = known.target_of(scan["modality"], volume.reorient(label, AXIAL).array)
        patient = scan["patient"]
        fold = who.fold_of(patient)
        names = (scan["case"], patient, scan["modality"], set_of[patient], -1 if fold is None else fold)
        yield Stack(*names, images, body, target)


def write_slices(found: Iterable[Stack], folder: Path, image_size: int) -> None:
    """Write the cache to `folder`: index.csv, images.npy, targets.npy and body.npy, one row a slice.

    Images are float16 in [-1, 1], masks uint8, (N, image_size, image_size). A slice without foreground is left out. One
    volume is in memory at a time. Equal `grid` in the index: scans of a case that are aligned voxel by voxel.

    Raises:
        InputError: no training slice shows the target.
    """
    rows: list[dict[str, object]] = []
    grids: dict[str, list[volume.Volume]] = defaultdict(list)
    shape = (image_size, image_size)
    with (
        _growing(folder / "images.npy", np.dtype(np.float16), shape) as images_file,
        _growing(folder / "targets.npy", np.dtype(np.uint8), shape) as targets_file,
        _growing(folder / "body.npy", np.dtype(np.uint8), shape) as body_file,
    ):
        for stack in found:
            images = stack.images
            shown = np.flatnonzero(stack.body.any(axis=(1, 2)))
            labelled = stack.target is not None
            target = np.zeros_like(stack.body) if stack.target is None else stack.target
            targets = to_gan_grid(target[shown], image_size, 0) >= 0.5
            images_file.write(to_gan_grid(images.array[shown], image_size, -1).astype(np.float16).tobytes())
            targets_file.write(targets.astype(np.uint8).tobytes())
            body_file.write((to_gan_grid(stack.body[shown], image_size, 0) >= 0.5).astype(np.uint8).tobytes())
            edge = pixel_mm(images.spacing_mm, images.array.shape[1:], image_size)
            facts = {"grid": _grid_number(images, grids[stack.case]), "pixel_mm": edge}
            rows += [
                {
                    "row": len(rows) + k,
                    "case": stack.case,
                    "patient": stack.patient,
                    "modality": stack.modality,
                    "slice": int(z),
                    "set": stack.set,
                    "fold": stack.fold,
                    "labelled": int(labelled),
                    "target_pixels": int(targets[k].sum()),
                    **facts,
                    "slice_mm": images.spacing_mm[2],
                }
                for k, z in enumerate(shown)
            ]
    if not any(row["set"] == "train" and row["target_pixels"] for row in rows):
        raise InputError("the training patients", "an empty target in all slices", "a target to attend to")
    pd.DataFrame(rows).to_csv(folder / "index.csv", index=False)


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
        "sha256": {path.name: sha256(path) for path in sorted(folder.iterdir())},
    }
    (folder / "slices.json").write_text(json.dumps(facts, indent=2) + "\n")


def _grid_number(grid: volume.Volume, known: list[volume.Volume]) -> int:
    """Return the place of a grid among a case's known ones, which a new one joins."""
    for number, other in enumerate(known):
        if volume.same_grid(grid, other):
            return number
    # one voxel stands for all: only the grid is compared
    known.append(replace(grid, array=np.broadcast_to(np.uint8(0), grid.array.shape)))
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
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    with publish_folder(arguments.output.parent) as folder:
        who, intensity = splits.read(arguments.splits), Intensity(**arguments.intensity)
        found = stacks(arguments.scans, who, intensity, arguments.labels_of)
        write_slices(found, folder, arguments.image_size)
        made_of = {"scans": arguments.scans, "splits": arguments.splits}
        write_facts(folder, arguments.modalities, arguments.image_size, arguments.intensity, made_of)


if __name__ == "__main__":
    run(main)
