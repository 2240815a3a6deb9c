"""A printed table: columns, rows in blocks, a caption and notes; as Markdown and LaTeX, beside its numbers as CSV."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pandas as pd

from gan.errors import InputError
from gan.files import checked, publish
from gan.reading import read_table

ABSENT = "–"


@dataclass(frozen=True)
class Column:
    """A column; neighbours of one group stand under a common header, such as `DICE (%) ↑`."""

    name: str
    group: str = ""
    numeric: bool = True


@dataclass(frozen=True)
class Cell:
    """A cell: its text, whether it is bold, and the marks behind it, such as `*`."""

    text: str = ABSENT
    bold: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Block:
    """Rows under a heading, or under none: each has a cell for every column."""

    heading: str
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        label: for references in LaTeX.
        columns: from left to right.
        blocks: from top to bottom.
        caption: what the table shows.
        notes: sentences under it, one paragraph each.
    """

    label: str
    columns: list[Column]
    blocks: list[Block]
    caption: str
    notes: tuple[str, ...] = ()


def markdown(table: Table) -> str:
    """Return a table as GitHub Markdown, a block's heading as a row."""
    header = [_escape_markdown(f"{column.group} {column.name}".strip()) for column in table.columns]
    lines = [header, ["---:" if column.numeric else "---" for column in table.columns]]
    for block in table.blocks:
        if block.heading:
            lines.append([f"*{_escape_markdown(block.heading)}*", *[""] * (len(header) - 1)])
        lines += [[_markdown_cell(cell) for cell in row] for row in block.rows]
    rules = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join([rules, *map(_escape_markdown, (table.caption, *table.notes))]) + "\n"


def latex(table: Table) -> str:
    r"""Return a table as a LaTeX float; its document loads the packages booktabs and graphicx."""
    first = 1
    groups, rules = [], []
    for group, columns in groupby(table.columns, lambda column: column.group):
        last = first + len(list(columns)) - 1
        if group:
            groups.append(rf"\multicolumn{{{last - first + 1}}}{{c}}{{{_escape_latex(group)}}}")
            rules.append(rf"\cmidrule(lr){{{first}-{last}}}")
        else:
            groups += [""] * (last - first + 1)
        first = last + 1
    head = [" & ".join(groups) + r" \\", "".join(rules)] if rules else []
    body = []
    for block in table.blocks:
        body.append(r"\midrule")
        if block.heading:
            body.append(rf"\multicolumn{{{len(table.columns)}}}{{l}}{{\emph{{{_escape_latex(block.heading)}}}}} \\")
        body += [" & ".join(map(_latex_cell, row)) + r" \\" for row in block.rows]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escape_latex(table.caption)}}}",
            rf"\label{{tab:{table.label}}}",
            r"\setlength{\tabcolsep}{3pt}",
            r"\resizebox{\textwidth}{!}{%",
            rf"\begin{{tabular}}{{{''.join('c' if column.numeric else 'l' for column in table.columns)}}}",
            r"\toprule",
            *head,
            " & ".join(_escape_latex(column.name) for column in table.columns) + r" \\",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            *(rf"\par\smallskip\raggedright\footnotesize {_escape_latex(note)}" for note in table.notes),
            r"\end{table}",
            "",
        ]
    )


def read_numbers(path: Path, columns: Sequence[str], text: Sequence[str], absent: Sequence[str]) -> pd.DataFrame:
    """Read the numbers that `write` wrote: `columns`, of which some are `text`, and some may be `absent` in a row.

    Raises:
        InputError: no such file, another one than was published, or other columns.
    """
    expected = f"a table with the columns {', '.join(columns)}"
    if not path.is_file():
        raise InputError(path, "no such file", expected)
    checked(path)
    table = read_table(path, expected, dtype=dict.fromkeys(text, str), na_values=dict.fromkeys(absent, ""))
    if list(table.columns) != list(columns):
        raise InputError(path, f"columns {', '.join(table.columns)}", expected)
    return table


def write(numbers: pd.DataFrame, tables: Sequence[Table], output: Path) -> None:
    """Write the numbers as CSV to `output`, and the tables that show them beside it as .md and .tex; all or none."""
    files = [publish(output.with_suffix(suffix), sealed=True) for suffix in (".csv", ".md", ".tex")]
    with files[0] as as_csv, files[1] as as_markdown, files[2] as as_latex:
        numbers.to_csv(as_csv, index=False)
        as_markdown.write_text("\n".join(map(markdown, tables)))
        as_latex.write_text("\n".join(map(latex, tables)))


def _markdown_cell(cell: Cell) -> str:
    text = _escape_markdown(cell.text)
    return (f"**{text}**" if cell.bold else text) + _escape_markdown(cell.mark)


def _latex_cell(cell: Cell) -> str:
    text = _escape_latex(cell.text)
    mark = rf"\textsuperscript{{{_escape_latex(cell.mark)}}}" if cell.mark else ""
    return (rf"\textbf{{{text}}}" if cell.bold else text) + mark


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\|*_`<\[\]])", r"\\\1", text)


LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "[": "{[}",  # after \\ a bracket would be a length
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "−": r"$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "∞": r"$\infty$",
    "α": r"$\alpha$",
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    **{sign: rf"\textsuperscript{{{digit}}}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    "–": "--",
    "→": r"$\to$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _escape_latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)
