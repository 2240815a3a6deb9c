"""The test patients' scans and their translations, as whatever compares the two reads them."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from enrich import index, splits, volume
from enrich.axial import AXIAL, to_axial
from enrich.gan_grid import to_gan_grid
from enrich.intensity import AIR_HU, Intensity, stored_as_images
from enrich.modality import is_ct
from enrich.nonzero import nonzero_mask
from enrich.translate import Planes
from enrich.volume import Volume
from gan.errors import InputError


@dataclass(frozen=True)
class Picture:
    """A scan of a modality, real or translated.

    Attributes:
        modality: of what is shown.
        images: in [-1, 1], axial, (Z, Y, X).
        body: the foreground of the real scan that it is or is made of, (Z, Y, X).
        scan: as a real scan of the modality is stored, CT in HU, in the orientation of its file.
    """

    modality: str
    images: NDArray[np.float32]
    body: NDArray[np.bool_]
    scan: Volume


@dataclass(frozen=True)
class Translation:
    """A test patient's scan in another modality.

    Attributes:
        row: the scan's row of `scans.csv`.
        fit: which models translated it, as the index of the synthetic scans says.
        source: the scan.
        picture: its translation.
    """

    row: "pd.Series[str]"
    fit: str
    source: Picture
    picture: Picture


def scans_to_test(scans_csv: Path, splits_json: Path, modalities: Collection[str] | None = None) -> pd.DataFrame:
    """Return the rows of the test patients' labelled scans, of all or of some modalities.

    Raises:
        InputError: there is none.
    """
    scans, test = index.read(scans_csv, index.SCANS), splits.read(splits_json).test
    found = scans[scans["patient"].isin(test) & (scans["label"] != "")]
    if modalities is not None:
        found = found[found["modality"].isin(modalities)]
    if found.empty:
        raise InputError(splits_json, "no labelled scan to test", "at least one")
    return found


def read_picture(scans_csv: Path, row: "pd.Series[str]", intensity: Intensity) -> Picture:
    """Read a real scan."""
    path = index.file_of(scans_csv, row["image"], row["image_sha256"])
    scan = volume.read(path)
    axial, body = to_axial(scan, row, intensity, path)
    return Picture(row["modality"], axial.array, body, scan)


def read_aligned(scans_csv: Path, row: "pd.Series[str]", modality: str, intensity: Intensity) -> Picture | None:
    """Read the real scan of another modality of a case; None where there is none on the same grid."""
    scans = index.read(scans_csv, index.SCANS)
    other = scans[(scans["case"] == row["case"]) & (scans["modality"] == modality)]
    if other.empty:
        return None
    grids = (volume.read_grid(scans_csv.parent / path) for path in (row["image"], other.iloc[0]["image"]))
    return read_picture(scans_csv, other.iloc[0], intensity) if volume.same_grid(*grids) else None


def read_translations(
    scans_csv: Path, splits_json: Path, synthetic: Path | None, targets: Collection[str], intensity: Intensity
) -> Iterator[Translation]:
    """Yield the translations of the test patients' labelled scans to `targets`, in the order of `scans.csv`.

    Args:
        scans_csv: the scans.
        splits_json: who tests.
        synthetic: index of the synthetic scans; None: each source copied, as if a generator had returned its input.
        targets: modalities.
        intensity: as in the synthesis.

    Raises:
        InputError: no translation, one that is listed twice, or a file that is missing, is another one, or is on
            another grid than its source.
    """
    listed = {} if synthetic is None else _listed(synthetic)
    nothing = True
    for _, row in scans_to_test(scans_csv, splits_json).iterrows():
        case, modality = row["case"], row["modality"]
        wanted = [
            name for name in targets if name != modality and (synthetic is None or (case, modality, name) in listed)
        ]
        if not wanted:
            continue
        nothing, source = False, read_picture(scans_csv, row, intensity)
        for target in wanted:
            if synthetic is None:
                stored, fit = _copied(source, target, intensity), ""
            else:
                entry = listed[case, modality, target]
                path, fit = index.file_of(synthetic, entry["image"], entry["sha256"]), entry.get("fit", "")
                stored = volume.read(path)
                volume.require_same_grid(path, stored, source.scan)
            yield Translation(row, fit, source, _translated(stored, target, source.body, intensity))
    if nothing:
        expected = f"one of a test patient's labelled scan to {' or '.join(targets)}"
        raise InputError(synthetic or scans_csv, "no translation", expected)


def _listed(synthetic: Path) -> dict[tuple[str, str, str], "pd.Series[str]"]:
    """Return the rows of an index of synthetic scans by case, source and target."""
    rows = index.read(synthetic, index.SYNTHETIC)
    keys = list(zip(rows["case"], rows["source"], rows["target"], strict=True))
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(synthetic, f"{' '.join(twice)} twice", "every translation once")
    return dict(zip(keys, (row for _, row in rows.iterrows()), strict=True))


def _translated(stored: Volume, target: str, body: NDArray[np.bool_], intensity: Intensity) -> Picture:
    """Return a synthetic scan, stored as `enrich.synthesize` stores it, as a picture.

    Outside nnU-Net's non-zero mask of the source it is stored as 0, which is air in CT too.
    """
    images = stored_as_images(volume.reorient(stored, AXIAL).array, target, intensity)
    scan = stored.with_array(stored.array.astype(np.int16) + np.int16(AIR_HU if is_ct(target) else 0))
    return Picture(target, images, body, scan)


def _copied(source: Picture, target: str, intensity: Intensity) -> Volume:
    """Return a scan, not resampled, as it would be stored if it were a translation to `target`."""
    axial = volume.reorient(source.scan, AXIAL).with_array(source.images)
    images = to_gan_grid(source.images, max(source.images.shape[1:]), -1)[:, None]
    inside = source.scan.with_array(nonzero_mask(source.scan.array))
    return Planes(images, axial, inside, Path()).stored(target, intensity)
