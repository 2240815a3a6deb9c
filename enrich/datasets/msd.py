"""Task01_BrainTumour of the Medical Segmentation Decathlon (Antonelli et al., Nature Communications 2022).

The cases of BraTS 2016 and 2017 under other names, their four sequences in one 4-D file. Label values differ from those
of BraTS: 1 edema, 2 non-enhancing tumour and necrosis, 3 enhancing tumour.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from enrich import volume
from enrich.scan import Scan
from enrich.volume import Volume, require_same_grid
from gan.errors import InputError
from gan.reading import read_json

SEQUENCES = {"0": ("FLAIR", "flair"), "1": ("T1w", "t1"), "2": ("t1gd", "t1ce"), "3": ("T2w", "t2")}
LABELS = {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"}
STRUCTURES = {"whole_tumour": (1, 2, 3), "tumour_core": (2, 3), "enhancing_tumour": (3,)}


def scans(folder: Path) -> Iterator[Scan]:
    """Yield every sequence of every case of `imagesTr`, and then of `imagesTs`, whose cases have no label.

    `folder` is `Task01_BrainTumour`.

    Raises:
        InputError: a folder of another task, a training case without a label, or a label without a case.
    """
    _require_task01(folder / "dataset.json")
    labels = {path.name: path for path in sorted((folder / "labelsTr").glob("[!.]*.nii.gz"))}
    training = sorted((folder / "imagesTr").glob("[!.]*.nii.gz"))
    if not training:
        raise InputError(folder / "imagesTr", "no case", "BRATS_001.nii.gz and the like")
    if lost := sorted(labels.keys() - {path.name for path in training}):
        raise InputError(folder / "labelsTr" / lost[0], "no image of its name", f"one in {folder / 'imagesTr'}")
    for path in [*training, *sorted((folder / "imagesTs").glob("[!.]*.nii.gz"))]:
        label = labels.get(path.name)
        if path in training and label is None:
            raise InputError(folder / "labelsTr" / path.name, "no such file", "the label of a training case")
        case = path.name.removesuffix(".nii.gz")
        for number, (_, modality) in SEQUENCES.items():
            voxels = partial(_read, path, int(number), label)
            yield Scan(case, case, modality, path, STRUCTURES, voxels, label is not None)


def _require_task01(path: Path) -> None:
    expected = "that of Task01_BrainTumour"
    told = read_json(path, {"type": "object", "required": ["modality", "labels"]}, expected)
    found = told["modality"], told["labels"]
    if found != ({number: name for number, (name, _) in SEQUENCES.items()}, LABELS):
        raise InputError(path, f"modality {found[0]} and labels {found[1]}", expected)


def _read(path: Path, number: int, label: Path | None) -> tuple[Volume, Volume | None]:
    image = volume.read(path, number)
    if label is None:
        return image, None
    mask = volume.read(label)
    require_same_grid(label, mask, image)
    return image, mask
