import re
from pathlib import Path

import pytest

from enrich.config import resolve
from enrich.tables.study import Study

GIVEN = {
    "data": {"reader": "chaos", "folder": "raw"},
    "modalities": ["ct", "t1"],
    "target": "liver",
    "structures": ["liver"],
    "controls": ["single"],
    "methods": {"targan": {}},
}


@pytest.fixture
def study():
    """Return a function that makes a study of CHAOS with Single and TarGAN, some keys of its config replaced."""

    def make(**keys):
        return Study(resolve(GIVEN | keys, Path("study.yaml")))

    return make


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().removeprefix("|").removesuffix("|"))]


def printed_rows(text):
    """Return the rows of a Markdown table: each by its first cell, its cells by their headers."""
    header, _, *rows = [cells(line) for line in text.splitlines() if line.startswith("|")]
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}
