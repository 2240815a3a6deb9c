"""What all figures share: one resolution, one palette that colour-blind readers can tell apart, reproducible files."""

from pathlib import Path

from matplotlib.figure import Figure

from gan.files import publish

DPI = 200
PALETTE = "colorblind"


def save(figure: Figure, path: Path) -> None:
    """Write a PNG without date or version: equal figures are equal bytes."""
    with publish(path, sealed=True) as temporary:
        figure.savefig(temporary, dpi=DPI, metadata={"Software": None})
