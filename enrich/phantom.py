"""Write procedural scans as real files in a data set's own layout.

    python -m enrich.phantom --layout chaos --settings '{"size": 64}' --output raw/phantom.json

The scans fill the folder of `--output`, a JSON file of all settings that is written when they are complete.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

from enrich.datasets import phantom_brats, phantom_chaos
from gan.errors import InputError, run
from gan.files import digests, publish_folder

MARKER = "phantom.json"


class Layout(NamedTuple):
    """How one layout is set and written."""

    settings: Callable[..., Any]
    write: Callable[[Any, Path], None]


LAYOUTS = {
    "chaos": Layout(phantom_chaos.Settings, phantom_chaos.write),
    "brats": Layout(phantom_brats.Settings, phantom_brats.write),
}


def parse(layout: str, values: object, where: str = "--settings") -> Any:
    """Return a layout's settings, checked.

    Raises:
        InputError: an unknown key, or a value that is no integer or too small; `where` and the key are named.
    """
    defaults = LAYOUTS[layout].settings()
    names = [field.name for field in fields(defaults)]
    if not isinstance(values, dict):
        raise InputError(where, repr(values), f"an object with keys of {names}")
    for key, value in values.items():
        if key not in names:
            raise InputError(where, f"key {key!r}", f"one of {names}")
        least = defaults.smallest()[key]
        if type(value) is not int or value < least:
            raise InputError(f"{where}, {key}", repr(value), f"an integer of at least {least}")
    return LAYOUTS[layout].settings(**values)


def write(layout: str, settings: Any, marker: Path) -> None:
    """Fill the marker's folder anew, all at once; the marker holds the settings and the hash of every file.

    Raises:
        InputError: the folder holds anything but an earlier phantom.
    """
    if marker.name != MARKER:
        raise InputError(marker, f"a file named {marker.name}", f"{MARKER} in a folder of its own")
    with publish_folder(marker.parent) as folder:
        LAYOUTS[layout].write(settings, folder)
        content = {"layout": layout, **asdict(settings), "sha256": digests(folder)}
        (folder / MARKER).write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    """Parse the command line and write a phantom."""
    parser = argparse.ArgumentParser(description="Write procedural scans as real files in a data set's own layout.")
    parser.add_argument("--layout", choices=LAYOUTS, required=True)
    parser.add_argument("--settings", default="{}", help="JSON object of the layout's settings")
    parser.add_argument("--output", type=Path, required=True, help=f"{MARKER} in the folder to fill")
    arguments = parser.parse_args()
    try:
        values = json.loads(arguments.settings)
    except json.JSONDecodeError as error:
        raise InputError("--settings", repr(arguments.settings), "a JSON object") from error
    write(arguments.layout, parse(arguments.layout, values), arguments.output)


if __name__ == "__main__":
    run(main)
