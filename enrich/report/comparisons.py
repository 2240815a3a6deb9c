"""What was tested and what it showed: comparisons as tables, each with words that claim no more than they may."""

from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from enrich.design import Design
from enrich.modality import title
from enrich.report.tables import Cell, Column, Line, Table
from enrich.statistics import EXPLORATORY, PRIMARY
from enrich.tables.comparisons import legend, verdict
from enrich.tables.metrics import METRIC, p_text, signed

NAMES = {PRIMARY: "Primary comparisons, fixed by the config", EXPLORATORY: "Exploratory comparisons"}
NONE = "no difference shown"
READINGS = {
    "better": "significantly better",
    "worse": "significantly worse",
    "differs": "significantly other (mean and ranks disagree)",
}


def tables_of(comparisons: pd.DataFrame, titles: Mapping[str, str], design: Design) -> dict[str, Table]:
    """Return a table for each family that has comparisons."""
    return {
        family: _table(family, comparisons[comparisons["family"] == family], titles, design)
        for family in NAMES
        if (comparisons["family"] == family).any()
    }


def summary(comparisons: pd.DataFrame, titles: Mapping[str, str]) -> str:
    """Say what the primary comparisons showed, method by method."""
    family = comparisons[comparisons["family"] == PRIMARY]
    if family.empty:
        return "Nothing was tested."
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for row in family.to_dict("records"):
        key = (row["method"], row["reference"], row["metric"], reading(row))
        found.setdefault(key, []).append(title(row["modality"]))
    parts = [
        f"{titles.get(method, method)}: {said}{'' if said == NONE else f' than {titles.get(reference, reference)}'} in"
        f" {METRIC[metric].name.removesuffix(' (%)')} on {', '.join(modalities)}"
        for (method, reference, metric, said), modalities in found.items()
    ]
    return f"{'; '.join(parts)}."


def reading(row: dict[Hashable, Any]) -> str:
    """Say what one comparison shows."""
    if row["family"] != PRIMARY:
        return "exploratory: p not corrected, never called significant"
    if not row["significant"]:
        return NONE
    return READINGS[verdict(row)]


def _table(family: str, comparisons: pd.DataFrame, titles: Mapping[str, str], design: Design) -> Table:
    columns = [Column(name) for name in ("Method", "Structure", "Modality", "Metric", "Reading")]
    columns += [
        Column(name, numeric=True)
        for name in ("Difference", "95 % interval", "Effect", "p", "p (Holm)", "Smallest p", "n", "Left out")
        if family == PRIMARY or name != "p (Holm)"
    ]
    columns.append(Column("Compared with"))
    lines = [Line(_cells(row, titles)) for row in comparisons.to_dict("records")]
    return Table(f"comparisons-{family}", NAMES[family], columns, lines, [legend(design)])


def _cells(row: dict[Hashable, Any], titles: Mapping[str, str]) -> list[Cell]:
    metric, low, high = METRIC[row["metric"]], row["low"], row["high"]
    method, reference = (titles.get(row[key], row[key]) for key in ("method", "reference"))
    texts = [method, row["structure"].replace("_", " "), title(row["modality"]), metric.name, reading(row)]
    interval = Cell()
    if pd.notna(low) and pd.notna(high):
        interval = Cell(f"{signed(low, metric.decimals)} to {signed(high, metric.decimals)}", high - low)
    corrected = [_p(row["p_holm"])] if row["family"] == PRIMARY else []
    return [
        *(Cell(text, text.casefold()) for text in texts),
        _cell(row["difference"], metric.decimals),
        interval,
        _cell(row["effect"], 2),
        _p(row["p"]),
        *corrected,
        _p(row["smallest_p"]),
        *(Cell(str(row[key]), row[key]) for key in ("n", "left_out")),
        Cell(reference, reference.casefold()),
    ]


def _cell(value: float, decimals: int) -> Cell:
    return Cell() if pd.isna(value) else Cell(signed(value, decimals), float(value))


def _p(value: float) -> Cell:
    return Cell() if pd.isna(value) else Cell(p_text(value), float(value))
