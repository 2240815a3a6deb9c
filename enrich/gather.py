"""Scores of many segmenters in one table: concatenated, read back, and averaged over seeds."""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from enrich import index
from enrich.score import COLUMNS, KEYS, METRICS
from gan.errors import InputError, run

NUMBERS = [*METRICS, "reference_ml", "prediction_ml"]


def read_scores(path: Path) -> pd.DataFrame:
    """Read a table of scores with its floats to the last bit.

    Raises:
        InputError: no file, other columns, or no row.
    """
    if not path.is_file():
        raise InputError(path, "no such file", "a table of scores")
    types = {name: float if name in NUMBERS else int if name == "seed" else str for name in COLUMNS}
    absent = dict.fromkeys(NUMBERS, "")
    with path.open() as stream:
        found = stream.readline().strip().split(",")
    if found != COLUMNS:
        raise InputError(path, f"columns {', '.join(found)}", ", ".join(COLUMNS))
    table = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=absent)
    if table.empty:
        raise InputError(path, "no score", "at least one row")
    return table


def gather(paths: list[Path]) -> pd.DataFrame:
    """Concatenate tables of scores, sorted by structure, modality, method, seed, patient and case.

    Raises:
        InputError: the same case is scored twice by one segmenter.
    """
    order = ["structure", "modality", "method", "seed", "patient", "case"]
    table = pd.concat([read_scores(path) for path in paths]).sort_values(order, kind="stable", ignore_index=True)
    repeated = table.loc[table.duplicated(KEYS), KEYS]
    if len(repeated):
        raise InputError("scores", f"{' '.join(map(str, repeated.iloc[0]))} twice", "every score once")
    return table


def per_patient(scores: pd.DataFrame) -> pd.DataFrame:
    """Average each patient's scores over seeds (and over the cases of one patient).

    A metric that is undefined under one seed is undefined for the patient: NaN, not the mean of the other seeds.

    Returns:
        One row per modality × method × patient: the metrics, and `failed`, whether any of its masks was empty.
    """
    grouped = scores.assign(failed=scores["note"] != "").groupby(["modality", "method", "patient"], sort=False)
    means = grouped[METRICS].mean(skipna=False)
    return means.join(grouped["failed"].any()).reset_index()


def require_scores(scores: pd.DataFrame, modalities: Sequence[str], methods: Sequence[str]) -> None:
    """Raise an `InputError` where a method has no score of a modality."""
    scored = set(zip(scores["modality"], scores["method"], strict=True))
    for modality, method in product(modalities, methods):
        if (modality, method) not in scored:
            raise InputError("scores", f"no score of {method} on {modality}", "scores of every method and modality")


def main() -> None:
    """Write the tables as one."""
    parser = argparse.ArgumentParser(prog="python -m enrich.gather", description=__doc__)
    parser.add_argument("scores", type=Path, nargs="+", help="scores.csv of each segmenter")
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    arguments = parser.parse_args()
    table = gather(arguments.scores)
    index.write(table, arguments.output)


if __name__ == "__main__":
    run(main)
