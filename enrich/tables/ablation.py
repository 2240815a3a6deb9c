"""The S-score of every translator of the config, laid out like TarGAN's Table 3 (Chen et al., MICCAI 2021)."""

import math
from pathlib import Path

import pandas as pd

from enrich.modality import title
from enrich.tables.layout import Block, Cell, Column, Table, write
from enrich.tables.metrics import METRIC
from enrich.tables.study import OURS, Study, parser
from enrich.tables.translation import literature
from enrich.tables.translations import MEAN, of_fit, read, summarize
from gan.errors import run

KIND = "ablation"
METRIC_NAME = "s_score_percent"
ALL = "all"


def with_mean(summary: pd.DataFrame) -> pd.DataFrame:
    """Return the S-scores of a summary's translators by target, each followed by its mean over targets, `ALL`.

    A published mean is over the paper's own targets, all of which are to be there. Of our own, the deviation over seeds
    of that mean is not known from the targets' deviations and is left out.
    """
    parts = []
    for _, own in summary.groupby(["source", "method"], sort=False):
        last = own.iloc[[0]].assign(modality=ALL, mean=own["mean"].mean(skipna=False), std=math.nan, seed_std=math.nan)
        parts += [own, last]
    return pd.concat(parts, ignore_index=True)


def layout(study: Study, summary: pd.DataFrame) -> Table:
    """Arrange a summary with means for print; the best mean of each column among our own entries is bold."""
    columns = [*study.modalities, ALL]
    metric = METRIC[METRIC_NAME]
    ours = summary[summary["source"] == OURS]
    best = {column: metric.best(ours["mean"][ours["modality"] == column]) for column in columns}
    blocks = []
    for source, rows in summary.groupby("source", sort=False):
        lines = []
        for _, own in rows.groupby("method", sort=False):
            found = {row["modality"]: row for row in own.to_dict("records")}
            cells = []
            for column in columns:
                row = found.get(column)
                mean = math.nan if row is None else row["mean"]
                bold = source == OURS and round(mean, metric.decimals) == best[column]
                cells.append(Cell(metric.spread(mean, math.nan, row["seed_std"] if row else math.nan), bold))
            lines.append([Cell(own["title"].iloc[0]), Cell(own["labels_used"].iloc[0]), *cells])
        blocks.append(Block("" if source == OURS else f"Published ({source})", lines))
    names = [*map(title, study.modalities), "Mean"]
    notes = [
        "The mean over a target's sources, after the mean over its test patients; in brackets, the standard deviation"
        " over seeds. Mean: over the targets. Bold: the best of its column in this run as printed; no difference is"
        " tested.",
        *study.about_published(KIND, [METRIC_NAME]),
        f"Config sha256 {study.sha256}.",
    ]
    return Table(
        label="ablation",
        columns=[
            Column("Method", numeric=False),
            Column("Labels used", numeric=False),
            *(Column(name, metric.header) for name in names),
        ],
        blocks=blocks,
        caption=f"S-score of the {study.structure.replace('_', ' ')} by entry of the config.",
        notes=tuple(notes),
    )


def main() -> None:
    """Write the three files; all or none."""
    options = parser("ablation", __doc__)
    options.add_argument("--scores", type=Path, required=True, help="scores/translation.csv")
    arguments = options.parse_args()
    study = arguments.study
    ours = summarize(of_fit(read(arguments.scores, "translation"), study, study.test_fit), study)
    wanted = (
        (ours["metric"] == METRIC_NAME) & (ours["translated_from"] == MEAN) & ours["method"].isin(study.translators)
    )
    figures = [literature(table, table.modalities) for table in study.published(KIND)]
    summary = with_mean(pd.concat([ours[wanted], *figures]))
    summary = summary[summary["modality"].isin([*study.modalities, ALL])]
    write(summary, [layout(study, summary)], arguments.output)


if __name__ == "__main__":
    run(main)
