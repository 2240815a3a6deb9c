"""A bundle: all that the next patient's scans need, in one folder. Nothing in it is executed when it is read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enrich import structures, unlike
from enrich.crossfit import ALL
from enrich.intensity import Intensity
from enrich.scan import Structures as Values
from enrich.structures import Structures
from gan.errors import InputError
from gan.files import checked, sha256
from gan.reading import BELOW, is_file, read_json, require_valid

FILE = "bundle.json"
FORMAT = 3
EXPECTED = "bundle.json as enrich.export writes it"
PAIR = {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}
PATHS = {"type": "array", "items": {"type": "string", "pattern": BELOW}}
RULES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "method": {"type": "string"},
        "seed": {"type": "integer"},
        "modalities": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": r"^[a-z0-9]+\Z"}},
        "kind": {"enum": ["", "synthetic", "zero", "copied"]},
        "together": {"type": "boolean"},
        "missing": {
            "type": ["object", "null"],
            "properties": {"source": {"anyOf": [{"const": "mean"}, {"type": "array", "items": {"type": "string"}}]}},
            "required": ["source"],
        },
        "test_fit": {"enum": [ALL, "fold", "mean"]},
        "translators": {"type": "object", "additionalProperties": PATHS | {"minItems": 1}},
        "intensity": {
            "type": "object",
            "properties": {"preset": {"enum": ["default", "paper"]}, "ct_window_hu": PAIR, "mr_percentiles": PAIR},
            "additionalProperties": False,
        },
        "correction": {
            "type": "object",
            "properties": {"n4": {"type": "boolean"}, "ct_field_of_view_mm": {"type": ["number", "null"]}},
            "additionalProperties": False,
        },
        "mirroring": {"type": "boolean"},
        "structures": structures.RULES,
        "label_values": structures.VALUES,
        "training": {"type": "object", "additionalProperties": unlike.RULES},
        "files": {
            "type": "object",
            "propertyNames": {"pattern": BELOW},
            "additionalProperties": {"type": "string"},
        },
    },
}
RULES["required"] = [name for name in RULES["properties"] if name != "test_fit"]
"""The schema of `bundle.json`."""


@dataclass(frozen=True)
class Bundle:
    """What `bundle.json` says, and where it lies.

    Attributes:
        folder: of the bundle.
        told: its content.
    """

    folder: Path
    told: Mapping[str, Any]

    @property
    def method(self) -> str:
        """The row of the run's tables."""
        return str(self.told["method"])

    @property
    def modalities(self) -> list[str]:
        """All of them, in the order of the channels."""
        return list(self.told["modalities"])

    @property
    def enriched(self) -> bool:
        """Whether the segmenter takes channels beside the scan itself."""
        return bool(self.told["kind"])

    @property
    def structures(self) -> Structures:
        """The structures that are segmented."""
        return structures.of_json(self.told["structures"], self.folder / FILE, EXPECTED)

    @property
    def label_values(self) -> Mapping[str, Values]:
        """The values that make up each structure, by modality, in the files of the data set that trained."""
        return structures.by_modality(self.told["label_values"])

    @property
    def intensity(self) -> Intensity:
        """How scans are scaled for the translator."""
        return Intensity(**self.told["intensity"])

    @property
    def needs_window(self) -> bool:
        """Whether a CT is translated by the display window of its files."""
        return bool(self.told["translators"]) and self.intensity.preset == "paper"

    def translators(self) -> dict[str, list[Path]]:
        """Return the models that translate, by fit; none of a row that needs none."""
        return {fit: [self.folder / path for path in paths] for fit, paths in self.told["translators"].items()}

    def segmenter(self, modality: str) -> Path:
        """Return the folder of the segmenter of a modality."""
        return self.folder / "nnunet" / ("pooled" if self.told["together"] else modality)

    @property
    def test_fit(self) -> str:
        """Which models translate the next patient."""
        return str(self.told.get("test_fit", ALL))


def read(folder: Path) -> Bundle:
    """Read a bundle, after every file's hash was checked.

    Raises:
        InputError: no bundle, one of another format, or a file that is missing or was changed.
    """
    path = folder / FILE
    told = read_json(path, {"type": "object", "required": ["format"]}, EXPECTED)
    if told["format"] != FORMAT:
        raise InputError(path, f"a bundle of format {told['format']}", f"format {FORMAT}: export it again")
    checked(path)
    require_valid(told, RULES, path, EXPECTED)
    found = Bundle(folder, told)
    known = found.structures.of.keys() & found.label_values.keys() & told["training"].keys()
    if lost := [name for name in found.modalities if name not in known]:
        raise InputError(path, f"nothing of {', '.join(lost)} in structures, label_values or training", EXPECTED)
    for name, digest in told["files"].items():
        file = folder / name
        if not is_file(file) or sha256(file) != digest:
            raise InputError(file, "another file" if is_file(file) else "no such file", f"the one that {path} names")
    if strange := [path for paths in told["translators"].values() for path in paths if path not in told["files"]]:
        raise InputError(path, f"the translator {strange[0]}", "one of its files")
    return found
