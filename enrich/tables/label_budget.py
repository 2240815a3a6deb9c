"""The table of label budgets (Zhang et al., CVPR 2018, Table 2 and Fig. 7): DICE by the share that is trained on.

The CSV has one row per modality × method × budget, those of the full budget too. In print a method and its budget are a
row.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from enrich.gather import of_structure, per_patient, read_scores
from enrich.modality import title
from enrich.statistics import mean_interval
from enrich.tables.layout import ABSENT, Block, Cell, Column, Table, read_numbers, write
from enrich.tables.metrics import METRIC
from enrich.tables.study import Study, parser
from gan.errors import run

METRIC_NAME = "dice_percent"
LABELS, SYNTHETIC = "labels", "synthetic"
COLUMNS = ["modality", "method", LABELS, SYNTHETIC, "mean", "std", "low", "high", "n"]


def summarize(scores: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """Average each row's DICE over patients, after averaging each patient's over seeds.

    Returns:
        One row per modality × row: `COLUMNS`: modality, method (without its budget), labels and synthetic (percent; 100
        where the row has none), mean, std (ddof 1; NaN for one patient), low and high (bootstrap, 95 %; NaN for one
        patient), n.
    """
    rows = []
    for (modality, name), patients in per_patient(scores).groupby(["modality", "method"], sort=False):
        method, *budget = str(name).split("@")
        values = patients[METRIC_NAME].dropna()
        shares = [_share(budget, kind) for kind in (LABELS, SYNTHETIC)]
        interval = mean_interval(values.to_numpy(float), resamples, seed)
        rows.append((modality, method, *shares, values.mean(), values.std(ddof=1), *interval, len(values)))
    return pd.DataFrame(rows, columns=COLUMNS)


def read(path: Path) -> pd.DataFrame:
    """Read `tables/label_budget.csv`.

    Raises:
        InputError: no such file, or another one.
    """
    return read_numbers(path, COLUMNS, ("modality", "method"), ("mean", "std", "low", "high"))


def layout(study: Study, table: pd.DataFrame) -> Table:
    """Arrange a summary for print: of every method that has a smaller budget all of its budgets."""
    metric = METRIC[METRIC_NAME]
    smaller = table["method"][(table[LABELS] < 100) | (table[SYNTHETIC] < 100)]
    shown = table[table["method"].isin(smaller)]
    blocks = []
    for method, own in shown.groupby("method", sort=False):
        lines = []
        for (labels, synthetic), rows in own.groupby([LABELS, SYNTHETIC]):
            of_modality = {row["modality"]: row for row in rows.to_dict("records")}
            cells = [Cell(f"{labels} %"), Cell(f"{synthetic} %" if (own[SYNTHETIC] < 100).any() else ABSENT)]
            for modality in study.modalities:
                row = of_modality[modality]
                interval = "" if np.isnan(row["low"]) else f" ({metric.text(row['low'])} to {metric.text(row['high'])})"
                cells.append(Cell(metric.spread(row["mean"], row["std"]) + interval))
            counts = Cell(" / ".join(str(of_modality[modality]["n"]) for modality in study.modalities))
            lines.append([Cell(study.titles[str(method)]), *cells, counts])
        blocks.append(Block("", lines))
    names = [title(modality) for modality in study.modalities]
    return Table(
        label="label-budget",
        columns=[
            Column("Method", numeric=False),
            Column("Labels"),
            Column("Synthetic cases"),
            *(Column(name, metric.header) for name in names),
            Column("n"),
        ],
        blocks=blocks,
        caption=f"DICE of the {study.structure.replace('_', ' ')} by the share of labels and of synthetic cases.",
        notes=(
            "Mean ± standard deviation (ddof 1) over a modality's test patients, each one's scores averaged over seeds"
            f" first; in brackets a bootstrap interval of 95 % of the mean. n: patients, {' / '.join(names)}. Labels:"
            " the share of the training patients, rounded up to whole ones, on whose label maps the segmenter is"
            " trained; a translator that is trained with labels has seen those of all training patients. Synthetic"
            " cases: the share, rounded up, of those that are made of these patients.",
            f"Config sha256 {study.sha256}.",
        ),
    )


def _share(budget: Sequence[str], kind: str) -> int:
    return next((int(part.removeprefix(kind)) for part in budget if part.startswith(kind)), 100)


def main() -> None:
    """Write the three files; all or none."""
    options = parser("label_budget", __doc__)
    options.add_argument("--scores", type=Path, required=True, help="scores/segmentation.csv")
    arguments = options.parse_args()
    design = arguments.study.design
    scores = of_structure(read_scores(arguments.scores), arguments.study.structure)
    table = summarize(scores, design.resamples, design.seed)
    write(table, [layout(arguments.study, table)], arguments.output)


if __name__ == "__main__":
    run(main)
