"""Scans that the user lists: a CSV with the columns case, modality, image, label and, where it differs, patient.

    case,modality,image,label,patient
    a1,flair,a/flair.nii.gz,a/truth.nii.gz,a

Paths are relative to the CSV. An image is a file, or a folder with one DICOM series. An empty label is a scan without
one. Cases of one patient are split together.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from enrich import volume
from enrich.datasets import dicom
from enrich.modality import is_ct
from enrich.scan import Scan
from enrich.volume import Volume
from gan.errors import InputError
from gan.reading import is_file, read_table

COLUMNS = ("case", "modality", "image", "label")


def scans(folder: Path, structures: Mapping[str, Sequence[int]]) -> Iterator[Scan]:
    """Yield every row.

    Args:
        folder: the CSV, or a folder with one that is called `scans.csv`.
        structures: the values in the label maps that make up each structure.

    Raises:
        InputError: no such table, an empty field or a file that is not there, naming the row's case; a folder of CT
            whose first file is no DICOM file, or has a broken display window.
    """
    path = folder / "scans.csv" if folder.is_dir() else folder
    yield from scans_of(read_rows(path), path.parent, structures)


def scans_of(rows: pd.DataFrame, home: Path, structures: Mapping[str, Sequence[int]]) -> Iterator[Scan]:
    """Yield every row of a table whose paths are relative to `home`; errors and structures as of `scans`."""
    known = {name: tuple(values) for name, values in structures.items()}
    for row in rows.to_dict("records"):
        files = {name: home / row[name] for name in ("image", "label") if row[name]}
        for name in ("case", "patient", "modality", "image"):
            if not row[name]:
                raise InputError(home, f"no {name} of case {row['case'] or '(none)'}", "one in every row")
        for name, file in files.items():
            if not (is_file(file) or (name == "image" and os.path.isdir(file))):  # noqa: PTH112
                raise InputError(file, "no such file", f"the {name} of case {row['case']}")
        image, modality = files["image"], row["modality"]
        voxels = partial(_read, image, files.get("label"))
        window = dicom.window_hu(dicom.files_of(image)[0]) if is_ct(modality) and image.is_dir() else None
        yield Scan(row["case"], row["patient"], modality, image, known, voxels, "label" in files, window)


def read_rows(path: Path, label: bool = True) -> pd.DataFrame:
    """Read a table; where `label` is false, the column of that name may lack.

    Raises:
        InputError: no such table.
    """
    needed = [name for name in COLUMNS if label or name != "label"]
    expected = f"a CSV with the columns {', '.join(needed)} and perhaps patient"
    rows = read_table(path, expected, dtype=str)
    if not set(needed) <= set(rows.columns) <= {*COLUMNS, "patient"}:
        raise InputError(path, f"the columns {', '.join(rows.columns)}", expected)
    rows = rows if "label" in rows else rows.assign(label="")
    return rows if "patient" in rows else rows.assign(patient=rows["case"])


def _read(path: Path, label: Path | None) -> tuple[Volume, Volume | None]:
    return read_image(path), None if label is None else volume.read(label)


def read_image(path: Path) -> Volume:
    """Read an image file, or the DICOM series that a folder holds.

    Raises:
        InputError: an unreadable file, or a folder without a series, or with several, of one patient or more.
    """
    if not path.is_dir():
        return volume.read(path)
    slices = [dicom.read_slice(file) for file in dicom.files_of(path)]
    dicom.require_one_series(slices)
    image, _ = dicom.stack(slices)
    return image
