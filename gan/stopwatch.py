"""The seconds that a program spends inside networks: the rest of its time is overhead, `tests.bench.overhead`."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

SAYS = "seconds inside networks: "

_spent = [0.0]


@contextmanager
def inside() -> Iterator[None]:
    """Count the time of this block as spent inside a network."""
    start = time.perf_counter()
    try:
        yield
    finally:
        _spent[0] += time.perf_counter() - start


def seconds() -> float:
    """Return what was counted so far."""
    return _spent[0]


def report() -> None:
    """Say what was counted, on standard error; nothing if nothing was."""
    if seconds():
        print(f"{SAYS}{seconds():.3f}", file=sys.stderr)  # noqa: T201
