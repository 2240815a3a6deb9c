"""Any raw data set of nnU-Net's, 2-D or 3-D, of labels or regions, in which a case may lack any channels.

Channels become modalities, and labels structures, by their names: lower case, letters and digits only (of structures
`_` in the place of anything else), so that the channel `T1w` is the modality `t1w`.
"""

import os
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from enrich import volume
from enrich.scan import Scan, Structures
from enrich.volume import Volume
from gan.errors import InputError
from gan.reading import is_file, read_json

VALUE = {"type": "integer", "minimum": 0, "maximum": 65535}
RULES = {
    "type": "object",
    "properties": {
        "channel_names": {
            "type": "object",
            "propertyNames": {"pattern": r"^[0-9]{1,4}\Z"},
            "additionalProperties": {"type": "string"},
        },
        "labels": {
            "type": "object",
            "additionalProperties": {"anyOf": [VALUE, {"type": "array", "minItems": 1, "items": VALUE}]},
        },
        "file_ending": {"type": "string", "pattern": r"^\.[A-Za-z0-9.]+\Z"},
        "dataset": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "images": {"type": "array", "items": {"type": ["string", "null"]}},
                    "label": {"type": "string"},
                },
                "required": ["images", "label"],
            },
        },
    },
    "required": ["channel_names", "labels", "file_ending"],
}
"""The schema of what is read of a `dataset.json`."""


def scans(folder: Path) -> Iterator[Scan]:
    """Yield every channel that is there, of the training cases and then of those of `imagesTs`, which have no label.

    `folder` is `DatasetXXX_Name`. Its `dataset.json` may name the files of the cases by a map `dataset`; a channel that
    a case lacks is then null there, and otherwise a file that is not there. A case is a patient.

    Raises:
        InputError: no such `dataset.json`, one with nnU-Net's label `ignore`, a case without any channel or, in
            training, without a label, or a file that belongs to no case.
    """
    path = folder / "dataset.json"
    told = read_json(path, RULES, "nnU-Net's, with channel_names, labels and file_ending")
    modalities = _names(path, "channel_names", told["channel_names"], "")
    structures = _structures(path, told["labels"])
    ending = told["file_ending"]
    cases = _mapped(folder, told["dataset"]) if "dataset" in told else _listed(folder, ending)
    tests = {name: (files, None) for name, files in _files(folder / "imagesTs", ending).items()}
    if not cases:
        raise InputError(folder, "no training case", "a map dataset in dataset.json, or imagesTr and labelsTr")
    for name, (images, label) in [*sorted(cases.items()), *sorted(tests.items())]:
        if unknown := sorted(images.keys() - set(range(len(modalities)))):
            raise InputError(images[unknown[0]], f"channel {unknown[0]}", f"one of {len(modalities)} channels")
        for number, image in sorted(images.items()):
            voxels = partial(_read, image, label)
            yield Scan(name, name, modalities[number], image, structures, voxels, label is not None)


def _names(path: Path, key: str, given: Mapping[str, str], gap: str) -> list[str]:
    """Return names as the config writes them, in the order of their numbers."""
    names = [re.sub(r"[^a-z0-9]+", gap, given[number].lower()).strip(gap or None) for number in sorted(given, key=int)]
    if sorted(given, key=int) != [str(number) for number in range(len(given))] or len(set(names)) < len(names):
        raise InputError(path, f"{key} {given}", "names that differ in letters and digits, numbered from 0")
    return names


def _structures(path: Path, labels: Mapping[str, int | list[int]]) -> Structures:
    """Return the values of every structure; a region has several, and a plain label one."""
    found = {}
    for given, values in labels.items():
        name = re.sub(r"[^a-z0-9]+", "_", given.lower()).strip("_")
        if name == "ignore":
            raise InputError(path, f"the label {given}", "none: each voxel is trained on and scored, none left out")
        if values == 0:
            continue
        if name in found:
            raise InputError(path, f"labels {', '.join(labels)}", "names that differ in letters and digits")
        found[name] = tuple(map(int, values if isinstance(values, list) else [values]))  # JSON takes 1.0 for whole
    return found


def _mapped(folder: Path, cases: Mapping[str, Any]) -> dict[str, tuple[dict[int, Path], Path | None]]:
    """Return the files of every case as `dataset.json` maps them, with `$` in paths expanded as nnU-Net does."""

    def path_of(text: str) -> Path:
        return folder / os.path.expandvars(text)

    found: dict[str, tuple[dict[int, Path], Path | None]] = {}
    for name, case in cases.items():
        images = {number: path_of(text) for number, text in enumerate(case["images"]) if text is not None}
        for path in images.values():
            if not is_file(path):
                raise InputError(path, "no such file", f"the image of case {name}, or null in dataset.json")
        if not images:
            raise InputError(folder / "dataset.json", f"no image of case {name}", "at least one")
        found[name] = images, path_of(case["label"])
    return found


def _listed(folder: Path, ending: str) -> dict[str, tuple[dict[int, Path], Path | None]]:
    """Return the files of every case of `imagesTr` and `labelsTr`."""
    images = _files(folder / "imagesTr", ending)
    labels = {path.name.removesuffix(ending): path for path in (folder / "labelsTr").glob(f"[!.]*{ending}")}
    if lost := sorted(images.keys() ^ labels.keys()):
        name = lost[0]
        if name in images:
            raise InputError(folder / "labelsTr" / f"{name}{ending}", "no such file", "the label of a training case")
        raise InputError(labels[name], "no image of its name", f"{name}_0000{ending} and the like in imagesTr")
    return {name: (files, labels[name]) for name, files in images.items()}


def _files(folder: Path, ending: str) -> dict[str, dict[int, Path]]:
    """Return the files of every case in a folder by the number of the channel."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(folder.glob(f"[!.]*{ending}")):
        parts = re.fullmatch(rf"(?P<case>.+)_(?P<channel>\d{{4}}){re.escape(ending)}", path.name)
        if parts is None:
            raise InputError(path, "no number of a channel", f"<case>_0000{ending} and the like")
        found.setdefault(parts["case"], {})[int(parts["channel"])] = path
    return found


def _read(path: Path, label: Path | None) -> tuple[Volume, Volume | None]:
    return volume.read(path), None if label is None else volume.read(label)
