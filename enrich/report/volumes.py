"""The test scans of a run with all that was made of them, read from their files as axial slices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from enrich import index, splits, structures, volume
from enrich.axial import AXIAL, to_axial
from enrich.fill import REAL
from enrich.intensity import Intensity, stored_as_images
from enrich.modality import is_ct
from enrich.rows import CONTROLS
from enrich.volume import Volume
from gan.errors import InputError

Planes = NDArray[np.float32]
Mask = NDArray[np.bool_]
Indexes = dict[tuple[str, Path], tuple[Path, pd.DataFrame]]

NOTHING = pd.DataFrame(columns=[*index.SYNTHETIC])


@dataclass(frozen=True)
class TestScan:
    """A labelled test scan.

    Attributes:
        row: its row of `scans.csv`.
        split: the folder of the split in which its patient tests.
        grid: the scan on its own grid.
        axial: the same, axial, between black 0 and white 1.
        reference: the target, (Z, Y, X), axial.
    """

    row: pd.Series[Any]
    split: Path
    grid: Volume
    axial: Volume
    reference: Mask


class Volumes:
    """The files of a run: scans, synthetic scans and predictions."""

    def __init__(
        self,
        scans: Path,
        splits_of_run: Sequence[Path],
        synthetic: Sequence[tuple[str, Path]],
        channels: Sequence[tuple[str, Path]],
        predictions: Sequence[tuple[tuple[str, str], Path]],
        intensity: Intensity,
        dropped: Path | None = None,
    ) -> None:
        """Read the indexes.

        Args:
            scans: `scans.csv`.
            splits_of_run: `splits.json`: one, or one for each outer fold.
            synthetic: of translations, name and `index.csv`, which lies in the folder of its split; a name once for
                each split.
            channels: the same of what segmenters got beside a scan, real or synthetic. A control, which no split
                changes, may lie elsewhere and is everybody's.
            predictions: (method, modality) and `index.csv`; the same once for each split.
            intensity: how real scans are shown.
            dropped: `dropped.csv`, of the scans that only the oracle has.

        Raises:
            InputError: an unreadable index, one of translations or channels outside the folder of every split, or a
                scan that a method segmented twice.
        """
        self.intensity = intensity
        self._scans_csv = scans
        self._scans, self._structures = index.read(scans, index.SCANS), structures.read(scans)
        known = [self._scans, *([] if dropped is None else [index.read(dropped, index.SCANS)])]
        self._real = {(scans.parent / row["image"]).resolve(): row for _, row in pd.concat(known).iterrows()}
        self._split_of = {patient: path.parent for path in splits_of_run for patient in splits.read(path).test}
        everywhere = [one.parent for one in splits_of_run]
        self._synthetic, self._channels = _by_split(synthetic, everywhere), _by_split(channels, everywhere)
        self._predictions: dict[tuple[str, str, str], tuple[Path, str, str]] = {}
        for (method, modality), path in predictions:
            for _, row in index.read(path, index.PREDICTIONS).iterrows():
                key = method, modality, row["case"]
                if key in self._predictions:
                    raise InputError(path, f"{' '.join(key)} again", "each test scan once")
                self._predictions[key] = path, row["image"], row["sha256"]

    def test_rows(self) -> pd.DataFrame:
        """Return the rows of `scans.csv` of the labelled test scans, by patient, case and modality."""
        labelled = self._scans[self._scans["patient"].isin(list(self._split_of)) & (self._scans["label"] != "")]
        return labelled.sort_values(["patient", "case", "modality"])

    def read(self, row: pd.Series[Any]) -> TestScan:
        """Read a labelled test scan."""
        image, label = (index.file_of(self._scans_csv, row[name], row[f"{name}_sha256"]) for name in ("image", "label"))
        grid = volume.read(image)
        reference = self._structures.target_of(row["modality"], volume.reorient(volume.read(label), AXIAL).array)
        return TestScan(row, self._split_of[row["patient"]], grid, self._grey(grid, row, image), reference)

    def truth(self, scan: TestScan, modality: str) -> Planes | None:
        """Return the same case in another modality, (Z, Y, X) from 0 to 1, if there is one aligned voxel by voxel."""
        rows = self._scans[(self._scans["case"] == scan.row["case"]) & (self._scans["modality"] == modality)]
        for _, row in rows.iterrows():
            path = index.file_of(self._scans_csv, row["image"], row["image_sha256"])
            found = volume.read(path)
            if volume.same_grid(found, scan.grid):
                return self._grey(found, row, path).array
        return None

    def targets(self, name: str, scan: TestScan) -> list[str]:
        """Return the modalities that a scan is translated to by `name`, in the order of the index."""
        return list(self._rows(self._synthetic, name, scan)["target"])

    def synthetic(self, name: str, scan: TestScan, target: str) -> Planes:
        """Return a scan in modality `target` by `name`, as `channel` does."""
        return self._planes(self._synthetic, name, scan, target)

    def channels(self, name: str, scan: TestScan) -> list[tuple[str, str | None]]:
        """Return the modalities of a scan's further channels by `name`, and what each is made of.

        That is what `enrich.fill` says, or None where every channel is made of the scan.
        """
        rows = self._rows(self._channels, name, scan)
        rows = rows[rows["target"] != scan.row["modality"]]
        made_of = rows["of"] if "of" in rows else [None] * len(rows)
        return list(zip(rows["target"], made_of, strict=True))

    def channel(self, name: str, scan: TestScan, target: str) -> Planes:
        """Return a further channel of a scan by `name`, (Z, Y, X) from 0 to 1, axial.

        A synthetic scan is shown over the range that all synthetic ones have, a real one as all real scans are, an
        empty one black.

        Raises:
            InputError: the index lacks it, the file is another one, or its grid is not the scan's.
        """
        return self._planes(self._channels, name, scan, target)

    def _rows(self, where: Indexes, name: str, scan: TestScan) -> pd.DataFrame:
        _, rows = where.get((name, scan.split), (None, NOTHING))
        found: pd.DataFrame = rows[(rows["case"] == scan.row["case"]) & (rows["source"] == scan.row["modality"])]
        return found

    def _planes(self, where: Indexes, name: str, scan: TestScan, target: str) -> Planes:
        path, _ = where[name, scan.split]
        rows = self._rows(where, name, scan)
        wanted = rows[rows["target"] == target]
        if len(wanted) != 1:
            expected = f"{scan.row['case']} from {scan.row['modality']} to {target} once"
            raise InputError(path, f"{len(wanted)} images", expected)
        row = wanted.iloc[0]
        file = index.file_of(path, row["image"], row["sha256"])
        found = volume.read(file)
        volume.require_same_grid(file, found, scan.grid)
        if (real := self._real.get(file.resolve())) is not None:
            return self._grey(found, real, file).array
        if name == "copy":
            return self._grey(found, scan.row, file).array
        if row.get("of") == REAL and not is_ct(target):
            own = self._scans[(self._scans["case"] == row["case"]) & (self._scans["modality"] == target)]
            return self._grey(found, own.iloc[0], file).array
        voxels = volume.reorient(found, AXIAL).array
        black = not voxels.any()
        images = stored_as_images(voxels, target, self.intensity)
        return np.zeros_like(images) if black else ((images + 1) / 2).astype(np.float32)

    def prediction(self, method: str, scan: TestScan) -> Mask | None:
        """Return what a method segmented, (Z, Y, X), axial; None where it segmented no such scan.

        Raises:
            InputError: the file is another one, or its grid is not the scan's.
        """
        found = self._predictions.get((method, scan.row["modality"], scan.row["case"]))
        if found is None:
            return None
        file = index.file_of(*found)
        mask = volume.read(file)
        volume.require_same_grid(file, mask, scan.grid)
        return self._structures.target_of(scan.row["modality"], volume.reorient(mask, AXIAL).array)

    def _grey(self, scan: Volume, row: pd.Series[Any], path: Path) -> Volume:
        axial, _ = to_axial(scan, row, self.intensity, path)
        return axial.with_array((axial.array + 1) / 2)


def _by_split(found: Sequence[tuple[str, Path]], splits_of_run: Sequence[Path]) -> Indexes:
    """Read indexes by name and folder of their split; a control's outside all of them is that of each."""
    indexes: Indexes = {}
    for name, path in found:
        folders = [folder for folder in splits_of_run if folder in path.parents]
        if not folders and name not in CONTROLS:
            raise InputError(path, "a folder of no split", " or ".join(map(str, splits_of_run)))
        rows = index.read(path, index.SYNTHETIC)
        indexes |= {(name, folder): (path, rows) for folder in folders or splits_of_run}
    return indexes
