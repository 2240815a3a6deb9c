"""The table of comparisons: `tables/comparisons.csv`, and what it says in print."""

import math
from collections.abc import Hashable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from enrich.design import Design
from enrich.gather import of_structure, read_scores
from enrich.modality import title
from enrich.statistics import COLUMNS, EXPLORATORY, PRIMARY, compare, power
from enrich.tables.layout import ABSENT, Block, Cell, Column, Table, read_numbers, write
from enrich.tables.metrics import METRIC, p_text, signed
from enrich.tables.study import Study, parser
from gan.errors import run

MARKS = {"better": "*", "worse": "†", "differs": "‡"}


def read(path: Path) -> pd.DataFrame:
    """Read `tables/comparisons.csv`.

    Raises:
        InputError: no such file, or another one.
    """
    text = ("family", "structure", "metric", "modality", "method", "reference")
    return read_numbers(path, COLUMNS, text, ("difference", "low", "high", "effect", "p_holm"))


def describe(study: Study, comparisons: pd.DataFrame) -> str:
    """Say what was tested, in how many comparisons, and what the marks mean."""
    design = study.design
    family = comparisons[comparisons["family"] == PRIMARY]
    if family.empty:
        return "Nothing was tested."
    shares = " under the same share of labels" if family["method"].str.contains("@").any() else ""
    return (
        f"* significantly better, † significantly worse than {study.titles[design.reference]}{shares}:"
        f" {METRIC[design.metric].name} of the same patients, two-sided Wilcoxon signed-rank test, p ≤ {design.alpha:g}"
        f" after Holm over m = {len(family)} primary comparisons ({family['method'].nunique()} methods ×"
        f" {family['modality'].nunique()} modalities); ‡ significantly different, but mean and ranks disagree on"
        " which is better. What has no mark is no difference that this run has shown; other metrics are"
        " exploratory, their p not corrected and never marked. The test is over patients, given the networks"
        " that this run trained: it says nothing about other trainings, and patients of one outer fold share theirs."
    )


def marks(comparisons: pd.DataFrame) -> dict[tuple[str, str, str], str]:
    """Return the mark of every significant comparison by (metric, modality, method)."""
    return {
        (row["metric"], row["modality"], row["method"]): MARKS[verdict(row)]
        for row in comparisons[comparisons["significant"]].to_dict("records")
    }


def verdict(row: dict[Hashable, Any]) -> str:
    """Say on which side a significant difference lies: `differs` where its mean and its effect have two signs."""
    if row["difference"] * row["effect"] <= 0:
        return "differs"
    return "better" if (row["effect"] > 0) == METRIC[row["metric"]].higher else "worse"


def layout(study: Study, comparisons: pd.DataFrame) -> list[Table]:
    """Return the primary comparisons as a table and, if there are any, the exploratory ones as another."""
    marked, design = marks(comparisons), study.design
    tables = []
    for family in (PRIMARY, EXPLORATORY):
        rows = comparisons[comparisons["family"] == family].to_dict("records")
        corrected = ["p (Holm)"] if family == PRIMARY else []
        names = ["n", "Left out", "Difference [95 % interval]", "Effect", "p", *corrected, "Smallest p"]
        columns = [Column(name, numeric=False) for name in ("Structure", "Metric", "Modality", "Method", "Reference")]
        if rows or family == PRIMARY:
            tables.append(
                Table(
                    label=f"comparisons-{family}",
                    columns=[*columns, *map(Column, names)],
                    blocks=[Block("", [_row(row, study, marked) for row in rows])],
                    caption=_caption(family, design, study),
                    notes=(describe(study, comparisons), power(comparisons, design.alpha)) if family == PRIMARY else (),
                )
            )
    return tables


def _row(row: dict[Hashable, Any], study: Study, marked: dict[tuple[str, str, str], str]) -> list[Cell]:
    metric, modality, method, reference = (str(row[key]) for key in ("metric", "modality", "method", "reference"))
    mark = marked.get((metric, modality, method), "") if row["significant"] else ""
    interval = f"{_signed(row['difference'])} [{_signed(row['low'])}, {_signed(row['high'])}]"
    texts = [
        row["structure"].replace("_", " "),
        METRIC[metric].name,
        title(modality),
        study.titles[method],
        study.titles[reference],
    ]
    numbers = [str(row["n"]), str(row["left_out"]), interval, _signed(row["effect"]), p_text(row["p"])]
    if row["family"] == PRIMARY:
        numbers.append(p_text(row["p_holm"]))
    cells = [Cell(text) for text in [*texts, *numbers, p_text(row["smallest_p"])]]
    cells[7] = Cell(interval, mark=mark)
    return cells


def _signed(value: float) -> str:
    return ABSENT if math.isnan(value) else signed(value)


def legend(design: Design) -> str:
    """Say what the columns are."""
    return (
        "Difference: mean over patients of method − reference, of each patient's mean over seeds, with a bootstrap"
        f" interval (bias-corrected and accelerated, {design.resamples} samples, seed {design.seed}; too narrow with"
        " few patients; each by itself, not corrected for how many they are). Effect: matched-pairs rank-biserial"
        " correlation, −1 to 1. n: patients with both; left out: patients for whom either is"
        " undefined. p: two-sided Wilcoxon signed-rank test without the differences of"
        " zero, exact up to 50 patients (13 with ties). Smallest p: what n patients could give at best. A row of a"
        " share of the labels is compared with the reference of that share; its translator, if trained with labels, has"
        " seen those of all training patients."
    )


def _caption(family: str, design: Design, study: Study) -> str:
    shared = legend(design)
    if family == PRIMARY:
        return f"Primary comparisons of the {study.structure.replace('_', ' ')}, fixed by the config. {shared}"
    return (
        "Exploratory comparisons: every other metric and row. Their p-values are not corrected for how many they are,"
        f" and none of them is called significant. {shared}"
    )


def main() -> None:
    """Compare and write the three files."""
    options = parser("comparisons", __doc__)
    options.add_argument("--scores", type=Path, required=True, help="scores/segmentation.csv")
    arguments = options.parse_args()
    study = arguments.study
    scores = read_scores(arguments.scores)
    found = [compare(of_structure(scores, study.structure), study.modalities, list(study.titles), study.design)]
    for name, own in scores.groupby("structure", sort=False):
        if name != study.structure and study.design.reference in set(own["method"]):
            modalities = [modality for modality in study.modalities if modality in set(own["modality"])]
            methods = [method for method in study.titles if method in set(own["method"])]
            found.append(compare(own, modalities, methods, replace(study.design, methods=())))
    comparisons = pd.concat(found, ignore_index=True)
    write(comparisons, layout(study, comparisons), arguments.output)


if __name__ == "__main__":
    run(main)
