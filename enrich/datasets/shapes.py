"""Smooth shapes of procedural anatomy, in millimetres, and the voxels that they fill."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from enrich.volume import Volume

Floats = NDArray[np.floating]
Point = tuple[float, float, float]
Tissues = Callable[[Floats, Floats, Floats], NDArray[np.uint8]]
"""From coordinates x, y, z in mm, LPS, which broadcast, to a tissue number each."""

SAMPLES = (4, 2, 2)
"""Samples along z, y, x in each voxel: what partial volume is averaged over."""


@dataclass(frozen=True)
class Waves:
    """A smooth random field, the mean of plane waves; within ±1."""

    frequencies: Floats
    phases: Floats

    @classmethod
    def draw(cls, generator: np.random.Generator, wavelength_mm: tuple[float, float], count: int = 4) -> Waves:
        """Draw waves of any direction."""
        directions = generator.normal(size=(count, 3))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        lengths = generator.uniform(*wavelength_mm, size=(count, 1))
        return cls(2 * np.pi * directions / lengths, generator.uniform(0, 2 * np.pi, count))

    def __call__(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """Return the field at coordinates in mm that broadcast."""
        waves = zip(self.frequencies.tolist(), self.phases.tolist(), strict=True)
        total = sum(np.sin(fx * x + fy * y + fz * z + phase) for (fx, fy, fz), phase in waves)
        return np.asarray(total / len(self.phases))


def ellipsoid(x: Floats, y: Floats, z: Floats, centre: Point, radii: Point) -> Floats:
    """Return the squared radius as a share of the surface's: below 1 inside."""
    (cx, cy, cz), (rx, ry, rz) = centre, radii
    return np.asarray(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2)


def ellipse(x: Floats, y: Floats, radii: tuple[float, float], power: float = 2.0) -> Floats:
    """Return a cylinder along z likewise, squarer than an ellipse where `power` exceeds 2."""
    rx, ry = radii
    return np.asarray(np.abs(x / rx) ** power + np.abs(y / ry) ** power)


def segment(x: Floats, y: Floats, z: Floats, start: Point, end: Point) -> Floats:
    """Return the distance in mm to a straight segment."""
    (sx, sy, sz), (ex, ey, ez) = start, end
    dx, dy, dz = ex - sx, ey - sy, ez - sz
    along = ((x - sx) * dx + (y - sy) * dy + (z - sz) * dz) / (dx**2 + dy**2 + dz**2)
    along = np.clip(along, 0, 1)
    return np.asarray(np.sqrt((x - sx - along * dx) ** 2 + (y - sy - along * dy) ** 2 + (z - sz - along * dz) ** 2))


def empty_grid(shape: tuple[int, int, int], spacing_mm: Point, centre_mm: Point = (0.0, 0.0, 0.0)) -> Volume:
    """Return an axial LPS volume of zeros, (Z, Y, X), around a centre."""
    origin_mm = tuple(
        centre - (count - 1) / 2 * spacing
        for centre, count, spacing in zip(centre_mm, shape[::-1], spacing_mm, strict=True)
    )
    return Volume(np.zeros(shape, np.uint8), spacing_mm, origin_mm)


def coordinates(grid: Volume) -> tuple[Floats, Floats, Floats]:
    """Return x (1, 1, X), y (1, Y, 1), z (Z, 1, 1) of an axial grid's voxel centres in mm, as float32."""
    axes = zip(grid.origin_mm, grid.spacing_mm, grid.array.shape[::-1], strict=True)
    x, y, z = (np.float32(origin) + np.arange(count, dtype=np.float32) * np.float32(mm) for origin, mm, count in axes)
    return x[None, None], y[None, :, None], z[:, None, None]


def fractions(grid: Volume, tissues: Tissues, count: int) -> NDArray[np.float32]:
    """Return the share of each voxel that each of `count` tissues fills, (Z, Y, X, count)."""
    x, y, z = coordinates(grid)
    fine = []
    for axis, mm, samples in zip((z, y, x), grid.spacing_mm[::-1], SAMPLES, strict=True):
        offsets = ((np.arange(samples, dtype=np.float32) + 0.5) / samples - 0.5) * np.float32(mm)
        fine.append(axis.ravel()[:, None] + offsets)
    depth, height, width = grid.array.shape
    shares = np.empty((depth, height, width, count), np.float32)
    for index in range(depth):
        painted = tissues(fine[2].ravel()[None, None], fine[1].ravel()[None, :, None], fine[0][index][:, None, None])
        blocks = painted.reshape(SAMPLES[0], height, SAMPLES[1], width, SAMPLES[2])
        for tissue in range(count):
            shares[index, ..., tissue] = (blocks == tissue).mean(axis=(0, 2, 4))
    return shares
