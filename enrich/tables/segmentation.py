"""The table of segmentation results, laid out like TarGAN's Table 2 (Chen et al., MICCAI 2021), and one of distances.

The CSV has one row per method × modality × metric. In print a method is a row, with DICE and RAVD of each modality side
by side in a first table, and the other metrics in a second one.
"""

from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from enrich.columns import METRICS
from enrich.gather import of_structure, per_patient, read_scores, require_same_cases, require_scores
from enrich.modality import title
from enrich.published import Published
from enrich.rows import CONTROLS, Row
from enrich.statistics import power
from enrich.tables import comparisons as tested
from enrich.tables.layout import ABSENT, Block, Cell, Column, Table, write
from enrich.tables.metrics import METRIC
from enrich.tables.study import OURS, Study, parser
from gan.errors import run

KIND = "segmentation"
COUNTS = dict.fromkeys(("n", "patients", "failures", "seeds"), "Int64")
MAIN = ("dice_percent", "ravd_percent")
FURTHER = tuple(metric for metric in METRICS if metric not in MAIN)
KEPT = (
    "A case keeps its own real scans as channels: rows of further channels differ only in what stands for a scan that a"
    " case lacks, in training or test, and are equal where none lacks any."
)

Marks = dict[tuple[str, str, str], str]


def summarize(scores: pd.DataFrame, modalities: Sequence[str], rows: Sequence[Row]) -> pd.DataFrame:
    """Average scores over patients, after averaging each patient's over seeds.

    Returns:
        One row per method × modality × metric, in the order given: source, method, title, labels_used, structure,
        modality, metric, mean, std (over patients, ddof 1; NaN for one), seed_std (over seeds of the mean over
        patients, ddof 1; NaN for one), n (patients in the mean), patients, failures (patients with an empty prediction
        or reference under any seed), seeds.

    Raises:
        InputError: a method without scores of a modality, or two segmenters of a modality that were scored on
            different cases.
    """
    names = [row.name for row in rows]
    require_scores(scores, modalities, names)
    for modality in modalities:
        require_same_cases(scores[(scores["modality"] == modality) & scores["method"].isin(names)], modality)
    averaged = per_patient(scores).set_index(["modality", "method"]).sort_index()
    found = []
    for row, modality in product(rows, modalities):
        patients = averaged.loc[[(modality, row.name)]]
        own = scores[(scores["modality"] == modality) & (scores["method"] == row.name)]
        defined = patients.set_index("patient")[METRICS].notna()
        of_seeds = own.groupby(["seed", "patient"])[METRICS].mean()
        by_seed = of_seeds.where(defined.reindex(of_seeds.index, level="patient")).groupby("seed").mean()
        found += [
            {
                "source": OURS,
                "method": row.name,
                "title": row.title,
                "labels_used": row.labels_used,
                "structure": own["structure"].iloc[0],
                "modality": modality,
                "metric": metric,
                "mean": patients[metric].mean(),
                "std": patients[metric].std(ddof=1),
                "seed_std": by_seed[metric].std(ddof=1),
                "n": int(patients[metric].count()),
                "patients": len(patients),
                "failures": int(patients["failed"].sum()),
                "seeds": len(by_seed),
            }
            for metric in METRICS
        ]
    return pd.DataFrame(found).astype(COUNTS)


def literature(table: Published, modalities: Sequence[str]) -> pd.DataFrame:
    """Return a published table in the columns of `summarize`."""
    figures = table.figures(modalities).assign(patients=table.patients, structure=table.structure)
    return figures.assign(seed_std=np.nan, failures=np.nan, seeds=np.nan).astype(COUNTS)


def layout(study: Study, summary: pd.DataFrame, compared: pd.DataFrame | None = None) -> list[Table]:
    """Arrange a summary for print.

    The best mean of each column among our own rows is bold, ties as printed too, the oracle's left out; what is
    significant among the primary comparisons is marked.
    """
    marks = {} if compared is None else tested.marks(compared)
    ours = summary[summary["source"] == OURS]
    notes = [_reading(ours, study.config["missing"] is not None)]
    if compared is None or compared.empty:
        notes.append("No difference is tested.")
    else:
        notes += [tested.describe(study, compared), power(compared, study.design.alpha)]
    notes += study.about_elsewhere(KIND, [row.name for row in study.rows])
    name = study.structure.replace("_", " ")
    kinds = (
        ("segmentation", MAIN, "Segmentation", notes),
        ("segmentation-further", FURTHER, "Further metrics", [_definitions()]),
    )
    return [
        Table(
            label=label,
            columns=_columns(metrics, study.modalities),
            blocks=_blocks(summary, metrics, study.modalities, marks),
            caption=f"{heading} of the {name}: mean ± standard deviation (ddof 1) over a modality's test patients.",
            notes=(*about, *study.about_published(KIND, metrics), f"Config sha256 {study.sha256}."),
        )
        for label, metrics, heading, about in kinds
    ]


def _summarize_other(scores: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Average the scores of a structure that not all modalities, and not all segmenters, know."""
    modalities = [modality for modality in study.modalities if modality in set(scores["modality"])]
    return summarize(scores, modalities, [row for row in study.rows if row.name in set(scores["method"])])


def _layout_other(study: Study, name: str, summary: pd.DataFrame) -> Table:
    modalities = list(dict.fromkeys(summary["modality"]))
    return Table(
        label=f"segmentation-{name.replace('_', '-')}",
        columns=_columns(MAIN, modalities),
        blocks=_blocks(summary, MAIN, modalities, {}),
        caption=f"Segmentation of the {name.replace('_', ' ')}: mean ± standard deviation (ddof 1) over a modality's"
        " test patients.",
        notes=(
            "Rows, patients, seeds, brackets and bold as in the first table. Who segments the target alone has no row.",
            f"Config sha256 {study.sha256}.",
        ),
    )


def _columns(metrics: Sequence[str], modalities: Sequence[str]) -> list[Column]:
    measures = [Column(title(modality), METRIC[metric].header) for metric, modality in product(metrics, modalities)]
    first = [Column("Method", numeric=False), Column("Labels used", numeric=False)]
    return [*first, *measures, Column("Patients"), Column("Failed")]


def _blocks(summary: pd.DataFrame, metrics: Sequence[str], modalities: Sequence[str], marks: Marks) -> list[Block]:
    columns = list(product(metrics, modalities))
    ours = summary[summary["source"] == OURS]
    whole = ours["n"] == ours.groupby(["metric", "modality"])["n"].transform("max")
    competing = ours[whole & (ours["method"] != "oracle")].set_index(["source", "method", "metric", "modality"])
    best = {
        (metric, modality): METRIC[str(metric)].best(means)
        for (metric, modality), means in competing.groupby(["metric", "modality"])["mean"]
    }
    blocks = []
    for source, figures in summary[summary["metric"].isin(metrics)].groupby("source", sort=False):
        rows: dict[bool, list[list[Cell]]] = {True: [], False: []}
        for method, own in figures.groupby("method", sort=False):
            found = {(row["metric"], row["modality"]): row for row in own.to_dict("records")}
            values = []
            for metric, modality in columns:
                if (metric, modality) not in found:
                    values.append(Cell())
                    continue
                row = found[metric, modality]
                bold = (source, method, metric, modality) in competing.index and round(
                    row["mean"], METRIC[metric].decimals
                ) == best[metric, modality]
                mark = marks.get((metric, modality, str(method)), "") if source == OURS else ""
                values.append(Cell(_text(row), bold, mark))
            counts = [
                Cell(" / ".join(_count(found, modality, name) for modality in modalities))
                for name in ("patients", "failures")
            ]
            names = [Cell(own["title"].iloc[0]), Cell(own["labels_used"].iloc[0])]
            rows[source == OURS and method in CONTROLS].append([*names, *values, *counts])
        if source == OURS:
            blocks += [Block(name, rows[key]) for key, name in ((True, "Controls"), (False, "Methods")) if rows[key]]
        else:
            blocks.append(Block(f"Published ({source})", rows[False]))
    return blocks


def _text(row: dict[Hashable, Any]) -> str:
    partial = f" (n = {row['n']})" if 0 < row["n"] < row["patients"] else ""
    return METRIC[row["metric"]].spread(row["mean"], row["std"], row["seed_std"]) + partial


def _count(found: Mapping[tuple[str, str], dict[Hashable, Any]], modality: str, name: str) -> str:
    """Return a count of a modality, which is the same whatever the metric."""
    value = next((row[name] for (_, other), row in found.items() if other == modality), None)
    return ABSENT if pd.isna(value) else str(value)


def _reading(ours: pd.DataFrame, missing: bool) -> str:
    seeds = "–".join(str(count) for count in sorted({ours["seeds"].min(), ours["seeds"].max()}))
    return " ".join(
        [
            f"Each patient's scores are averaged over seeds first (seeds per method: {seeds}).",
            *(["In brackets, the standard deviation over seeds of the mean over patients."] if seeds != "1" else []),
            "Bold: the highest, of RAVD the lowest, mean of its column in this run as printed, the oracle's left out;",
            "it need not differ significantly from any other. A mean that leaves out a patient whom another row's",
            "includes is never bold.",
            f"Patients and Failed: {' / '.join(title(modality) for modality in ours['modality'].unique())};",
            "a patient failed if a prediction or the reference is empty under any seed.",
            "An empty prediction enters the means with DICE 0 and RAVD 100; an undefined value (RAVD of an empty",
            "reference, DICE of two empty masks) is left out, and the n that remains stands in the cell.",
            "Labels used: the modalities whose target masks the translator saw in training, or the segmenter beside",
            "its own.",
            *([KEPT] if missing else []),
        ]
    )


def _definitions() -> str:
    return (
        "Rows, patients, seeds, brackets and marks as in the table before. CHAOS score: 0 to"
        " 100, the mean of the challenge's scores of DICE, RAVD, ASSD and MSSD. Slice DICE: the mean over slices of a"
        " DICE with smoothing 1, in which a slice without target and without prediction counts as 100 %; it is no"
        " volume DICE. Distances are undefined where a mask is empty."
    )


def main() -> None:
    """Write the three files; all or none."""
    options = parser("segmentation", __doc__)
    options.add_argument("--scores", type=Path, required=True, help="scores/segmentation.csv")
    options.add_argument("--comparisons", type=Path, required=True, help="tables/comparisons.csv")
    arguments = options.parse_args()
    study = arguments.study
    scores = read_scores(arguments.scores)
    summary = summarize(of_structure(scores, study.structure), study.modalities, study.rows)
    figures = [literature(table, study.modalities) for table in study.published(KIND)]
    tables = layout(study, pd.concat([summary, *figures]), tested.read(arguments.comparisons))
    others = {
        str(name): _summarize_other(own, study)
        for name, own in scores.groupby("structure", sort=False)
        if name != study.structure
    }
    tables += [_layout_other(study, name, found) for name, found in others.items()]
    write(pd.concat([summary, *others.values(), *figures]), tables, arguments.output)


if __name__ == "__main__":
    run(main)
