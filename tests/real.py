"""Real samples, which lie outside the project."""

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("NNENRICH_REAL_DATA", Path(__file__).parents[2] / "shared" / "data"))


def real(name):
    """Return a sample's path, or skip the test where it is absent."""
    if not (FOLDER / name).exists():
        pytest.skip(f"no real sample at {FOLDER / name}")
    return (FOLDER / name).resolve()
