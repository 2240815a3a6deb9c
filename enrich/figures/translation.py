"""Test slices and their translations side by side, target contoured in red, like TarGAN's Fig. 3."""

import argparse
import json
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from enrich import index, splits, structures
from enrich.arguments import named_path
from enrich.axial import AXIAL, to_axial
from enrich.figures.style import save
from enrich.intensity import Intensity, stored_as_images
from enrich.modality import title
from enrich.volume import Volume, read, reorient, require_same_grid
from gan.errors import InputError, run


@dataclass(frozen=True)
class Source:
    """A test scan and the axial slice that is shown of it.

    Attributes:
        case: the scan's case.
        modality: the scan's modality.
        image: the scan on its own grid.
        slice: index along z once the scan is axial.
        grey: the slice between black 0 and white 1, (Y, X).
        target: its target, (Y, X).
        aspect: height of a pixel over its width.
    """

    case: str
    modality: str
    image: Volume
    slice: int
    grey: NDArray[np.float32]
    target: NDArray[np.bool_]
    aspect: float


def pick_source(scans_csv: Path, test: list[str], modality: str, intensity: Intensity) -> Source:
    """Read the first test scan of a modality that shows the target, at the slice with the largest target.

    Raises:
        InputError: no such scan, or a file that is not the one that was indexed.
    """
    scans = index.read(scans_csv, index.SCANS)
    fitting = scans[(scans["modality"] == modality) & scans["patient"].isin(test) & (scans["target_ml"] > 0)]
    if fitting.empty:
        raise InputError(scans_csv, f"no test scan of {modality} that shows the target", "at least one")
    row = fitting.sort_values("case").iloc[0]
    image_path, label_path = (index.file_of(scans_csv, row[name], row[f"{name}_sha256"]) for name in ("image", "label"))
    image = read(image_path)
    axial, _ = to_axial(image, row, intensity, image_path)
    target = structures.read(scans_csv).target_of(modality, reorient(read(label_path), AXIAL).array)
    chosen = int(target.sum(axis=(1, 2)).argmax())
    x_mm, y_mm, _ = axial.spacing_mm
    grey = (axial.array[chosen] + 1) / 2
    return Source(row["case"], modality, image, chosen, grey, target[chosen], y_mm / x_mm)


def read_translation(synthetic: Path, source: Source, target: str, intensity: Intensity) -> NDArray[np.float32]:
    """Return the source's slice translated to modality `target`, between black 0 and white 1, (Y, X).

    Raises:
        InputError: the index lacks the translation, the file is another one, or its grid is not the source's.
    """
    table = index.read(synthetic, index.SYNTHETIC)
    wanted = table[(table["case"] == source.case) & (table["source"] == source.modality) & (table["target"] == target)]
    if len(wanted) != 1:
        expected = f"{source.case} from {source.modality} to {target} once"
        raise InputError(synthetic, f"{len(wanted)} translations", expected)
    path = index.file_of(synthetic, *wanted.iloc[0][["image", "sha256"]])
    translation = read(path)
    require_same_grid(path, translation, source.image)
    image = stored_as_images(reorient(translation, AXIAL).array[source.slice], target, intensity)
    return (image + 1) / np.float32(2)


def draw(sources: list[Source], synthetic: dict[str, Path], titles: dict[str, str], intensity: Intensity) -> Figure:
    """Draw a row for each direction between two sources' modalities and a column for the source and each method."""
    directions = list(permutations(sources, 2))
    columns = 1 + len(synthetic)
    heights = [source.grey.shape[0] * source.aspect / source.grey.shape[1] for source, _ in directions]
    panel_inches = 1.7
    spaces = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
    figure = Figure((panel_inches * columns + 0.5, panel_inches * sum(heights) + 0.3), layout=spaces)
    grid = figure.subplots(len(directions), columns, squeeze=False, height_ratios=heights)
    for axes, (source, target) in zip(grid, directions, strict=True):
        axes[0].set_ylabel(f"{title(source.modality)} → {title(target.modality)}\n{source.case}", fontsize=9)
        _show(axes[0], source.grey, source)
        for panel, path in zip(axes[1:], synthetic.values(), strict=True):
            _show(panel, read_translation(path, source, target.modality, intensity), source)
    for panel, name in zip(grid[0], ["Source", *(titles.get(method, method) for method in synthetic)], strict=True):
        panel.set_title(name, fontsize=10)
    return figure


def _show(panel: Axes, grey: NDArray[np.float32], source: Source) -> None:
    panel.imshow(grey, cmap="gray", vmin=0, vmax=1, aspect=source.aspect)
    panel.contour(source.target, levels=[0.5], colors="red", linewidths=0.8)
    panel.set(xticks=[], yticks=[])
    panel.spines[:].set_visible(False)


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(prog="python -m enrich.figures.translation", description=__doc__)
    parser.add_argument("--scans", type=Path, required=True, help="scans.csv")
    parser.add_argument("--splits", type=Path, required=True, help="splits.json")
    parser.add_argument("--modalities", nargs="+", required=True, help="modalities, in order")
    parser.add_argument("--synthetic", type=named_path, nargs="+", required=True, metavar="METHOD=INDEX.CSV")
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--titles-json", type=json.loads, default={}, help='{"targan": "TarGAN"}')
    parser.add_argument("--output", type=Path, required=True, help="PNG")
    arguments = parser.parse_args()
    test, intensity = splits.read(arguments.splits).test, Intensity(**arguments.intensity)
    sources = [pick_source(arguments.scans, test, modality, intensity) for modality in arguments.modalities]
    save(draw(sources, dict(arguments.synthetic), arguments.titles_json, intensity), arguments.output)


if __name__ == "__main__":
    run(main)
