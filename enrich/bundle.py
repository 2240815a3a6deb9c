"""A bundle: all that the next patient's scans need, in one folder. Nothing in it is executed when it is read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from enrich.crossfit import ALL
from enrich.intensity import Intensity
from enrich.scan import Structures as Values
from enrich.structures import Structures
from gan.errors import InputError
from gan.files import checked, sha256

FILE = "bundle.json"
FORMAT = 2


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
        return Structures(tuple(self.told["structures"]["target"]), _by_modality(self.told["structures"]["values"]))

    @property
    def label_values(self) -> Mapping[str, Values]:
        """The values that make up each structure, by modality, in the files of the data set that trained."""
        return _by_modality(self.told["label_values"])

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


def _by_modality(told: Mapping[str, Any]) -> dict[str, Values]:
    return {modality: {name: tuple(own) for name, own in found.items()} for modality, found in told.items()}


def read(folder: Path) -> Bundle:
    """Read a bundle, after every file's hash was checked.

    Raises:
        InputError: no bundle, one of another format, or a file that is missing or was changed.
    """
    path = folder / FILE
    checked(path)
    try:
        told = json.loads(path.read_text())
        files, found = dict(told["files"]), told["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(path, "no readable file", "bundle.json as enrich.export writes it") from error
    if found != FORMAT:
        raise InputError(path, f"a bundle of format {found}", f"format {FORMAT}")
    for name, digest in files.items():
        file = folder / name
        if not file.is_file() or sha256(file) != digest:
            raise InputError(file, "another file" if file.is_file() else "no such file", f"the one that {path} names")
    return Bundle(folder, told)
