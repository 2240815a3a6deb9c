"""The training and the watched patients' scans as 2-D slices on the GAN's grid, in one memory-mapped cache."""

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
from tqdm import tqdm

from enrich import index, splits, volume
from enrich.axial import AXIAL, to_axial
from enrich.gan_grid import to_gan_grid
from enrich.intensity import Intensity
from enrich.splits import Splits
from gan.errors import InputError, run
from gan.files import publish_folder, sha256


def write_slices(scans_csv: Path, who: Splits, folder: Path, image_size: int, intensity: Intensity) -> None:
    """Write the cache to `folder`: index.csv, images.npy, targets.npy and body.npy, one row a slice.

    Images are float16 in [-1, 1], masks uint8, (N, image_size, image_size). A slice without foreground is left out. One
    volume is in memory at a time.

    Raises:
        InputError: no training slice shows the target.
    """
    scans = index.read(scans_csv, index.SCANS)
    set_of = dict.fromkeys(who.train, "train") | dict.fromkeys(who.watch, "watch")
    scans = scans[scans["patient"].isin(list(set_of)) & (scans["label"] != "")]
    rows: list[dict[str, object]] = []
    shape = (image_size, image_size)
    with (
        _growing(folder / "images.npy", np.dtype(np.float16), shape) as images_file,
        _growing(folder / "targets.npy", np.dtype(np.uint8), shape) as targets_file,
        _growing(folder / "body.npy", np.dtype(np.uint8), shape) as body_file,
    ):
        for _, scan in tqdm(scans.iterrows(), "slices", len(scans), disable=None):
            path = index.file_of(scans_csv, scan["image"], scan["image_sha256"])
            images, body = to_axial(volume.read(path), scan, intensity, path)
            label = volume.read(index.file_of(scans_csv, scan["label"], scan["label_sha256"]))
            target = volume.reorient(label, AXIAL).array
            shown = np.flatnonzero(body.any(axis=(1, 2)))
            targets = to_gan_grid(target[shown], image_size, 0) >= 0.5
            images_file.write(to_gan_grid(images.array[shown], image_size, -1).astype(np.float16).tobytes())
            targets_file.write(targets.astype(np.uint8).tobytes())
            body_file.write((to_gan_grid(body[shown], image_size, 0) >= 0.5).astype(np.uint8).tobytes())
            rows += [
                {
                    "row": len(rows) + k,
                    "case": scan["case"],
                    "patient": scan["patient"],
                    "modality": scan["modality"],
                    "slice": int(z),
                    "set": set_of[scan["patient"]],
                    "target_pixels": int(targets[k].sum()),
                }
                for k, z in enumerate(shown)
            ]
    if not any(row["set"] == "train" and row["target_pixels"] for row in rows):
        raise InputError(scans_csv, "an empty target in all training slices", "a target to attend to")
    pd.DataFrame(rows).to_csv(folder / "index.csv", index=False)


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
    parser.add_argument("--image-size", type=int, required=True)
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    with publish_folder(arguments.output.parent) as folder:
        who = splits.read(arguments.splits)
        write_slices(arguments.scans, who, folder, arguments.image_size, Intensity(**arguments.intensity))
        facts = {
            "modalities": arguments.modalities,
            "image_size": arguments.image_size,
            "intensity": arguments.intensity,
            "sha256": {path.name: sha256(path) for path in sorted(folder.iterdir())},
        }
        (folder / "slices.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
