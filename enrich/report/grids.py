"""Translations of one test scan of each modality side by side, the target outlined, and what differs from the truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from enrich.modality import title
from enrich.report.pictures import Size, difference_picture, grey_picture, outline, size_of
from enrich.report.volumes import TestScan, Volumes

PIXELS = 192


@dataclass(frozen=True)
class Panel:
    """A picture of the grid: its column's heading, what it shows, and the picture; None where there is none."""

    heading: str
    alt: str
    picture: str
    difference: str | None = None


@dataclass(frozen=True)
class Direction:
    """A row of the grid.

    Attributes:
        heading: from which modality to which.
        caption: of which case and slice.
        size: of every picture.
        outline: of the target, data of an SVG path.
        panels: the source, the truth where scans are aligned, and each translation.
        aligned: whether there is a truth.
    """

    heading: str
    caption: str
    size: Size
    outline: str
    panels: list[Panel]
    aligned: bool

    @property
    def bytes(self) -> int:
        """The bytes of its pictures."""
        return sum(len(panel.picture) + len(panel.difference or "") for panel in self.panels)


def grid(volumes: Volumes, modalities: Sequence[str], translators: Mapping[str, str]) -> list[Direction]:
    """Return a row for every direction: of each modality the first test scan that shows the target.

    Args:
        volumes: the run's files.
        modalities: in order.
        translators: titles of the synthetic scans by their name, in order.
    """
    rows = volumes.test_rows()
    directions = []
    for modality in modalities:
        fitting = rows[(rows["modality"] == modality) & (rows["target_ml"] > 0)]
        if fitting.empty:
            continue
        scan = volumes.read(fitting.iloc[0])
        for target in modalities:
            known = {name: text for name, text in translators.items() if target in volumes.targets(name, scan)}
            if target != modality and known:
                directions.append(_direction(volumes, scan, target, known))
    return directions


def _direction(volumes: Volumes, scan: TestScan, target: str, translators: Mapping[str, str]) -> Direction:
    number = int(scan.reference.sum(axis=(1, 2)).argmax())
    size, source = size_of(scan.axial, PIXELS), title(scan.row["modality"])
    where = f"slice {number + 1} of {scan.row['case']}"
    panels = [Panel(f"source: {source}", f"Real {source}, {where}", grey_picture(scan.axial.array[number], size))]
    truth = volumes.truth(scan, target)
    if truth is not None:
        panels.append(
            Panel(f"real {title(target)}", f"Real {title(target)}, {where}", grey_picture(truth[number], size))
        )
    for name, text in translators.items():
        plane = volumes.synthetic(name, scan, target)[number]
        difference = None if truth is None else difference_picture(plane - truth[number], size)
        alt = f"Synthetic {title(target)} by {text}, {where}"
        panels.append(Panel(text, alt, grey_picture(plane, size), difference))
    mask = outline(scan.reference[number], size)
    return Direction(f"{source} → {title(target)}", where, size, mask, panels, truth is not None)
