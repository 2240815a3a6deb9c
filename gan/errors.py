"""The one error a user sees, and the one line it is shown as."""

import sys
from collections.abc import Callable
from pathlib import Path


class InputError(ValueError):
    """What the user gave cannot be used; the message names the file, what was found there and what was expected."""

    def __init__(self, where: str | Path, found: object, expected: object) -> None:
        super().__init__(" ".join(f"{where}: found {found}, expected {expected}".split()))


def run(main: Callable[[], None]) -> None:
    """Run a command-line program; an `InputError` becomes one line on standard error and exit code 1."""
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {error}")
