"""Write procedural scans as real files in a data set's own layout.

    python -m enrich.phantom --layout chaos --settings '{"size": 64}' --output raw/phantom.json

The scans fill the folder of `--output`, a JSON file of all settings that is written when they are complete.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, NamedTuple

from enrich.datasets import phantom_brats, phantom_chaos
from gan.errors import InputError, run
from gan.files import publish, publish_folder

MARKER = "phantom.json"
README = "README.txt"
README_TEXT = (
    "Procedural scans of no real person, written by `python -m enrich.phantom`, which replaces this whole folder.\n"
)


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
    """Fill the marker's folder anew; the marker, which tells a complete phantom, is removed before and written last.

    Raises:
        InputError: the folder holds anything but an earlier phantom.
    """
    folder = marker.parent
    if marker.name != MARKER:
        raise InputError(marker, f"a file named {marker.name}", f"{MARKER} in a folder of its own")
    if folder.is_dir() and any(folder.iterdir()) and not _is_phantom(folder):
        raise InputError(folder, "a folder with other files", "an empty folder, an earlier phantom or none")
    with publish_folder(folder) as temporary:
        (temporary / README).write_text(README_TEXT)
        LAYOUTS[layout].write(settings, temporary)
        marker.unlink(missing_ok=True)
    with publish(marker) as temporary:
        content: Mapping[str, object] = {"layout": layout, **asdict(settings)}
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def _is_phantom(folder: Path) -> bool:
    readme = folder / README
    return readme.is_file() and readme.read_text() == README_TEXT


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
