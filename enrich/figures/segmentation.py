"""Box plots of DICE and RAVD by modality and method, every patient a point."""

import argparse
import json
from pathlib import Path

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from enrich.figures.style import save
from enrich.gather import of_structure, per_patient, read_scores, require_scores
from enrich.modality import title
from enrich.rows import CONTROLS
from enrich.tables.metrics import METRIC
from gan.errors import run

METRICS = ("dice_percent", "ravd_percent")
LIGHT_BLUE = "#9ecae1"


def draw(scores: pd.DataFrame, modalities: list[str], methods: list[str], titles: dict[str, str]) -> Figure:
    """Draw a row of panels for each modality, one for each of DICE and RAVD, in which a method is a line.

    A point is a patient, its scores averaged over seeds. Boxes span the quartiles, whiskers reach the farthest point
    within 1.5 interquartile ranges; controls are grey. Undefined values are not drawn; their number stands over the
    panel.

    Raises:
        InputError: a method without scores of a modality.
    """
    require_scores(scores, modalities, methods)
    patients = per_patient(scores)
    patients = patients[patients["modality"].isin(modalities) & patients["method"].isin(methods)]
    figure = Figure(figsize=(10, len(modalities) * (1.0 + 0.3 * len(methods))), layout="constrained")
    grid = figure.subplots(len(modalities), len(METRICS), sharex="col", sharey=True, squeeze=False)
    for line, modality in zip(grid, modalities, strict=True):
        for panel, metric in zip(line, METRICS, strict=True):
            own = patients[patients["modality"] == modality]
            _panel(panel, own, metric, methods, titles)
            undefined = int(own[metric].isna().sum())
            left_out = f" ({undefined} of {len(own)} values undefined, not drawn)" if undefined else ""
            panel.set_title(f"{title(modality)}{left_out}", loc="left", fontsize=10)
    return figure


def _panel(panel: Axes, patients: pd.DataFrame, metric: str, methods: list[str], titles: dict[str, str]) -> None:
    drawn = patients.dropna(subset=[metric])
    colours = {method: "0.8" if method in CONTROLS else LIGHT_BLUE for method in methods}
    shared = {"x": metric, "y": "method", "order": methods, "hue": "method", "hue_order": methods, "orient": "h"}
    boxes = {"palette": colours, "saturation": 1, "showfliers": False, "width": 0.6}
    points = {"palette": dict.fromkeys(methods, "0.1"), "jitter": False, "size": 3.5, "alpha": 0.7}
    sns.boxplot(drawn, **shared, **boxes, ax=panel, legend=False)
    sns.stripplot(drawn, **shared, **points, ax=panel, legend=False)
    measure = METRIC[metric]
    panel.set_xlabel(f"{measure.name}, {'higher' if measure.higher else 'lower'} is better")
    panel.tick_params(labelbottom=True)
    panel.set_yticks(range(len(methods)), [titles.get(method, method) for method in methods])
    panel.set_ylabel("")
    panel.grid(axis="x", color="0.9")
    panel.set_axisbelow(True)
    sns.despine(ax=panel)


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(prog="python -m enrich.figures.segmentation", description=__doc__)
    parser.add_argument("--scores", type=Path, required=True)
    parser.add_argument("--structure", required=True)
    parser.add_argument("--modalities", nargs="+", required=True, help="rows of panels, in order")
    parser.add_argument("--methods", nargs="+", required=True, help="boxes of a panel, in order")
    parser.add_argument("--titles-json", type=json.loads, default={}, help='{"targan": "TarGAN"}')
    parser.add_argument("--output", type=Path, required=True, help="PNG")
    arguments = parser.parse_args()
    scores = of_structure(read_scores(arguments.scores), arguments.structure)
    figure = draw(scores, arguments.modalities, arguments.methods, arguments.titles_json)
    save(figure, arguments.output)


if __name__ == "__main__":
    run(main)
