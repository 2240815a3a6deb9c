"""BraTS: up to four co-registered MR sequences per case and one label map, as NIfTI (Menze et al., IEEE TMI 2015).

The release decides what a label value means. Label maps are given consecutive values:

- 2013, 2015: 1 necrosis, 2 edema, 3 non-enhancing tumour, 4 enhancing tumour;
- 2018 to 2021: 1 necrosis and non-enhancing tumour, 2 edema, 3 enhancing tumour (4 in the files).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from enrich.scan import Scan, Structures
from enrich.volume import Volume, read, read_grid, require_same_grid
from gan.errors import InputError

MODALITIES = ("flair", "t1", "t1ce", "t2")
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
        timed: whether a case's name ends in `_` and the number of the patient's scan.
    """

    prefix: str
    labels: Mapping[int, int]
    structures: Structures
    grades: bool = False
    timed: bool = False


FOUR = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4}
FOUR_STRUCTURES = {"whole_tumour": (1, 2, 3, 4), "tumour_core": (1, 3, 4), "enhancing_tumour": (4,)}
THREE = {0: 0, 1: 1, 2: 2, 4: 3}
THREE_STRUCTURES = {"whole_tumour": (1, 2, 3), "tumour_core": (1, 3), "enhancing_tumour": (3,)}

RELEASES = {
    "2013": Release("brats_", FOUR, FOUR_STRUCTURES, timed=True),
    "2015": Release("brats_", FOUR, FOUR_STRUCTURES, timed=True),
    "2018": Release("Brats18_", THREE, THREE_STRUCTURES, grades=True, timed=True),
    "2019": Release("BraTS19_", THREE, THREE_STRUCTURES, grades=True, timed=True),
    "2020": Release("BraTS20_", THREE, THREE_STRUCTURES),
    "2021": Release("BraTS2021_", THREE, THREE_STRUCTURES),
}


def scans(folder: Path, release: str | None) -> Iterator[Scan]:
    """Yield every scan in the order of case names; every case must have the sequences that any case has.

    Raises:
        InputError: the release is unknown, the folder is not laid out like it, a case lacks a modality,
            or some cases have a segmentation and some not.
    """
    if release not in RELEASES:
        raise InputError(folder, f"release {release!r} of BraTS", f"one of {', '.join(RELEASES)}")
    rules = RELEASES[release]
    cases = _cases(folder, rules)
    files = {case: _images(case) for case in cases}
    modalities = [name for name in MODALITIES if any(name in images for images in files.values())]
    if not modalities:
        raise InputError(folder, "no case with a NIfTI file", f"<case>/<case>_{MODALITIES[0]}.nii.gz and the like")
    segmentations = {case: _segmentation(case, release) for case in cases}
    unlabelled = [case for case in cases if segmentations[case] is None]
    if unlabelled and len(unlabelled) < len(cases):
        raise InputError(unlabelled[0], "no segmentation", "one of every case, or of none as in the validation sets")
    for case in cases:
        images = files[case]
        for name in modalities:
            if name not in images:
                raise InputError(case / f"{case.name}_{name}.nii[.gz]", "no such file", "the modality of other cases")
        patient = re.sub(r"_\d+$", "", case.name) if rules.timed else case.name
        for name in modalities:
            voxels = partial(_read, images[name], segmentations[case], list(images.values()), rules)
            yield Scan(case.name, patient, name, images[name], rules.structures, voxels)


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


def _images(case: Path) -> dict[str, Path]:
    found = {name: _only(case, name) for name in MODALITIES}
    return {name: path for name, path in found.items() if path is not None}


def _only(case: Path, name: str) -> Path | None:
    """Return the file of a sequence, compressed or not, or None."""
    stem = f"{case.name}_{name}.nii"
    found = [path for path in (case / stem, case / f"{stem}.gz") if path.is_file()]
    if len(found) > 1:
        raise InputError(found[0], f"{found[1].name} beside it", "only one of the two")
    return found[0] if found else None


def _segmentation(case: Path, release: str) -> Path | None:
    misnamed = case / MISNAMED.get((release, case.name), "")
    return misnamed if misnamed.is_file() else _only(case, "seg")


def _read(path: Path, segmentation: Path | None, images: list[Path], rules: Release) -> tuple[Volume, Volume | None]:
    reference = read_grid(images[0])
    for other in [*images[1:], *([segmentation] if segmentation else [])]:
        require_same_grid(other, read_grid(other), reference)
    return read(path), _read_label(segmentation, rules.labels) if segmentation else None


def _read_label(path: Path, labels: Mapping[int, int]) -> Volume:
    raw = read(path)
    unknown = sorted(set(np.unique(raw.array).tolist()) - labels.keys())
    if unknown:
        raise InputError(path, f"label values {unknown}", f"only {list(labels)}")
    consecutive = np.zeros(max(labels) + 1, dtype=np.uint8)
    consecutive[list(labels)] = list(labels.values())
    return raw.with_array(consecutive[raw.array.astype(np.uint8)])
