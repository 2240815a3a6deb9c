"""Which cases have which modalities: a matrix, a line for each case."""

import argparse
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from enrich.figures.style import PALETTE, save
from enrich.modality import title
from enrich.tables.availability import STATES, patterns, read
from gan.errors import run

NAMED = 60  # cases, that are named beside their lines


def draw(table: pd.DataFrame, modalities: list[str]) -> Figure:
    """Draw the matrix; cases that have the same lie together, those of which there are most on top."""
    wide = patterns(table, modalities)
    blue, orange = (sns.color_palette(PALETTE)[number] for number in (0, 1))
    colours = dict(zip(STATES, (blue, (*blue, 0.4), orange, "0.93"), strict=True))
    numbers = {state: number for number, state in enumerate(STATES)}
    cells = wide[modalities].map(numbers.__getitem__).to_numpy()
    figure = Figure(figsize=(2.5 + 0.9 * len(modalities), min(10, 1.2 + 0.2 * len(wide))), layout="constrained")
    panel = figure.subplots()
    shown = ListedColormap([colours[state] for state in STATES])
    if len(wide) <= NAMED:
        panel.pcolormesh(cells, cmap=shown, vmin=-0.5, vmax=len(STATES) - 0.5, edgecolors="white", linewidth=1)
        panel.set_yticks([number + 0.5 for number in range(len(wide))], wide.index.get_level_values("case"), fontsize=7)
    else:
        panel.pcolormesh(cells, cmap=shown, vmin=-0.5, vmax=len(STATES) - 0.5)
        panel.set_ylabel("Cases")
    panel.invert_yaxis()
    panel.set_xticks([number + 0.5 for number in range(len(modalities))], [title(name) for name in modalities])
    panel.tick_params(length=0, labeltop=True, labelbottom=False)
    sns.despine(ax=panel, left=True, bottom=True)
    found = [state for state in STATES if (table["state"] == state).any()]
    figure.legend(
        handles=[Patch(facecolor=colours[state], label=STATES[state]) for state in found],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=8,
    )
    return figure


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(prog="python -m enrich.figures.availability", description=__doc__)
    parser.add_argument("--table", type=Path, required=True, help="tables/availability.csv")
    parser.add_argument("--modalities", nargs="+", required=True, help="columns, in order")
    parser.add_argument("--output", type=Path, required=True, help="PNG")
    arguments = parser.parse_args()
    save(draw(read(arguments.table), arguments.modalities), arguments.output)


if __name__ == "__main__":
    run(main)
