"""The one error a user sees, and the one line it is shown as."""

import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path

from gan import stopwatch
from gan.memory import out_of_memory


class InputError(ValueError):
    """What the user gave cannot be used; the message names the file, what was found there and what was expected."""

    def __init__(self, where: str | Path, found: object, expected: object) -> None:
        super().__init__(str(where), str(found), str(expected))  # as it is raised again in another process

    def __str__(self) -> str:
        where, found, expected = self.args
        return " ".join(f"{where}: found {found}, expected {expected}".split())


def run(main: Callable[[], None]) -> None:
    """Run a command-line program; an error of input, disk or memory becomes one line and exit code 1.

    The line is on standard error, where the seconds inside networks, if there are some, are the last one.
    """
    try:
        main()
        stopwatch.report()
    except InputError as error:
        sys.exit(f"error: {error}")
    except Exception as error:
        if out_of_memory(error):
            found = f"too little ({error})" if str(error) else "too little"
            said = InputError("memory", found, "more, or fewer jobs and threads at once")
        elif isinstance(error, BrokenExecutor):
            said = InputError("memory", "perhaps too little: a process was killed", "more, or fewer threads")
        elif isinstance(error, OSError):
            said = InputError(error.filename or "a file", error.strerror or error, "one that can be read or written")
        else:
            raise
        sys.exit(f"error: {said}")
