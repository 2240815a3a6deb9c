"""BraTS: up to four co-registered MR sequences per case and one label map, as NIfTI (Menze et al., IEEE TMI 2015).

The release decides what a label value means. Label maps are given consecutive values:

- 2013, 2015: 1 necrosis, 2 edema, 3 non-enhancing tumour, 4 enhancing tumour;
- 2018 to 2021: 1 necrosis and non-enhancing tumour, 2 edema, 3 enhancing tumour (4 in the files);
- 2023 (GLI): 1 necrosis and non-enhancing tumour, 2 edema, 3 enhancing tumour;
- 2024 (GLI, after treatment): these, and 4 the resection cavity, which is no part of the tumour.

A case may lack any sequences, and its segmentation; what lies in its folder must have a name that the release knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from enrich.scan import Scan, Structures
from enrich.volume import Volume, read, read_grid, require_same_grid
from gan.errors import InputError

MODALITIES = ("flair", "t1", "t1ce", "t2")
NAMES = {name: f"_{name}" for name in (*MODALITIES, "seg")}
NAMES_2023 = {"flair": "-t2f", "t1": "-t1n", "t1ce": "-t1c", "t2": "-t2w", "seg": "-seg"}
MISNAMED = {("2020", "BraTS20_Training_355"): "W39_1998.09.19_Segm.nii"}
"""Segmentations that a release names otherwise than the rest."""


@dataclass(frozen=True)
class Release:
    """What differs between releases.

    Attributes:
        prefix: how the name of every case begins, in any case of letters.
        labels: the consecutive value of each value in a file.
        structures: the consecutive values that make up each structure.
        grades: whether the cases lie in folders `HGG` and `LGG`.
        time: how the name of a case ends that is one of several of a patient.
        names: how a file's name goes on after the case's, of every sequence and of `seg`.
    """

    prefix: str
    labels: Mapping[int, int]
    structures: Structures
    grades: bool = False
    time: str = ""
    names: Mapping[str, str] = field(default_factory=lambda: NAMES)


FOUR = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}
FOUR_STRUCTURES = {"whole_tumour": (1, 2, 3, 4), "tumour_core": (1, 3, 4), "enhancing_tumour": (4,)}
THREE = {0: 0, 1: 1, 2: 2, 4: 3}
THREE_STRUCTURES = {"whole_tumour": (1, 2, 3), "tumour_core": (1, 3), "enhancing_tumour": (3,)}
CONSECUTIVE = {0: 0, 1: 1, 2: 2, 3: 3}
CAVITY_STRUCTURES = THREE_STRUCTURES | {"resection_cavity": (4,)}

RELEASES = {
    "2013": Release("brats_", FOUR, FOUR_STRUCTURES, time=r"_\d+"),
    "2015": Release("brats_", FOUR, FOUR_STRUCTURES, time=r"_\d+"),
    "2018": Release("Brats18_", THREE, THREE_STRUCTURES, grades=True, time=r"_\d+"),
    "2019": Release("BraTS19_", THREE, THREE_STRUCTURES, grades=True, time=r"_\d+"),
    "2020": Release("BraTS20_", THREE, THREE_STRUCTURES),
    "2021": Release("BraTS2021_", THREE, THREE_STRUCTURES),
    "2023": Release("BraTS-GLI-", CONSECUTIVE, THREE_STRUCTURES, time=r"-\d{3}", names=NAMES_2023),
    "2024": Release("BraTS-GLI-", FOUR, CAVITY_STRUCTURES, time=r"-\d{3}", names=NAMES_2023),
}


def scans(folder: Path, release: str) -> Iterator[Scan]:
    """Yield every scan in the order of case names, whatever sequences a case has.

    Raises:
        InputError: the release is unknown, the folder is not laid out like it, or a case has no sequence at all or a
            file of another name.
    """
    if release not in RELEASES:
        raise InputError(folder, f"release {release!r} of BraTS", f"one of {', '.join(RELEASES)}")
    rules = RELEASES[release]
    for case in _cases(folder, rules):
        images = {name: path for name in MODALITIES if (path := _only(case, rules.names[name])) is not None}
        segmentation = _segmentation(case, release, rules)
        _require_known(case, set(images.values()), segmentation, rules)
        patient = re.sub(rf"{rules.time}$", "", case.name)
        for name, path in images.items():
            voxels = partial(_read, path, segmentation, list(images.values()), rules)
            yield Scan(case.name, patient, name, path, rules.structures, voxels, segmentation is not None)


def _cases(folder: Path, rules: Release) -> list[Path]:
    parents = [folder / "HGG", folder / "LGG"] if rules.grades else [folder]
    cases = sorted((path for parent in parents for path in parent.glob("[!.]*") if path.is_dir()), key=lambda p: p.name)
    if not cases:
        raise InputError(folder, "no case", f"folders of cases in {' and '.join(map(str, parents))}")
    for case in cases:
        if not re.fullmatch(rf"(?i:{rules.prefix})[\w-]+", case.name, re.ASCII):
            raise InputError(case, f"a case named {case.name}", f"{rules.prefix}… as in the release")
    for case, following in pairwise(cases):
        if case.name == following.name:
            raise InputError(following, f"a second case named {case.name}", "each name once")
    return cases


def _only(case: Path, ending: str) -> Path | None:
    """Return the file of a sequence, compressed or not, or None."""
    stem = f"{case.name}{ending}.nii"
    found = [path for path in (case / stem, case / f"{stem}.gz") if path.is_file()]
    if len(found) > 1:
        raise InputError(found[0], f"{found[1].name} beside it", "only one of the two")
    return found[0] if found else None


def _segmentation(case: Path, release: str, rules: Release) -> Path | None:
    misnamed = case / MISNAMED.get((release, case.name), "")
    return misnamed if misnamed.is_file() else _only(case, rules.names["seg"])


def _require_known(case: Path, images: set[Path], segmentation: Path | None, rules: Release) -> None:
    """Require a case to have a sequence, and no NIfTI file that goes unread."""
    expected = " or ".join(f"{case.name}{ending}.nii[.gz]" for ending in rules.names.values())
    if not images:
        raise InputError(case, "no scan", expected)
    for path in sorted(case.glob("[!.]*.nii*")):
        if path not in {*images, segmentation}:
            raise InputError(path, "a file of another name", expected)


def _read(path: Path, segmentation: Path | None, images: list[Path], rules: Release) -> tuple[Volume, Volume | None]:
    reference = read_grid(images[0])
    for other in [*images[1:], *([segmentation] if segmentation else [])]:
        require_same_grid(other, read_grid(other), reference)
    return read(path), _read_label(segmentation, rules.labels) if segmentation else None


def _read_label(path: Path, labels: Mapping[int, int]) -> Volume:
    raw = read(path)
    unknown = sorted(set(np.unique(raw.array).tolist()) - labels.keys())
    if unknown:
        raise InputError(path, f"label values {unknown[:8]}", f"only {list(labels)}")
    consecutive = np.zeros(max(labels) + 1, dtype=np.uint8)
    consecutive[list(labels)] = list(labels.values())
    return raw.with_array(consecutive[raw.array.astype(np.uint8)])
