"""What cross-fitting costs test patients: their translations by three fits of the GANs, and the gaps between them."""

import math
from pathlib import Path

import pandas as pd

from enrich.tables.layout import Block, Cell, Column, Table, write
from enrich.tables.metrics import METRIC
from enrich.tables.study import Study, parser
from enrich.tables.translations import MEAN, of_fit, read, summarize
from gan.errors import run

FITS = ["all", "fold", "mean"]
SHOWN = ["s_score_percent", "psnr_db"]


def gaps(scores: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Compare the fits in S-score and PSNR, each the mean over targets of the mean over sources.

    Returns:
        One row per method × metric × fit: method, title, metric, fit, value, and gap, value − that of fit `all`.
    """
    rows = []
    translated = scores[scores["method"].isin(study.translators)]
    for fit in FITS:
        summary = summarize(of_fit(translated, study, fit), study)
        shown = summary[summary["metric"].isin(SHOWN) & (summary["translated_from"] == MEAN)]
        for (method, name, metric), own in shown.groupby(["method", "title", "metric"], sort=False):
            value = own["mean"].mean(skipna=False)
            rows.append({"method": method, "title": name, "metric": metric, "fit": fit, "value": value})
    table = pd.DataFrame(rows)
    values = {(row["method"], row["metric"], row["fit"]): row["value"] for row in table.to_dict("records")}
    table["gap"] = [row["value"] - values[row["method"], row["metric"], "all"] for row in table.to_dict("records")]
    return table


def layout(study: Study, table: pd.DataFrame) -> Table:
    """Arrange the gaps for print: a row per method, its three values and two gaps of each metric."""
    columns = [Column("Method", numeric=False)]
    for metric in SHOWN:
        columns += [Column(name, METRIC[metric].header) for name in (*FITS, "fold − all", "mean − all")]
    lines = []
    for _, own in table.groupby("method", sort=False):
        found = {(row["metric"], row["fit"]): row for row in own.to_dict("records")}
        cells = [Cell(own["title"].iloc[0])]
        for metric in SHOWN:
            cells += [Cell(METRIC[metric].spread(found[metric, fit]["value"], math.nan)) for fit in FITS]
            cells += [Cell(_signed(found[metric, fit]["gap"], metric)) for fit in ("fold", "mean")]
        lines.append(cells)
    return Table(
        label="crossfit",
        columns=columns,
        blocks=[Block("", lines)],
        caption=(
            f"Translations of the test patients under {study.config['crossfit']}-fold cross-fitting: by the GAN of all"
            " its patients (all), by that of one fold, drawn for each patient (fold), and by the mean of all folds'"
            " GANs (mean)."
        ),
        notes=(
            "Means over targets of the means over sources. A GAN of one fold was trained on fewer patients, as were"
            " those that made the channels of the training patients. The other tables' test patients are translated by:"
            f" {study.test_fit}. No difference is tested.",
            f"Config sha256 {study.sha256}.",
        ),
    )


def _signed(gap: float, metric: str) -> str:
    return f"{'+' if gap > 0 else ''}{METRIC[metric].spread(gap, math.nan)}"


def main() -> None:
    """Write the three files; all or none."""
    options = parser("crossfit", __doc__)
    options.add_argument("--scores", type=Path, required=True, help="scores/translation.csv")
    arguments = options.parse_args()
    table = gaps(read(arguments.scores, "translation"), arguments.study)
    write(table, [layout(arguments.study, table)], arguments.output)


if __name__ == "__main__":
    run(main)
