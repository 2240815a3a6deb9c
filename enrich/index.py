"""CSV indexes of files: paths relative to the index, each with the hash that its readers check."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from gan.errors import InputError
from gan.files import checked, publish, publish_json, require_recorded, sha256
from gan.reading import NAME, is_file, read_table

MADE_BY = "made_by.json"
SCANS = ("case", "patient", "modality", "image", "label", "image_sha256", "label_sha256", "window_low_hu", "target_ml")
SYNTHETIC = ("case", "source", "target", "image", "sha256")
CASES = ("case", "patient", "source", "target", "through", "image", "sha256", "label", "label_sha256")
PREDICTIONS = ("case", "image", "sha256")
NAMED = {"case", "patient", "modality", "source", "target"}
"""Columns of names, which those of files are made of."""
SEGMENTED = ("case", "source", "image", "sha256")


def read(path: Path, columns: Sequence[str] = ("case", "image")) -> pd.DataFrame:
    """Read an index that has at least `columns`; ids and hashes stay strings, an empty field is the empty string.

    Raises:
        InputError: no such file, another one than was published, or not such an index.
    """
    expected = f"a CSV with the columns {', '.join(columns)}"
    if not is_file(path):
        raise InputError(path, "no such file", expected)
    checked(path)
    ids = dict.fromkeys(("case", "patient", "modality", "source", "target", "through", "image", "label", "fit"), str)
    hashes = dict.fromkeys(("sha256", "image_sha256", "label_sha256"), str)
    numbers = {"window_low_hu": "", "window_high_hu": "", "target_ml": ""}
    types = ids | hashes | dict.fromkeys(numbers, float)
    rows = read_table(path, expected, dtype=types, na_values=numbers)
    if missing := [name for name in columns if name not in rows]:
        raise InputError(path, f"no column {', '.join(missing)}", expected)
    for name in NAMED & set(rows):
        if len(strange := rows.loc[~rows[name].str.fullmatch(NAME), name]):
            raise InputError(path, f"the {name} {strange.iloc[0]!r}", "a name of letters, digits, '.', '-' and '_'")
    return rows


def of_modality(scans: pd.DataFrame, modality: str) -> dict[str, "pd.Series[str]"]:
    """Return the rows of `scans.csv` of a modality by their cases."""
    return {row["case"]: row for _, row in scans[scans["modality"] == modality].iterrows()}


def write(rows: pd.DataFrame, path: Path) -> None:
    """Publish an index, sealed."""
    with publish(path, sealed=True) as temporary:
        rows.to_csv(temporary, index=False)


def write_made_by(folder: Path, networks: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Record in a folder of segmentations what made them: the hashes of the networks, and of the data set or index."""
    facts = {
        "networks_sha256": [sha256(path) for path in networks],
        "inputs_sha256": [sha256(path) for path in inputs],
    }
    publish_json(folder / MADE_BY, facts)


def file_of(index: Path, relative: str, digest: str) -> Path:
    """Return the path of an indexed file.

    Raises:
        InputError: the file is missing or is not the one that was indexed.
    """
    return require_recorded(index.parent / relative, digest, index)
