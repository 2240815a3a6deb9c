"""How trainings went: every loss term of the translators, and losses and pseudo Dice of nnU-Net."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.figure import Figure

from enrich.config import Config
from enrich.report.svg import DASHES, FAINT, SERIES, STYLE, inline
from enrich.rows import data_set
from gan.errors import InputError
from gan.files import checked
from gan.reading import read_table

PANEL_INCHES = (2.7, 1.8)
POINTS = 150
COLUMNS = ["round", "player", "term", "value"]
EPOCH = re.compile(r"\bEpoch (\d+)\s*$")
VALUE = re.compile(r"\b(train_loss|val_loss|Pseudo dice)\s+\[?(?:np\.float\d+\()?(-?[\d.]+(?:e-?\d+)?|nan)")
QUANTITIES = {"train_loss": "training loss", "val_loss": "validation loss", "Pseudo dice": "pseudo Dice"}


@dataclass(frozen=True)
class Line:
    """How one training is drawn: its label, and the colour and dashes of its line as SVG wants them."""

    label: str
    number: int

    @property
    def colour(self) -> int:
        """The number of the colour."""
        return self.number % len(SERIES)

    @property
    def dashes(self) -> int:
        """The number of the dash pattern."""
        return self.number // len(SERIES) % len(DASHES)


@dataclass(frozen=True)
class Curves:
    """The trainings of one method: a panel for every quantity, a line for every training.

    Attributes:
        heading: the method, or the modality of nnU-Net.
        lines: the legend.
        panels: `<svg>` elements.
        missing: trainings of which no log was found.
    """

    heading: str
    lines: list[Line]
    panels: list[Markup]
    missing: list[str]


def gan_curves(models: Mapping[str, Mapping[str, Path]]) -> list[Curves]:
    """Draw the `log.csv` beside every model, by method and label.

    Raises:
        InputError: a log with other columns.
    """
    return [
        _curves(name, {label: _read_log(path.parent / "log.csv") for label, path in paths.items()}, f"gan-{name}")
        for name, paths in models.items()
    ]


def nnunet_curves(predictions: Mapping[str, Mapping[str, Path]], config: Config) -> list[Curves]:
    """Draw the training logs of the models that made predictions, by heading and label.

    The logs are nnU-Net's own text files, in the folder `results` beside that of the predictions.
    """
    return [
        _curves(heading, {label: _read_nnunet(path, config) for label, path in paths.items()}, f"nnunet-{number}")
        for number, (heading, paths) in enumerate(predictions.items())
    ]


def _read_log(path: Path) -> pd.DataFrame:
    if not path.is_file():
        return pd.DataFrame(columns=["step", "quantity", "value"])
    checked(path)
    table = read_table(path, f"a log with the columns {', '.join(COLUMNS)}", na_values={"value": ["nan"]})
    if list(table.columns) != COLUMNS:
        raise InputError(path, f"columns {', '.join(table.columns)}", ", ".join(COLUMNS))
    quantity = table["player"] + ": " + table["term"].str.replace("_", " ")
    return pd.DataFrame({"step": table["round"], "quantity": quantity, "value": table["value"]})


def _read_nnunet(predictions: Path, config: Config) -> pd.DataFrame:
    """Read the mean over folds; an epoch that a resumed training repeats counts once, the last time."""
    nnunet, (modality, channels, seed) = predictions.parents[4], predictions.parts[-5:-2]
    folder = nnunet / data_set(config, modality, channels) / seed / "results"
    rows = [
        (log.parent.name, *value)
        for log in sorted(folder.glob("*/*/fold_*/training_log_*.txt"))
        for value in _parse(log.read_text(errors="replace"))
    ]
    table = pd.DataFrame(rows, columns=["fold", "step", "quantity", "value"])
    last = table.drop_duplicates(["fold", "step", "quantity"], keep="last")
    return last.groupby(["quantity", "step"], sort=False)["value"].mean().reset_index()


def _parse(text: str) -> Iterator[tuple[int, str, float]]:
    epoch = None
    for line in text.splitlines():
        if found := EPOCH.search(line):
            epoch = int(found[1])
        elif epoch is not None and (found := VALUE.search(line)):
            yield epoch, QUANTITIES[found[1]], float(found[2])


def _curves(heading: str, tables: Mapping[str, pd.DataFrame], key: str) -> Curves:
    lines = [Line(label, number) for number, (label, table) in enumerate(tables.items()) if len(table)]
    missing = [label for label, table in tables.items() if table.empty]
    quantities = dict.fromkeys(quantity for table in tables.values() for quantity in table["quantity"])
    panels = [
        _panel(quantity, [(line, tables[line.label]) for line in lines], f"{key}-{number}", heading)
        for number, quantity in enumerate(quantities)
    ]
    return Curves(heading, lines, panels, missing)


def _panel(quantity: str, tables: Sequence[tuple[Line, pd.DataFrame]], key: str, heading: str) -> Markup:
    tips, ends = {}, []
    with mpl.rc_context(STYLE):
        figure = Figure(PANEL_INCHES, layout="constrained")
        panel = figure.subplots()
        for line, table in tables:
            own = table[(table["quantity"] == quantity) & np.isfinite(table["value"])]
            if own.empty:
                continue
            gid = f"line-{key}-{line.number}"
            tips[gid] = line.label
            steps, values = _thinned(own["step"].to_numpy(float), own["value"].to_numpy(float))
            colour, dashes = SERIES[line.colour], DASHES[line.dashes]
            marker = "o" if len(steps) == 1 else ""
            panel.plot(steps, values, color=colour, linestyle=dashes, linewidth=1.2, marker=marker, gid=gid)
            ends.append(values[-1])
        panel.set_title(quantity, fontsize=9)
        panel.grid(color=FAINT, linewidth=0.6)
        panel.tick_params(labelsize=8)
    last = f"from {min(ends):.3g} to {max(ends):.3g}" if ends else "undefined"
    return inline(figure, key, f"{heading}, {quantity}: {len(ends)} trainings, at the end {last}.", tips)


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return at most `POINTS` points: the means of equally long stretches."""
    count = min(POINTS, len(steps))
    parts = (np.array_split(array, count) for array in (steps, values))
    first, second = (np.array([part.mean() for part in array]) for array in parts)
    return first, second
