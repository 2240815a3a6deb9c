"""Volumes: the slices of a scan on a grid of cubes.

A volume is isotropic. In plane it keeps the slices' pixels; along z it is resampled linearly between the centres of the
first and the last slice, smoothed where slices lie closer together than pixels, masks cut at 0.5. Then it is centred
between background planes, −1 in images and 0 in masks, so that its depth is a multiple of 8.
"""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from gan.batch import Batch, Draw, Rows, Slices

MULTIPLE = 8


class Volumes(Slices):
    """The scans of a slice cache as volumes, (B, 1, D, S, S): as `Slices`, with a volume in the place of a slice.

    Sizes, epochs and shares count volumes, of which a scan is one. Slices that the cache leaves out between two others
    are background. Batch k is a function of (seed, k) alone. Drawn are `Draw.ANY` and `Draw.BALANCED`.

    Attributes:
        index: the volumes: case, patient, modality, set, target_pixels (of all its slices), ratio (slice distance over
            pixel edge), depth (before it is padded).
    """

    def __init__(self, slices: Slices, patch: int | None = None) -> None:
        """Take the slices' training and watched patients.

        Args:
            slices: the cache.
            patch: edge in voxels of the cubes that batches hold, at a place drawn anew for each batch, within the box
                around the body where that is larger; None for whole volumes, as deep as the deepest that trains.
        """
        self.folder, self.sha256 = slices.folder, slices.sha256
        self.modalities, self.image_size = slices.modalities, slices.image_size
        self._slices, self._patch = slices, patch
        self._orders = {}
        used = (slices.index["set"] == "watch") | slices.index.index.isin(slices.train)
        scans = slices.index[used].sort_values("slice").groupby(["modality", "case"])
        self._scans = [scan["slice"] for _, scan in scans]  # the slices' numbers by their rows in the cache
        self.index = scans.agg({"patient": "first", "set": "first", "target_pixels": "sum"}).reset_index()
        self.index["ratio"] = (scans["slice_mm"].first() / scans["pixel_mm"].first()).to_numpy()
        spans = [numbers.iloc[-1] - numbers.iloc[0] + 1 for numbers in self._scans]
        self.index["depth"] = [_depth(*scan) for scan in zip(spans, self.index["ratio"], strict=True)]
        self.train: Rows = np.flatnonzero(self.index["set"] == "train")
        self._source = self.index["modality"].map(self.modalities.index).to_numpy(np.int64)
        self.depth = patch or int(self.index.loc[self.train, "depth"].max())

    def reside(self, device: torch.device) -> None:
        """Leave the slices where they are: volumes are made of them on the CPU."""

    def batch(self, k: int, size: int, seed: int, draw: Draw = Draw.ANY) -> Batch:
        """Return batch `k` of `size` training volumes, or of a patch of each."""
        batch = super().batch(k, size, seed, draw)
        return batch if self._patch is None else _patches(batch, self._patch, np.random.default_rng((seed, 5, k)))

    def watch_batches(self, size: int, draw: Draw = Draw.ANY) -> Iterator[Batch]:  # noqa: ARG002
        """Yield the whole volumes of the watched patients, one at once whatever the `size` of patches, in order."""
        yield from super().watch_batches(1, draw)

    def read(self, rows: Rows) -> Batch:
        """Return volumes, unaltered and of one depth; each is wanted in its own modality."""
        least = max(self.depth, *self.index["depth"].to_numpy()[rows])
        volumes = [self._read(number, least) for number in rows.tolist()]
        image, target_mask, body = (torch.cat(parts) for parts in zip(*volumes, strict=True))
        source = torch.from_numpy(self._source[rows])
        return Batch(image, target_mask, body, source, source)

    def _read(self, number: int, least: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return image, target and body of a volume, (1, 1, D, S, S), D at least `least`."""
        numbers, ratio = self._scans[number], self.index["ratio"][number]
        slices = self._slices.read(numbers.index.to_numpy())
        places = torch.tensor((numbers - numbers.iloc[0]).to_list())

        def volume(known: Tensor, background: float) -> Tensor:
            stack = known.new_full((int(places[-1]) + 1, *known.shape[1:]), background)
            stack[places] = known
            return to_volume(stack, ratio, background, least)

        target_mask, body = ((volume(mask, 0) >= 0.5).float() for mask in (slices.target_mask, slices.body))
        return volume(slices.image, -1), target_mask, body


def to_volume(slices: Tensor, slice_over_pixel: float, background: float = -1, least: int = 1) -> Tensor:
    """Return the stack (N, 1, S, S) as a volume (1, 1, D, S, S).

    Args:
        slices: in order.
        slice_over_pixel: their distance over the edge of a pixel.
        background: fills the planes that are added.
        least: D is at least this.
    """
    depth = _depth(len(slices), slice_over_pixel)
    volume = _resampled(slices[:, 0], depth, smooth=True)
    wanted = MULTIPLE * -(-max(least, depth) // MULTIPLE)
    top = (wanted - depth) // 2
    return F.pad(volume, (0, 0, 0, 0, top, wanted - depth - top), value=background)[None, None]


def to_slices(volume: Tensor, number: int, slice_over_pixel: float) -> Tensor:
    """Return the `number` slices (N, 1, S, S) from which `to_volume` made a volume like this, (1, 1, D, S, S)."""
    depth = _depth(number, slice_over_pixel)
    top = (volume.shape[2] - depth) // 2
    return _resampled(volume[0, 0, top : top + depth], number, smooth=False)[:, None]


def through_volume(work: Callable[[Tensor], Tensor], slice_over_pixel: float, least: int, slices: Tensor) -> Tensor:
    """Return what `work`, from volume to volume of at least `least` planes, makes of the stack (N, 1, S, S)."""
    return to_slices(work(to_volume(slices, slice_over_pixel, least=least)), len(slices), slice_over_pixel)


def _depth(slices: int, slice_over_pixel: float) -> int:
    """Return the planes between the centres of the first and the last slice, both counted."""
    return round((slices - 1) * slice_over_pixel) + 1


def _resampled(stack: Tensor, depth: int, smooth: bool) -> Tensor:
    """Resample (N, S, S) linearly to (depth, S, S); `smooth`: with anti-aliasing where it shrinks."""
    places = torch.linspace(0, len(stack) - 1, depth)
    reach = max(1.0, (len(stack) - 1) / max(1, depth - 1)) if smooth else 1.0
    weights = F.relu(1 - (places[:, None] - torch.arange(len(stack))).abs() / reach)
    planes = weights / weights.sum(dim=1, keepdim=True) @ stack.flatten(1)
    return planes.clamp(stack.min(), stack.max()).reshape(depth, *stack.shape[1:])  # no rounding beyond the range


def _patches(batch: Batch, edge: int, rng: np.random.Generator) -> Batch:
    """Return a cube of each volume."""
    cubes = [tuple(slice(start, start + edge) for start in _corner(body, edge, rng)) for body in batch.body[:, 0]]

    def cut(volumes: Tensor) -> Tensor:
        return torch.stack([volume[(slice(None), *cube)] for volume, cube in zip(volumes, cubes, strict=True)])

    return Batch(cut(batch.image), cut(batch.target_mask), cut(batch.body), batch.source, batch.target)


def _corner(body: Tensor, edge: int, rng: np.random.Generator) -> list[int]:
    """Draw the first corner of a cube within the box around the body (D, H, W), or of one around a smaller box."""
    corner = []
    for axis, length in enumerate(body.shape):
        inside = body.movedim(axis, 0).flatten(1).any(dim=1).nonzero().flatten().tolist() or [0, length - 1]
        low, high = sorted((inside[0], inside[-1] + 1 - edge))
        corner.append(int(rng.integers(max(low, 0), min(high, length - edge) + 1)))
    return corner
