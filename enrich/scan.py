"""A scan: one modality of one case, as every reader yields it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from enrich.volume import Volume, require_same_grid
from gan.errors import InputError

Structures = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Scan:
    """One modality of one case; voxels are read when asked for.

    Attributes:
        case: names the scan together with its modality; letters, digits, `.`, `-` and `_` only.
        patient: the person; several cases may be one person at several times.
        modality: `ct`, or the name of an MR sequence.
        path: the file or folder that error messages name.
        structures: the label values that make up each structure.
        voxels: reads the image and its label map, which is None for a scan without one.
        labelled: whether there is a label map.
        window_hu: lower and upper bound of a CT's display window, where the file holds one.
    """

    case: str
    patient: str
    modality: str
    path: Path
    structures: Structures
    voxels: Callable[[], tuple[Volume, Volume | None]]
    labelled: bool = True
    window_hu: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        """Require names that can be those of files.

        Raises:
            InputError: a case, patient or modality of another name.
        """
        for what, name in (("case", self.case), ("patient", self.patient), ("modality", self.modality)):
            pattern = "[a-z0-9]+" if what == "modality" else r"[\w-][\w.-]*"
            if not re.fullmatch(pattern, name, re.ASCII):
                raise InputError(self.path, f"the {what} {name!r}", f"a name that {pattern} matches")

    def read(self) -> tuple[Volume, Volume | None]:
        """Read and check the image and its label map.

        Raises:
            InputError: an image that is not finite or constant, a label map on another grid or with an unknown value.
        """
        image, label = self.voxels()
        if not np.isfinite(image.array).all():
            raise InputError(self.path, "NaN or infinite intensities", "finite ones")
        if image.array.min() == image.array.max():
            raise InputError(self.path, f"a constant image of {image.array.min()}", "an image")
        if label is not None:
            require_same_grid(self.path, label, image)
            known = {0}.union(*self.structures.values())
            unknown = sorted(set(np.unique(label.array).tolist()) - known)
            if unknown:
                raise InputError(self.path, f"label values {unknown[:8]}", f"only {sorted(known)}")
        return image, label


Reader = Callable[..., Iterator[Scan]]
"""Reads a folder, its first argument; its others are options that it needs, such as the release of a data set."""
