"""Box plots of DICE and RAVD by modality and method, every patient a point."""

import argparse
import json
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from enrich.figures.style import PALETTE, save
from enrich.gather import per_patient, read_scores, require_scores
from enrich.modality import title
from enrich.tables import SHOWN
from gan.errors import run

Colour = tuple[float, float, float]


def draw(scores: pd.DataFrame, modalities: list[str], methods: list[str], titles: dict[str, str]) -> Figure:
    """Draw one panel for each of DICE and RAVD; a point is a patient, its scores averaged over seeds.

    Boxes span the quartiles, whiskers reach the farthest point within 1.5 interquartile ranges. Undefined values are
    not drawn; their number stands under the panel.

    Raises:
        InputError: a method without scores of a modality.
    """
    require_scores(scores, modalities, methods)
    patients = per_patient(scores)
    patients = patients[patients["modality"].isin(modalities) & patients["method"].isin(methods)]
    colours = dict(zip(methods, sns.color_palette(PALETTE, len(methods), desat=0.8), strict=True))
    boxes = len(SHOWN) * len(modalities) * len(methods)
    figure = Figure(figsize=(max(7.0, 1.6 + 0.55 * boxes), 4.2), layout="constrained")
    for panel, metric in zip(figure.subplots(1, len(SHOWN)), SHOWN, strict=True):
        _panel(panel, patients, metric, modalities, colours)
    handles = [Patch(color=colours[method], label=titles.get(method, method)) for method in methods]
    figure.legend(handles=handles, loc="outside upper center", ncols=min(len(methods), 6), frameon=False)
    return figure


def _panel(panel: Axes, patients: pd.DataFrame, metric: str, modalities: list[str], colours: dict[str, Colour]) -> None:
    drawn = patients.dropna(subset=[metric])
    shared = {"x": "modality", "y": metric, "hue": "method", "order": modalities, "hue_order": list(colours)}
    boxes = {"palette": colours, "saturation": 1, "showfliers": False, "width": 0.75, "gap": 0.15}
    points = {"palette": dict.fromkeys(colours, "0.1"), "dodge": True, "jitter": False, "size": 3.5, "alpha": 0.7}
    sns.boxplot(drawn, **shared, **boxes, ax=panel, legend=False)
    sns.stripplot(drawn, **shared, **points, ax=panel, legend=False)
    name, _, best = SHOWN[metric]
    panel.set_ylabel(f"{name}, {'higher' if best == 'max' else 'lower'} is better")
    panel.set_xticks(range(len(modalities)), [title(modality) for modality in modalities])
    undefined = len(patients) - len(drawn)
    panel.set_xlabel(f"undefined and not drawn: {undefined} of {len(patients)} values" if undefined else "")
    panel.grid(axis="y", color="0.9")
    panel.set_axisbelow(True)
    sns.despine(ax=panel)


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(prog="python -m enrich.figures.segmentation", description=__doc__)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--modalities", nargs="+", required=True, help="groups, in order")
    parser.add_argument("--methods", nargs="+", required=True, help="boxes of a group, in order")
    parser.add_argument("--titles-json", type=json.loads, default={}, help='{"targan": "TarGAN"}')
    parser.add_argument("--output", type=Path, required=True, help="PNG")
    arguments = parser.parse_args()
    figure = draw(read_scores(arguments.scores), arguments.modalities, arguments.methods, arguments.titles_json)
    save(figure, arguments.output)


if __name__ == "__main__":
    run(main)
