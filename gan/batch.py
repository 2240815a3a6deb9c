"""The slice cache and the batches drawn from it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cached_property
from math import ceil
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan.errors import InputError
from gan.files import checked, require_recorded
from gan.reading import read_json, read_table

RULES = {
    "type": "object",
    "properties": {
        "modalities": {"type": "array", "minItems": 1, "items": {"type": "string"}},
        "image_size": {"type": "integer", "minimum": 1},
        "sha256": {"type": "object", "required": ["index.csv", "images.npy", "targets.npy", "body.npy"]},
    },
    "required": ["modalities", "image_size", "sha256"],
}
"""The schema of what is read of `slices.json`."""
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
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> "Batch":
        """Return the batch in memory from which a GPU copies without being waited for; what is on a GPU stays there."""
        return self.map(lambda tensor: tensor if tensor.is_cuda else tensor.pin_memory())

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with each of its tensors changed."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return Batch(**{name: change(value) for name, value in given.items() if value is not None})

    def part(self, number: int, parts: int, kinds: int = 1) -> "Batch":
        """Return part `number`, from 0 on, of `parts` of as many slices each.

        Where the batch has `kinds` modalities, as many slices of each in order, so has every part.

        Raises:
            InputError: a batch that cannot be shared so.
        """
        if parts == 1:
            return self
        if len(self.source) % (parts * kinds):
            raise InputError("batch_size", len(self.source), f"a multiple of {parts * kinds}, for {parts} processes")
        rows = torch.arange(len(self.source)).view(kinds, parts, -1)[:, number].flatten()
        return self.map(lambda tensor: tensor[rows])


def cache_digests(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a slice cache.

    Raises:
        InputError: a file is missing, or is not the one that `slices.json` names.
    """
    facts = folder / FILES[0]
    found = {facts.name: checked(facts)}
    told = read_json(facts, RULES, "that of a slice cache")["sha256"]
    for name in FILES[1:]:
        require_recorded(folder / name, told[name], facts)
        found[name] = told[name]
    return found


class Slices:
    """A folder of 2-D slices, memory-mapped, or resident on a GPU.

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
        sha256: of every file of the cache.
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
            InputError: a file is missing or is not the one that was published, the files disagree, a modality is
                unknown or has no training slice, or there is no such fold.
        """
        self.sha256 = cache_digests(folder)
        about = read_json(folder / "slices.json", RULES, "that of a slice cache")
        self.folder = folder
        self.modalities: list[str] = list(modalities or about["modalities"])
        self.image_size: int = about["image_size"]
        types: dict[str, type] = dict.fromkeys(("case", "patient", "modality", "grid"), str)
        types |= dict.fromkeys(("row", "slice", "labelled", "target_pixels"), int)
        types |= {"pixel_mm": float, "slice_mm": float, "set": str}
        everything = read_table(folder / "index.csv", "that of a slice cache", dtype=types | {"fold": int})
        if lost := sorted(types.keys() - set(everything)):
            raise InputError(folder / "index.csv", f"no column {', '.join(lost)}", "that of a slice cache")
        shape = (len(everything), self.image_size, self.image_size)
        self._images = _mapped(folder / "images.npy", shape, np.float16)
        self._targets = _mapped(folder / "targets.npy", shape, np.uint8)
        self._body = _mapped(folder / "body.npy", shape, np.uint8)

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
        self._orders: dict[tuple[int, ...], Rows] = {}

    def reside(self, device: torch.device) -> None:
        """Move the cache to a GPU, where batches are then cut and flipped, if it takes under a quarter of what is free.

        The networks are there already; the optimizers' moments and the features of a round, by far the most that a
        training holds, are not, and how much these take is unknown. For a CPU the cache stays on disk, of which the
        system keeps in memory what it can.
        """
        arrays = (self._images, self._targets, self._body)
        if device.type == "cuda" and sum(array.nbytes for array in arrays) < torch.cuda.mem_get_info(device)[0] / 4:
            self._images, self._targets, self._body = (array.to(device) for array in arrays)

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
                rows = self._cut(self.train, k, size, (seed, 0))
                return _flipped(self.read(rows), rng.permutation(self._source[rows]), rng)
            case Draw.BALANCED:
                share = self._share(size)
                parts = [
                    self._cut(rows, k, share, (seed, 2, number), whole=False)
                    for number, rows in enumerate(self._by_modality)
                ]
                chosen = np.concatenate(parts)
                steps = rng.integers(1, len(self.modalities), size)
                return _flipped(self.read(chosen), (self._source[chosen] + steps) % len(self.modalities), rng)
            case Draw.ALIGNED:
                groups = self._cut(self._aligned, k, size, (seed, 3))
                wanted = rng.integers(1, len(self.modalities), size)
                truth = self.read(groups[np.arange(size), wanted]).image
                return _flipped(replace(self.read(groups[:, 0]), truth=truth), wanted, rng)
            case Draw.STACKED:
                batch = self._stack(self._cut(self._aligned, k, size, (seed, 3)))
                return _flipped(batch, np.zeros(size, np.int64), rng)

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
        device = self._images.device
        chosen = torch.tensor(rows, device=device)
        image, target_mask, body = (
            array[chosen].float()[:, None] for array in (self._images, self._targets, self._body)
        )
        source = torch.from_numpy(self._source[rows]).to(device)
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
        first = self.read(groups[:, 0])
        nothing = torch.zeros_like(first.source)
        image = self.read(groups.ravel()).image.reshape(size, count, self.image_size, self.image_size)
        return Batch(image, first.target_mask, first.body, nothing, nothing)

    def _cut(self, rows: Rows, k: int, size: int, seed: tuple[int, ...], whole: bool = True) -> Rows:
        """Return the k-th `size` rows of an endless row of permutations; `whole`: what is left of each is dropped."""
        if whole:
            epoch, place = divmod(k, len(rows) // size)
            return self._order(rows, (*seed, epoch))[place * size : (place + 1) * size]
        places = np.arange(k * size, (k + 1) * size)
        orders = {e: self._order(rows, (*seed, e)) for e in np.unique(places // len(rows)).tolist()}
        return np.array([orders[place // len(rows)][place % len(rows)] for place in places.tolist()])

    def _order(self, rows: Rows, seed: tuple[int, ...]) -> Rows:
        """Return the permutation of `rows` of an epoch; the last ones are remembered, since every batch asks."""
        if seed not in self._orders:
            for other in [other for other in self._orders if other[:-1] == seed[:-1] and other[-1] < seed[-1] - 1]:
                del self._orders[other]
            self._orders[seed] = np.random.default_rng(seed).permutation(rows)
        return self._orders[seed]


def _flipped(batch: Batch, target: NDArray[np.int64], rng: np.random.Generator) -> Batch:
    """Return the batch with each slice flipped left to right or not, wanted in the modalities `target`."""
    flip = torch.from_numpy(rng.random(len(target)) < 0.5).to(batch.image.device)

    def flipped(images: Tensor) -> Tensor:
        return torch.where(flip.view(-1, *[1] * (images.ndim - 1)), images.flip(-1), images)

    masks = {name: flipped(getattr(batch, name)) for name in ("image", "target_mask", "body")}
    truth = None if batch.truth is None else flipped(batch.truth)
    return replace(batch, **masks, target=torch.from_numpy(target).to(flip.device), truth=truth)


def _some_patients(training: pd.DataFrame, everyone: "pd.Series[str]", fraction: float, seed: int) -> pd.DataFrame:
    """Return the rows of the first patients of each modality, in one random order of `everyone` of the cache."""
    order = np.random.default_rng((seed, 4)).permutation(sorted(set(everyone)))
    kept = [
        rows[rows["patient"].isin(patients[: ceil(fraction * len(patients) - 1e-9)])]
        for _, rows in training.groupby("modality")
        for patients in [[patient for patient in order if patient in set(rows["patient"])]]
    ]
    return pd.concat(kept).sort_index()


def _mapped(path: Path, shape: tuple[int, int, int], kind: type[np.generic]) -> Tensor:
    try:
        array: NDArray[Any] = np.lib.format.open_memmap(path, mode="c")  # as torch wants it; nobody writes
    except (ArithmeticError, EOFError, LookupError, OSError, SyntaxError, TypeError, ValueError, TokenError) as error:
        raise InputError(path, f"no readable file ({type(error).__name__})", "an array of a slice cache") from error
    if array.shape != shape or array.dtype != kind or not array.flags.c_contiguous:
        expected = f"{kind.__name__} of {shape}, as index.csv and slices.json say"
        raise InputError(path, f"{array.dtype} of {array.shape}", expected)
    return torch.from_numpy(array)
