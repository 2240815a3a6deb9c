"""The page, put together: what its sections show, and the template, style and script that show it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from enrich.modality import title
from enrich.report.curves import Curves
from enrich.report.distributions import Distribution
from enrich.report.grids import Direction
from enrich.report.pictures import DIFFERENCE_LIMIT, difference_stops
from enrich.report.slider import Slider
from enrich.report.tables import Cell, Column, Line, Table
from enrich.tables.study import Study

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Page:
    """Everything that the page shows.

    Attributes:
        study: the config.
        patients: how many patients test.
        audit: `audit.json`.
        failures: rows of the scores with a note.
        scored: how many rows there are.
        tables: by the name of their file.
        comparisons: a table for each family, by its name.
        finding: what the comparisons showed, in a sentence.
        design: what was tested and what the marks mean.
        power: which differences could have been shown.
        distributions: of the scores.
        figures: data URIs of further figures, by their heading.
        grid: translations.
        slider: slices.
        gan: training curves of the translators and methods' own segmenters.
        nnunet: training curves of nnU-Net.
        versions: of the software.
        commit: of the project; None where it is not known.
        hashes: of the files that the report was made of, by path.
    """

    study: Study
    patients: int
    audit: dict[str, Any]
    failures: pd.DataFrame
    scored: int
    tables: Mapping[str, Sequence[Table]]
    comparisons: Mapping[str, Table]
    finding: str
    design: str
    power: str
    distributions: Sequence[Distribution]
    figures: Mapping[str, str]
    grid: Sequence[Direction]
    slider: Slider
    gan: Sequence[Curves]
    nnunet: Sequence[Curves]
    versions: Mapping[str, str]
    commit: str | None
    hashes: Mapping[str, str]

    @property
    def sizes(self) -> dict[str, int]:
        """What the pictures and plots take, in bytes."""
        plots = [each.plot for each in self.distributions]
        plots += [panel for curves in (*self.gan, *self.nnunet) for panel in curves.panels]
        return {
            "slices": self.slider.size,
            "translations": sum(direction.bytes for direction in self.grid),
            "plots": sum(len(plot) for plot in (*plots, *self.figures.values())),
        }


def render(page: Page) -> str:
    """Return the page as HTML that needs no other file."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["megabytes"] = lambda size: f"{size / 1e6:.2g} MB" if size < 1e6 else f"{size / 1e6:.1f} MB"
    style, script = (Markup((HERE / name).read_text()) for name in ("style.css", "script.js"))  # noqa: S704
    data = json.dumps(page.slider.data, separators=(",", ":")).replace("</", "<\\/")
    return environment.get_template("index.html.j2").render(
        page=page,
        config=yaml.safe_dump(page.study.config, sort_keys=False, allow_unicode=True),
        style=style,
        script=script,
        data=Markup(data),  # noqa: S704
        modalities=[title(modality) for modality in page.study.modalities],
        failures=_failures(page),
        hashes=_files("hashes", "Files that this report was made of", page.hashes),
        audited=_files("audited", "Files that the audit read", page.audit["files"]),
        stops=difference_stops(),
        limit=f"{DIFFERENCE_LIMIT:.0%}".replace("%", " %"),
    )


def _failures(page: Page) -> Table:
    titles = page.study.titles
    columns = [Column(name) for name in ("Patient", "Case", "Modality", "Structure", "Method", "What")]
    lines = [
        Line(
            [
                *(Cell(text, text.casefold()) for text in (row["patient"], row["case"], title(row["modality"]))),
                Cell(row["structure"].replace("_", " "), row["structure"]),
                *(Cell(text, text.casefold()) for text in (titles.get(row["method"], row["method"]), row["note"])),
                Cell(str(row["seed"]), row["seed"]),
            ]
        )
        for row in page.failures.to_dict("records")
    ]
    return Table("failures", "Empty predictions and references", [*columns, Column("Seed", numeric=True)], lines)


def _files(name: str, heading: str, digests: Mapping[str, str]) -> Table:
    lines = [Line([Cell(path, path), Cell(digest, digest)]) for path, digest in digests.items()]
    return Table(name, heading, [Column("File"), Column("SHA-256")], lines)
