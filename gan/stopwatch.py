"""The seconds that a program spends inside networks, and those that it waited for a GPU, as it says in its log.

The rest of its time is overhead, `tests.bench.overhead`.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

WAITING = "seconds waiting for a GPU: "
INSIDE = "seconds inside networks: "

_spent = {WAITING: 0.0, INSIDE: 0.0}


@contextmanager
def spent(kind: str) -> Iterator[None]:
    """Count the time of this block as one of the two kinds."""
    start = time.perf_counter()
    try:
        yield
    finally:
        _spent[kind] += time.perf_counter() - start


def inside() -> AbstractContextManager[None]:
    """Count the time of this block as spent inside a network."""
    return spent(INSIDE)


def seconds() -> float:
    """Return what was counted so far as spent inside networks."""
    return _spent[INSIDE]


def report() -> None:
    """Say what was counted, on standard error, a line for each kind; nothing of a kind of which nothing was."""
    for kind, value in _spent.items():
        if value:
            print(f"{kind}{value:.3f}", file=sys.stderr)  # noqa: T201


def said(log: Path, kind: str) -> float:
    """Return the seconds of a kind that a program said last in its log; 0 without a line of them, or without a log."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    values = [line.removeprefix(kind) for line in text.splitlines() if line.startswith(kind)]
    return float(values[-1]) if values else 0.0
