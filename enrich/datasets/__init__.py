"""The data sets that can be read, by name."""

import inspect
from collections.abc import Iterator
from pathlib import Path

from enrich.datasets import brats, chaos, msd, nnunet_raw, table
from enrich.scan import Reader, Scan
from gan.errors import InputError

READERS: dict[str, Reader] = {
    "chaos": chaos.scans,
    "brats": brats.scans,
    "msd": msd.scans,
    "nnunet_raw": nnunet_raw.scans,
    "table": table.scans,
}


def scans(reader: str, folder: Path, **options: object) -> Iterator[Scan]:
    """Yield the scans that a reader finds; `options` that are None are not given.

    Raises:
        InputError: an option that the reader does not know or lacks, or whatever reading raises.
    """
    given = {name: value for name, value in options.items() if value is not None}
    known = list(inspect.signature(READERS[reader]).parameters)[1:]
    if given.keys() != set(known):
        raise InputError(f"reader {reader}", ", ".join(given) or "no option", ", ".join(known) or "no option")
    return READERS[reader](folder, **given)
