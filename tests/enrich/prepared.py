"""Scans as `enrich.prepare` leaves them, with one structure: the target is 1 in label maps."""

from collections.abc import Sequence
from pathlib import Path

from enrich.prepare import choose, write
from enrich.scan import Scan


def write_scans(scans: Sequence[Scan], scans_csv: Path, target: str = "liver") -> None:
    write(scans, choose(scans, [target], [target]), scans_csv)
