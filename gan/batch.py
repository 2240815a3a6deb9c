"""The slice cache and the batches drawn from it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from batchgenerators.transforms.spatial_transforms import MirrorTransform
from numpy.typing import NDArray
from torch import Tensor

from gan.errors import InputError

FILES = ("slices.json", "index.csv", "images.npy", "targets.npy", "body.npy")


@dataclass(frozen=True)
class Batch:
    """Slices of any modalities and the modality that each is to be translated to.

    Attributes:
        image: (B, 1, H, W), float32 in [-1, 1].
        target_mask: (B, 1, H, W), float32 {0, 1}: the target area y.
        body: (B, 1, H, W), float32 {0, 1}: the foreground b^x.
        source: (B,), int64, index of the slice's modality.
        target: (B,), int64, index of the wanted modality; in training a permutation of `source`.
    """

    image: Tensor
    target_mask: Tensor
    body: Tensor
    source: Tensor
    target: Tensor

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`."""
        return Batch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


class Slices:
    """A folder of 2-D slices, memory-mapped.

    Batch k is a function of (seed, k) alone: an epoch is a permutation of the training slices, cut into whole batches;
    which slices are flipped left to right and the wanted modalities are drawn anew for each batch.

    Attributes:
        modalities: names, in the order of their indices.
        image_size: height and width in pixels.
        index: one row a slice: case, patient, modality, slice, set, target_pixels.
    """

    def __init__(self, folder: Path) -> None:
        """Open the cache.

        Raises:
            InputError: a file is missing, the files disagree, or a modality has no training slice.
        """
        for name in FILES:
            if not (folder / name).is_file():
                raise InputError(folder / name, "nothing", "a file of the slice cache")
        about = json.loads((folder / "slices.json").read_text())
        self.modalities: list[str] = about["modalities"]
        self.image_size: int = about["image_size"]
        self.index = pd.read_csv(folder / "index.csv", dtype={"case": str, "patient": str, "modality": str})
        shape = (len(self.index), self.image_size, self.image_size)
        self._images = _mapped(folder / "images.npy", shape)
        self._targets = _mapped(folder / "targets.npy", shape)
        self._body = _mapped(folder / "body.npy", shape)
        self._flip = MirrorTransform(axes=(1,))

        self.train: NDArray[np.intp] = np.flatnonzero(self.index["set"] == "train")
        trained = set(self.index["modality"].iloc[self.train])
        if trained != set(self.modalities):
            found, expected = ", ".join(sorted(trained)) or "none", ", ".join(self.modalities)
            raise InputError(folder / "index.csv", f"training slices of {found}", f"of {expected}")
        if unknown := sorted(set(self.index["modality"]) - trained):
            raise InputError(
                folder / "index.csv", f"slices of {', '.join(unknown)}", f"of {', '.join(self.modalities)}"
            )
        self._source = self.index["modality"].map(self.modalities.index).to_numpy(np.int64)

    def has_target(self) -> bool:
        """Return whether any training slice shows the target."""
        return bool((self.index["target_pixels"].iloc[self.train] > 0).any())

    def rounds_per_epoch(self, size: int) -> int:
        """Return the number of whole batches of `size` slices."""
        return len(self.train) // size

    def batch(self, k: int, size: int, seed: int) -> Batch:
        """Return batch `k` of `size` training slices."""
        epoch, place = divmod(k, self.rounds_per_epoch(size))
        order = np.random.default_rng((seed, 0, epoch)).permutation(self.train)
        rng = np.random.default_rng((seed, 1, k))
        return self._draw(order[place * size : (place + 1) * size], rng)

    def watched(self) -> Batch:
        """Return the watched slice of each modality with the largest target; training slices if none is watched."""
        wanted = "watch" if (self.index["set"] == "watch").any() else "train"
        pixels = self.index.loc[self.index["set"] == wanted, ["modality", "target_pixels"]]
        largest = pixels.groupby("modality")["target_pixels"].idxmax()
        return self._read(np.array([largest[name] for name in self.modalities if name in largest]))

    def _draw(self, rows: NDArray[np.intp], rng: np.random.Generator) -> Batch:
        batch = self._read(rows)
        masks = torch.cat([batch.target_mask, batch.body], dim=1).numpy()
        with _numpy_seeded(int(rng.integers(2**32))):
            flipped = self._flip(data=batch.image.numpy(), seg=masks)
        target_mask, body = torch.from_numpy(flipped["seg"]).chunk(2, dim=1)
        target = torch.from_numpy(rng.permutation(batch.source.numpy()))
        return Batch(torch.from_numpy(flipped["data"]), target_mask, body, batch.source, target)

    def _read(self, rows: NDArray[np.intp]) -> Batch:
        image, target_mask, body = (
            torch.from_numpy(array[rows].astype(np.float32)[:, None])
            for array in (self._images, self._targets, self._body)
        )
        source = torch.from_numpy(self._source[rows])
        return Batch(image, target_mask, body, source, source)


def _mapped(path: Path, shape: tuple[int, int, int]) -> NDArray[Any]:
    array: NDArray[Any] = np.load(path, mmap_mode="r")
    if array.shape != shape:
        raise InputError(path, f"shape {array.shape}", f"{shape} as index.csv and slices.json say")
    return array


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    """Seed NumPy's global generator, which batchgenerators draws from, and put it back as it was afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
