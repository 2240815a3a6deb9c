"""The data sets that can be read, by name."""

from enrich.datasets import brats, chaos
from enrich.scan import Reader

READERS: dict[str, Reader] = {"chaos": chaos.scans, "brats": brats.scans}
