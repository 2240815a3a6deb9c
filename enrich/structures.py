"""The structures of a study: which there are in each modality, their values in label maps, and which is the target.

`structures.json` beside `scans.csv` says it. Label maps hold consecutive values. Where structures share voxels, as a
tumour and its core, a value is a part of one or more of them; otherwise a structure has one value.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enrich.scan import Structures as Values
from gan.errors import InputError
from gan.files import checked, publish_json
from gan.reading import read_json

FILE = "structures.json"
VALUES = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {
        "type": "object",
        "additionalProperties": {"type": "array", "minItems": 1, "items": {"type": "integer", "minimum": 1}},
    },
}
"""The schema of the values that make up each structure, by modality."""
RULES = {
    "type": "object",
    "properties": {"target": {"type": "array", "minItems": 1, "items": {"type": "string"}}, "values": VALUES},
    "required": ["target", "values"],
}
"""The schema of `structures.json`."""


@dataclass(frozen=True)
class Structures:
    """The structures of a study.

    Attributes:
        target: those that target-aware methods attend to, whose union is the target area.
        of: of every modality, the values that make up each structure in its label maps.
    """

    target: tuple[str, ...]
    of: Mapping[str, Values]

    def target_values(self, modality: str) -> list[int]:
        """Return the values that make up the target area in label maps of a modality."""
        return sorted({value for name in self.target for value in self.of[modality][name]})

    def target_of(self, modality: str, label: NDArray[np.generic]) -> NDArray[np.bool_]:
        """Return the target area of a label map of a modality."""
        inside: NDArray[np.bool_] = np.isin(label, self.target_values(modality))
        return inside

    def own_value(self, modality: str) -> int:
        """Return the value of the target that is in the fewest structures: as what a mask of the target is stored."""
        others = self.of[modality].values()
        return min(self.target_values(modality), key=lambda value: sum(value in own for own in others))

    def write(self, scans_csv: Path) -> None:
        """Write `structures.json` beside `scans.csv`."""
        publish_json(scans_csv.with_name(FILE), {"target": self.target, "values": self.of})


def read(scans_csv: Path) -> Structures:
    """Read the structures of the scans of an index.

    Raises:
        InputError: no such file beside it, or another one.
    """
    path = scans_csv.with_name(FILE)
    checked(path)
    expected = "structures.json as enrich.prepare writes it"
    return of_json(read_json(path, RULES, expected), path, expected)


def of_json(told: Mapping[str, Any], path: Path, expected: str) -> Structures:
    """Return the structures that JSON with the schema `RULES` tells of.

    Raises:
        InputError: a modality without the target; names `path`.
    """
    for modality, found in told["values"].items():
        if lost := sorted(set(told["target"]) - found.keys()):
            raise InputError(path, f"no {', '.join(lost)} in {modality}", expected)
    return Structures(tuple(told["target"]), by_modality(told["values"]))


def by_modality(told: Mapping[str, Any]) -> dict[str, Values]:
    """Return what JSON with the schema `VALUES` tells of every modality."""
    return {modality: {name: tuple(own) for name, own in found.items()} for modality, found in told.items()}


def parts(structures: Values, chosen: Sequence[str]) -> tuple[dict[int, int], Values]:
    """Divide label values into the parts that chosen structures are made of.

    Values that lie in the same of the chosen structures become one part, those in none of them background. The parts
    are numbered from 1 in the order of their smallest values.

    Returns:
        The part of every value that has one, and the parts that make up each chosen structure.
    """
    members: dict[tuple[str, ...], list[int]] = {}
    for value in sorted({value for name in chosen for value in structures[name]}):
        members.setdefault(tuple(name for name in chosen if value in structures[name]), []).append(value)
    part_of = {value: number for number, values in enumerate(members.values(), 1) for value in values}
    return part_of, {name: tuple(sorted({part_of[value] for value in structures[name]})) for name in chosen}
