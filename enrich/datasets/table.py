"""Scans that the user lists: a CSV with the columns case, modality, image, label and, where it differs, patient.

    case,modality,image,label,patient
    a1,flair,a/flair.nii.gz,a/truth.nii.gz,a

Paths are relative to the CSV. An empty label is a scan without one. Cases of one patient are split together.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from enrich import volume
from enrich.scan import Scan
from enrich.volume import Volume
from gan.errors import InputError

COLUMNS = ("case", "modality", "image", "label")


def scans(folder: Path, structures: Mapping[str, Sequence[int]]) -> Iterator[Scan]:
    """Yield every row.

    Args:
        folder: the CSV, or a folder with one that is called `scans.csv`.
        structures: the values in the label maps that make up each structure.

    Raises:
        InputError: no such table, an empty field or a file that is not there; names the row's case.
    """
    path = folder / "scans.csv" if folder.is_dir() else folder
    known = {name: tuple(values) for name, values in structures.items()}
    for row in _read_rows(path).to_dict("records"):
        files = {name: path.parent / row[name] for name in ("image", "label") if row[name]}
        for name in ("case", "patient", "modality", "image"):
            if not row[name]:
                raise InputError(path, f"no {name} of case {row['case'] or '(none)'}", "one in every row")
        for name, file in files.items():
            if not file.is_file():
                raise InputError(file, "no such file", f"the {name} of case {row['case']} in {path}")
        voxels = partial(_read, files["image"], files.get("label"))
        yield Scan(row["case"], row["patient"], row["modality"], files["image"], known, voxels)


def _read_rows(path: Path) -> pd.DataFrame:
    expected = f"a CSV with the columns {', '.join(COLUMNS)} and perhaps patient"
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(path, "no readable file", expected) from error
    if not set(COLUMNS) <= set(rows.columns) <= {*COLUMNS, "patient"}:
        raise InputError(path, f"the columns {', '.join(rows.columns)}", expected)
    return rows if "patient" in rows else rows.assign(patient=rows["case"])


def _read(path: Path, label: Path | None) -> tuple[Volume, Volume | None]:
    return volume.read(path), None if label is None else volume.read(label)
