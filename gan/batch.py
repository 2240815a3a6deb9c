"""The slice cache and the batches drawn from it."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import Enum
from functools import cached_property
from math import ceil
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

Rows = NDArray[np.intp]


class Draw(Enum):
    """Which slices a batch holds, and in which modality each is wanted."""

    ANY = "slices of any modality, wanted in a permutation of their modalities"
    BALANCED = "as many slices of each modality, in order, of any patients, each wanted in any other modality"
    ALIGNED = "slices of the first modality, each wanted in any other, in which it is known too"
    STACKED = "slices with all modalities as channels"


@dataclass(frozen=True)
class Batch:
    """Slices of any modalities and the modality that each is to be translated to.

    Attributes:
        image: (B, 1, H, W), float32 in [-1, 1]; (B, modalities, H, W) where modalities are stacked.
        target_mask: (B, 1, H, W), float32 {0, 1}: the target area y.
        body: (B, 1, H, W), float32 {0, 1}: the foreground b^x.
        source: (B,), int64, index of the slice's modality.
        target: (B,), int64, index of the wanted modality.
        truth: (B, 1, H, W), float32 in [-1, 1]: the slice in the wanted modality, where scans are aligned.
    """

    image: Tensor
    target_mask: Tensor
    body: Tensor
    source: Tensor
    target: Tensor
    truth: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return Batch(**{name: value.to(device) for name, value in given.items() if value is not None})

    def part(self, number: int, parts: int, kinds: int = 1) -> "Batch":
        """Return one of `parts` equal parts, made of equal parts of each of the batch's `kinds` stretches."""
        rows = torch.arange(len(self.source)).view(kinds, parts, -1)[:, number].flatten()
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return Batch(**{name: value[rows] for name, value in given.items() if value is not None}) if parts > 1 else self


class Slices:
    """A folder of 2-D slices, memory-mapped.

    Batch k is a function of (seed, k) alone. An epoch is a permutation of the training slices, cut into whole batches;
    where modalities are balanced, one of the modality with the most slices, while the others begin anew. Which slices
    are flipped left to right and the wanted modalities are drawn anew for each batch.

    Attributes:
        folder: of the cache.
        modalities: names, in the order of their indices.
        image_size: height and width in pixels.
        index: the slices of these modalities: case, patient, modality, slice, set, fold, labelled (0 or 1),
            target_pixels, and grid (equal for a case's scans that are aligned voxel by voxel), pixel_mm (edge of a
            pixel), slice_mm (from slice to slice).
        train: the labels of `index` that train.
    """

    depth: int = 1  # planes of an image, at least

    def __init__(
        self,
        folder: Path,
        modalities: Sequence[str] | None = None,
        patient_fraction: float = 1.0,
        seed: int = 0,
        watched_train: bool = False,
        held_out: int | None = None,
        labelled: bool = False,
    ) -> None:
        """Open the cache.

        Args:
            folder: of the cache.
            modalities: those that are used, in this order; None for all.
            patient_fraction: share of each modality's training patients that are used, at least one patient.
            seed: draws these patients.
            watched_train: use the watched patients as training ones.
            held_out: the fold of cross-fitting whose patients do not train; None for none.
            labelled: use nothing of scans without a label.

        Raises:
            InputError: a file is missing, the files disagree, a modality is unknown or has no training slice, or there
                is no such fold.
        """
        for name in FILES:
            if not (folder / name).is_file():
                raise InputError(folder / name, "nothing", "a file of the slice cache")
        about = json.loads((folder / "slices.json").read_text())
        self.folder = folder
        self.modalities: list[str] = list(modalities or about["modalities"])
        self.image_size: int = about["image_size"]
        types = {"case": str, "patient": str, "modality": str, "grid": str}
        everything = pd.read_csv(folder / "index.csv", dtype=types)
        shape = (len(everything), self.image_size, self.image_size)
        self._images = _mapped(folder / "images.npy", shape)
        self._targets = _mapped(folder / "targets.npy", shape)
        self._body = _mapped(folder / "body.npy", shape)
        self._flip = MirrorTransform(axes=(1,))

        known = ", ".join(about["modalities"])
        for name in [*self.modalities, *sorted(set(everything["modality"]))]:
            if name not in about["modalities"]:
                raise InputError(folder / "index.csv", f"slices of {name}", f"of {known}")
        if watched_train:
            everything["set"] = "train"
        if held_out is not None:
            if held_out not in set(everything["fold"]):
                raise InputError(folder / "index.csv", f"no fold {held_out}", "a fold of cross-fitting")
            everything.loc[everything["fold"] == held_out, "set"] = "held out"
        if labelled:
            everything.loc[everything["labelled"] == 0, "set"] = "unlabelled"
        everyone = everything[everything["set"] == "train"]
        self.index = everything[everything["modality"].isin(self.modalities)]
        training = self.index[self.index["set"] == "train"]
        if missing := [name for name in self.modalities if name not in set(training["modality"])]:
            raise InputError(folder / "index.csv", f"no training slices of {', '.join(missing)}", "some")
        self.train: Rows = _some_patients(training, everyone["patient"], patient_fraction, seed).index.to_numpy()
        places = {name: place for place, name in enumerate(self.modalities)}
        self._source = everything["modality"].map(lambda name: places.get(name, -1)).to_numpy(np.int64)

    def has_target(self) -> bool:
        """Return whether any training slice shows the target."""
        return bool((self.index.loc[self.train, "target_pixels"] > 0).any())

    def rounds_per_epoch(self, size: int, draw: Draw = Draw.ANY) -> int:
        """Return the number of whole batches of `size` slices.

        Raises:
            InputError: a size that cannot be balanced, or no aligned scans where they are needed.
        """
        match draw:
            case Draw.ANY:
                return len(self.train) // size
            case Draw.BALANCED:
                return max(map(len, self._by_modality)) // self._share(size)
            case Draw.ALIGNED | Draw.STACKED:
                return len(self._aligned) // size

    def batch(self, k: int, size: int, seed: int, draw: Draw = Draw.ANY) -> Batch:
        """Return batch `k` of `size` training slices."""
        rng = np.random.default_rng((seed, 1, k))
        match draw:
            case Draw.ANY:
                batch = self.read(_cut(self.train, k, size, (seed, 0)))
                return self._flipped(batch, torch.from_numpy(rng.permutation(batch.source.numpy())), rng)
            case Draw.BALANCED:
                share = self._share(size)
                rows = [
                    _cut(rows, k, share, (seed, 2, number), whole=False)
                    for number, rows in enumerate(self._by_modality)
                ]
                batch = self.read(np.concatenate(rows))
                steps = torch.from_numpy(rng.integers(1, len(self.modalities), size))
                return self._flipped(batch, (batch.source + steps) % len(self.modalities), rng)
            case Draw.ALIGNED:
                groups = _cut(self._aligned, k, size, (seed, 3))
                wanted = rng.integers(1, len(self.modalities), size)
                truth = self.read(groups[np.arange(size), wanted]).image
                return self._flipped(self.read(groups[:, 0]), torch.from_numpy(wanted), rng, truth)
            case Draw.STACKED:
                batch = self._stack(_cut(self._aligned, k, size, (seed, 3)))
                return self._flipped(batch, batch.target, rng)

    def watched(self, draw: Draw = Draw.ANY) -> Batch:
        """Return the watched slice of each modality with the largest target; training slices if none is watched."""
        wanted = "watch" if (self.index["set"] == "watch").any() else "train"
        if draw is Draw.STACKED:
            groups = self._groups(wanted)
            groups = groups if len(groups) else self._aligned
            sizes = self.index.loc[groups[:, 0], "target_pixels"].to_numpy()
            return self._stack(groups[[sizes.argmax()]])
        pixels = self.index.loc[self.index["set"] == wanted, ["modality", "target_pixels"]]
        largest = pixels.groupby("modality")["target_pixels"].idxmax()
        return self.read(np.array([largest[name] for name in self.modalities if name in largest]))

    def watch_batches(self, size: int, draw: Draw = Draw.ANY) -> Iterator[Batch]:
        """Yield all slices of the watched patients, `size` at once, in order."""
        if draw is Draw.STACKED:
            groups = self._groups("watch")
            yield from (self._stack(groups[start : start + size]) for start in range(0, len(groups), size))
            return
        rows = np.flatnonzero(self.index["set"] == "watch")
        rows = self.index.index.to_numpy()[rows]
        yield from (self.read(rows[start : start + size]) for start in range(0, len(rows), size))

    def read(self, rows: Rows) -> Batch:
        """Return rows of the cache, unaltered; each is wanted in its own modality."""
        image, target_mask, body = (
            torch.from_numpy(array[rows].astype(np.float32)[:, None])
            for array in (self._images, self._targets, self._body)
        )
        source = torch.from_numpy(self._source[rows])
        return Batch(image, target_mask, body, source, source)

    @cached_property
    def _by_modality(self) -> list[Rows]:
        own = self._source[self.train]
        return [self.train[own == number] for number in range(len(self.modalities))]

    @cached_property
    def _aligned(self) -> Rows:
        groups = self._groups("train")
        groups = groups[np.isin(groups, self.train).all(axis=1)]
        if not len(groups):
            names = " and ".join(self.modalities)
            raise InputError(
                self.folder / "index.csv", f"no training slice known in {names}", "scans of one case on one grid"
            )
        return groups

    def _groups(self, name: str) -> Rows:
        """Return the slices of a set that are there in every modality: (slices, modalities), rows of the cache."""
        chosen = self.index[self.index["set"] == name].rename_axis("number").reset_index()
        table = chosen.pivot_table("number", ["case", "grid", "slice"], "modality", "first", sort=True)
        groups: Rows = table.reindex(columns=self.modalities).dropna().to_numpy(np.intp)
        return groups

    def _share(self, size: int) -> int:
        share, rest = divmod(size, len(self.modalities))
        if rest:
            raise InputError("batch_size", size, f"a multiple of the {len(self.modalities)} modalities")
        return share

    def _stack(self, groups: Rows) -> Batch:
        size, count = groups.shape
        first, nothing = self.read(groups[:, 0]), torch.zeros(size, dtype=torch.int64)
        image = self.read(groups.ravel()).image.reshape(size, count, self.image_size, self.image_size)
        return Batch(image, first.target_mask, first.body, nothing, nothing)

    def _flipped(self, batch: Batch, target: Tensor, rng: np.random.Generator, truth: Tensor | None = None) -> Batch:
        images = batch.image if truth is None else torch.cat([batch.image, truth], dim=1)
        masks = torch.cat([batch.target_mask, batch.body], dim=1).numpy()
        with _numpy_seeded(int(rng.integers(2**32))):
            flipped = self._flip(data=images.numpy(), seg=masks)
        target_mask, body = torch.from_numpy(flipped["seg"]).chunk(2, dim=1)
        images, channels = torch.from_numpy(flipped["data"]), batch.image.shape[1]
        known = None if truth is None else images[:, channels:]
        return Batch(images[:, :channels], target_mask, body, batch.source, target, known)


def _cut(rows: Rows, k: int, size: int, seed: tuple[int, ...], whole: bool = True) -> Rows:
    """Return the k-th `size` rows of an endless row of permutations; `whole`: what is left of each is dropped."""
    if whole:
        epoch, place = divmod(k, len(rows) // size)
        order: Rows = np.random.default_rng((*seed, epoch)).permutation(rows)
        return order[place * size : (place + 1) * size]
    places = np.arange(k * size, (k + 1) * size)
    orders = {e: np.random.default_rng((*seed, e)).permutation(rows) for e in np.unique(places // len(rows)).tolist()}
    return np.array([orders[place // len(rows)][place % len(rows)] for place in places.tolist()])


def _some_patients(training: pd.DataFrame, everyone: "pd.Series[str]", fraction: float, seed: int) -> pd.DataFrame:
    """Return the rows of the first patients of each modality, in one random order of `everyone` of the cache."""
    order = np.random.default_rng((seed, 4)).permutation(sorted(set(everyone)))
    kept = [
        rows[rows["patient"].isin(patients[: ceil(fraction * len(patients) - 1e-9)])]
        for _, rows in training.groupby("modality")
        for patients in [[patient for patient in order if patient in set(rows["patient"])]]
    ]
    return pd.concat(kept).sort_index()


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
