"""Scans on their way through translators: the next ones are read and the last ones written while a network works."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Generic, TypeVar

import pandas as pd
from tqdm import tqdm

from enrich import index
from enrich.crossfit import Fits
from enrich.intensity import Intensity
from enrich.parallel import overlapped
from enrich.translate import Planes, read_planes

Translated = TypeVar("Translated")


@dataclass(frozen=True)
class Translating(ABC, Generic[Translated]):
    """What is made of a scan, in three steps: `read`, `translate` and `write`.

    Attributes:
        scans_csv: the scans.
        fits: the models that translate every patient.
        intensity: as in the training.
        folder: for what is written.
    """

    scans_csv: Path
    fits: Fits
    intensity: Intensity
    folder: Path

    def read(self, scan: "pd.Series[str]") -> tuple["pd.Series[str]", Planes]:
        """Read the scan of a row of `scans.csv`."""
        path = index.file_of(self.scans_csv, scan["image"], scan["image_sha256"])
        return scan, read_planes(path, scan, self.fits.image_size, self.intensity)

    @abstractmethod
    def translate(self, read: tuple["pd.Series[str]", Planes]) -> Translated:
        """Do the network's part."""

    @abstractmethod
    def write(self, translated: Translated) -> list[tuple[str, ...]]:
        """Write what came out; return its rows of the index."""

    def rows(self, scans: pd.DataFrame, name: str, workers: int) -> list[tuple[str, ...]]:
        """Do all three with rows of `scans.csv`, beside the network in `workers` threads; return what `write` does."""
        found = overlapped(self.read, self.translate, self.write, (scan for _, scan in scans.iterrows()), workers)
        return list(chain.from_iterable(tqdm(found, name, len(scans), disable=None)))
