"""Scores of many segmenters, or of many translators, in one table: concatenated, read back, averaged over seeds."""

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from enrich import index
from enrich.columns import METRICS, SEGMENTATION, TABLES, Table
from gan.errors import InputError, run
from gan.files import checked
from gan.reading import is_file, read_table


def read_scores(path: Path, kind: Table = SEGMENTATION) -> pd.DataFrame:
    """Read a table of scores with its floats to the last bit.

    Raises:
        InputError: no file, another one than was published, other columns, or no row.
    """
    if not is_file(path):
        raise InputError(path, "no such file", "a table of scores")
    checked(path)
    types: dict[str, type] = dict.fromkeys(kind.columns, str)
    types |= dict.fromkeys(kind.integers, int) | dict.fromkeys(kind.numbers, float)
    absent = dict.fromkeys(kind.numbers, "")
    table = read_table(path, "a table of scores", dtype=types, na_values=absent)
    if (found := list(table.columns)) != kind.columns:
        raise InputError(path, f"columns {', '.join(found)}", ", ".join(kind.columns))
    if table.empty:
        raise InputError(path, "no score", "at least one row")
    return table


def of_structure(scores: pd.DataFrame, structure: str) -> pd.DataFrame:
    """Return the scores of a structure.

    Raises:
        InputError: there are none.
    """
    found = scores[scores["structure"] == structure]
    if found.empty:
        raise InputError("scores", f"structures {', '.join(sorted(scores['structure'].unique()))}", structure)
    return found


def gather(paths: list[Path], kind: Table = SEGMENTATION) -> pd.DataFrame:
    """Concatenate tables of scores of one kind, sorted by its keys.

    Raises:
        InputError: the same thing is scored twice, such as a case by one segmenter.
    """
    tables = [read_scores(path, kind) for path in paths]
    table = pd.concat(tables).sort_values(kind.order, kind="stable", ignore_index=True)
    repeated = table.loc[table.duplicated(kind.keys), kind.keys]
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


def require_same_cases(scores: pd.DataFrame, modality: str) -> None:
    """Raise an `InputError` where two methods or seeds were scored on different cases of a modality."""
    cases = {group: set(rows["case"]) for group, rows in scores.groupby(["method", "seed"])}
    first, expected = next(iter(cases.items()))
    for group, found in cases.items():
        if found != expected:
            names = [f"{method} (seed {seed})" for method, seed in (group, first)]
            differing = ", ".join(sorted(found ^ expected))
            raise InputError("scores", f"{names[0]} and {names[1]} differ on {modality} in {differing}", "equal cases")


def main() -> None:
    """Write the tables as one."""
    parser = argparse.ArgumentParser(prog="python -m enrich.gather", description=__doc__)
    parser.add_argument("scores", type=Path, nargs="+", help="CSV of each")
    parser.add_argument("--table", choices=TABLES, default="segmentation", help="kind of all of them")
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    arguments = parser.parse_args()
    table = gather(arguments.scores, TABLES[arguments.table])
    index.write(table, arguments.output)


if __name__ == "__main__":
    run(main)
