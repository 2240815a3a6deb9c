"""The tables of a run as the page shows them: as they are printed in Markdown, to be sorted by any column."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from enrich.tables.layout import ABSENT
from gan.errors import InputError
from gan.files import checked

NUMBER = re.compile(r"[+−-]?\d[\d,]*(?:\.\d+)?(?:e[+−-]?\d+)?")


@dataclass(frozen=True)
class Column:
    """A column: its name, and whether its cells sort as numbers."""

    name: str
    numeric: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell: its text, what it sorts by (None: last), the mark behind it, and whether it is bold."""

    text: str = ABSENT
    order: float | str | None = None
    mark: str = ""
    bold: bool = False


@dataclass(frozen=True)
class Line:
    """A row: its cells, and the heading of the block that it stands in, if the block has one."""

    cells: list[Cell]
    block: str = ""

    @property
    def published(self) -> bool:
        """Whether its figures are from a publication."""
        return self.block.startswith("Published")


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        name: of its file, with a number for the second and further ones in it.
        caption: what it shows.
        columns: from left to right.
        lines: from top to bottom.
        notes: paragraphs under it.
    """

    name: str
    caption: str
    columns: list[Column]
    lines: list[Line]
    notes: list[str] = field(default_factory=list)


def read_tables(path: Path) -> list[Table]:
    """Read the tables of a Markdown file as `enrich.tables.layout` writes them, each with its caption and notes.

    Raises:
        InputError: no file, or one without a table.
    """
    if not path.is_file():
        raise InputError(path, "no such file", "tables in Markdown")
    checked(path)
    paragraphs = re.split(r"\n\s*\n", path.read_text().strip())
    starts = [number for number, text in enumerate(paragraphs) if text.startswith("|")]
    if not starts:
        raise InputError(path, "no table", "tables in Markdown")
    tables = []
    for count, (start, end) in enumerate(zip(starts, [*starts[1:], len(paragraphs)], strict=True)):
        name = f"{path.stem}-{count + 1}" if count else path.stem
        caption, *notes = [_plain(text) for text in paragraphs[start + 1 : end]] or [path.stem]
        columns, lines = _parse(paragraphs[start], path)
        tables.append(Table(name, caption, columns, lines, notes))
    return tables


def _parse(text: str, path: Path) -> tuple[list[Column], list[Line]]:
    names, rules, *rows = [_cells(line) for line in text.splitlines()]
    if any(len(row) != len(names) for row in (rules, *rows)):
        raise InputError(path, "rows of different length", f"{len(names)} cells in each")
    columns = [Column(_plain(name), rule.endswith(":")) for name, rule in zip(names, rules, strict=True)]
    return columns, list(_lines(columns, rows))


def _lines(columns: list[Column], rows: list[list[str]]) -> Iterator[Line]:
    """Yield the rows; one in which only the first cell holds something, in italics, is a heading of those below."""
    block = ""
    for row in rows:
        if not any(row[1:]) and re.fullmatch(r"\*[^*].*\*", row[0]):
            block = _plain(row[0][1:-1])
            continue
        yield Line([_cell(text, column.numeric) for text, column in zip(row, columns, strict=True)], block)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def _cell(text: str, numeric: bool) -> Cell:
    found = re.fullmatch(r"(?P<bold>\*\*)?(?P<text>.*?)(?(bold)\*\*)(?P<mark>\\\*|†|‡)?", text)
    assert found is not None  # noqa: S101
    shown = _plain(found["text"])
    order = number_in(shown) if numeric else shown.casefold()
    return Cell(shown, None if shown == ABSENT else order, _plain(found["mark"] or ""), found["bold"] is not None)


def number_in(text: str) -> float | str | None:
    """Return the first number of a text as the tables print it, ∞ as JavaScript writes it; None if there is none."""
    if text.startswith("∞"):
        return "Infinity"
    found = NUMBER.search(text)
    return float(found[0].replace("−", "-").replace(",", "")) if found else None


def _plain(text: str) -> str:
    """Undo Markdown's escapes."""
    return re.sub(r"\\([\\|*_`<\[\]])", r"\1", " ".join(text.split()))
