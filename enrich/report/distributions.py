"""Scores of every patient under every method: boxes, points, and a line for each patient."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from enrich.gather import per_patient
from enrich.modality import title
from enrich.report.svg import FAINT, INK, SERIES, STYLE, inline
from enrich.tables.metrics import METRIC

METRICS = ("dice_percent", "ravd_percent")
WIDTH_INCHES = 4.1
TICKS = (0, 5, 10, 20, 50, 100, 200, 500, 1000)
LINEAR = 10  # percent, up to which an axis of errors stays linear where some are far larger


@dataclass(frozen=True)
class Distribution:
    """A plot and what it leaves out.

    Attributes:
        heading: metric and modality.
        plot: the `<svg>`.
        undefined: values that are not drawn.
        count: number of all values.
    """

    heading: str
    plot: Markup
    undefined: int
    count: int


def distributions(scores: pd.DataFrame, modalities: Sequence[str], titles: Mapping[str, str]) -> list[Distribution]:
    """Draw one plot for each of `METRICS` and each modality.

    Args:
        scores: as `enrich.gather.read_scores` returns them.
        modalities: in order.
        titles: of the methods that are drawn, by name, in order.
    """
    patients = per_patient(scores)
    patients = patients[patients["method"].isin(list(titles))]
    found = []
    for metric in METRICS:
        name = METRIC[metric].name
        for modality in modalities:
            values = patients[patients["modality"] == modality].pivot_table(
                index="patient", columns="method", values=metric, dropna=False
            )
            values = values.reindex(columns=[method for method in titles if method in values])
            heading = f"{name} on {title(modality)}"
            if values.empty:
                continue
            plot = _draw(values, titles, metric, f"{metric}-{modality}", heading)
            found.append(Distribution(heading, plot, int(values.isna().sum().sum()), values.size))
    return found


def _draw(values: pd.DataFrame, titles: Mapping[str, str], metric: str, key: str, heading: str) -> Markup:
    """Draw (patients × methods) `values`: a method a row of the plot, a patient a line."""
    names, higher = [titles[str(method)] for method in values], METRIC[metric].higher
    label = f"{METRIC[metric].name}, {'higher' if higher else 'lower'} is better"
    tips = {f"patient-{key}-{number}": str(patient) for number, patient in enumerate(values.index)}
    with mpl.rc_context(STYLE):
        figure = Figure((WIDTH_INCHES, 0.75 + 0.36 * len(names)), layout="constrained")
        panel = figure.subplots()
        lines = {"color": INK, "linewidth": 0.8}
        places = range(len(names))
        panel.boxplot(
            [values[method].dropna() for method in values],
            positions=places,
            widths=0.6,
            orientation="horizontal",
            showfliers=False,
            boxprops=lines,
            whiskerprops=lines,
            capprops=lines,
            medianprops=lines,
        )
        for gid, (_, row) in zip(tips, values.iterrows(), strict=True):
            panel.plot(row, places, color=SERIES[0], marker="o", markersize=3.5, linewidth=0.7, alpha=0.75, gid=gid)
        panel.set_yticks(places, names)
        panel.invert_yaxis()
        panel.set(xlabel=label, ylabel="")
        if not higher and float(values.max().max()) > 2 * LINEAR:
            panel.set_xscale("symlog", linthresh=LINEAR)
            panel.set_xlabel(f"{label}; logarithmic above {LINEAR}")
            panel.set_xticks([tick for tick in TICKS if tick <= float(values.max().max())])
            panel.xaxis.set_major_formatter("{x:g}")
            panel.minorticks_off()
        panel.grid(axis="x", color=FAINT, linewidth=0.6)
        panel.set_axisbelow(True)
        panel.tick_params(axis="y", length=0)
    medians = ", ".join(
        f"{name} {median:.1f}" if pd.notna(median) else f"{name} undefined"
        for name, median in zip(names, values.median(), strict=True)
    )
    count = f"{len(values)} patient{'s' if len(values) != 1 else ''}"
    return inline(figure, key, f"{heading}, {count}. Medians: {medians}.", tips)
