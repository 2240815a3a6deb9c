"""DICE against the share of labels and of synthetic cases that a segmenter trains on (Zhang et al., CVPR 2018, Fig. 7).

With the curve of Single a reader sees what adding real patients does (R+R), with the others what adding synthetic scans
does (R+S): their distance is the gap of Fig. 8.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from enrich.figures.style import PALETTE, save
from enrich.modality import title
from enrich.tables.label_budget import LABELS, METRIC_NAME, SYNTHETIC, read
from enrich.tables.metrics import METRIC
from gan.errors import InputError, run

MARKERS = "osD^vPX*<>"
AXES = {LABELS: "training patients with labels (%)", SYNTHETIC: "synthetic cases (%)"}


def draw(table: pd.DataFrame, modalities: Sequence[str], titles: dict[str, str]) -> Figure:
    """Draw a panel for each modality and kind of budget: a line for each method that has the budget, in its interval.

    A line over synthetic cases is of one share of labels, which its name says; it starts at 0 % with Single of that
    share. A method has one colour.

    Raises:
        InputError: no row of a smaller budget.
    """
    kinds = [kind for kind in (LABELS, SYNTHETIC) if (table[kind] < 100).any()]
    if not kinds:
        raise InputError("scores", "no row of a smaller budget", "rows such as single@labels25")
    figure = Figure(figsize=(1.5 + 3.6 * len(modalities), 3.6 * len(kinds)), layout="constrained")
    grid = figure.subplots(len(kinds), len(modalities), squeeze=False, sharey=True)
    methods = list(dict.fromkeys(table["method"][(table[LABELS] < 100) | (table[SYNTHETIC] < 100)]))
    colours = dict(zip(methods, sns.color_palette(PALETTE, len(methods)), strict=True))
    for line, kind in zip(grid, kinds, strict=True):
        lines = _lines(table, kind)
        for panel, modality in zip(line, modalities, strict=True):
            for k, ((method, labels), points) in enumerate(lines.items()):
                own = points[points["modality"] == modality]
                name = titles.get(method, method) + (f", {labels} % of labels" if labels < 100 else "")
                style = {"color": colours[method], "marker": MARKERS[k % len(MARKERS)], "markersize": 5}
                panel.plot(own[kind], own["mean"], **style, linestyle="-" if labels == 100 else "--", label=name)
                panel.fill_between(own[kind], own["low"], own["high"], color=colours[method], alpha=0.15, linewidth=0)
            panel.set_title(title(modality), loc="left", fontsize=10)
            panel.set_xlabel(AXES[kind])
            panel.set_xticks(sorted({share for points in lines.values() for share in points[kind]}))
            panel.grid(color="0.9")
            panel.tick_params(labelleft=True)
            sns.despine(ax=panel)
        line[0].set_ylabel(f"{METRIC[METRIC_NAME].name}, mean over patients")
        line[-1].legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=8)
    return figure


def _lines(table: pd.DataFrame, kind: str) -> dict[tuple[str, int], pd.DataFrame]:
    """Return the points of every line by its method and, over synthetic cases, its percentage of labels."""
    if kind == LABELS:
        full = table[table[SYNTHETIC] == 100]
        return {
            (str(method), 100): points.sort_values(LABELS)
            for method, points in full.groupby("method", sort=False)
            if (points[LABELS] < 100).any()
        }
    single = table[table["method"] == "single"].assign(**{SYNTHETIC: 0})
    return {
        (str(method), int(str(labels))): pd.concat([single[single[LABELS] == labels], points]).sort_values(SYNTHETIC)
        for (method, labels), points in table.groupby(["method", LABELS], sort=False)
        if (points[SYNTHETIC] < 100).any()
    }


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(prog="python -m enrich.figures.label_budget", description=__doc__)
    parser.add_argument("--table", type=Path, required=True, help="tables/label_budget.csv")
    parser.add_argument("--modalities", nargs="+", required=True, help="panels, in order")
    parser.add_argument("--titles-json", type=json.loads, default={}, help='{"targan": "TarGAN"}')
    parser.add_argument("--output", type=Path, required=True, help="PNG")
    arguments = parser.parse_args()
    save(draw(read(arguments.table), arguments.modalities, arguments.titles_json), arguments.output)


if __name__ == "__main__":
    run(main)
