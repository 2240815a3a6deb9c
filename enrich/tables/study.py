"""What every table is told: the study's config, and from it the rows, the columns and what is compared."""

import argparse
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from enrich import published
from enrich.config import Config, digest, facts, method_of
from enrich.design import Design
from enrich.rows import Row, compared, labels_used, rows, title_of

OURS = "this run"


@dataclass(frozen=True)
class Study:
    """A resolved config, as its tables see it."""

    config: Config

    @property
    def modalities(self) -> list[str]:
        """The modalities in order."""
        return list(self.config["modalities"])

    @property
    def structure(self) -> str:
        """The structure that the primary comparisons are about: the first target."""
        return str(self.config["target"][0])

    @property
    def reader(self) -> str:
        """The reader of the real data; of a phantom, `phantom`."""
        data = self.config["data"]
        return "phantom" if data["phantom"] is not None else str(data["reader"])

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of segmentation that are trained on all that there is; controls first."""
        return [row for row in rows(self.config) if row.full]

    @cached_property
    def titles(self) -> dict[str, str]:
        """The title of every row, those of smaller budgets among them."""
        return {row.name: row.title for row in rows(self.config)}

    @cached_property
    def translators(self) -> dict[str, str]:
        """The entries that translate: each its title."""
        return {
            name: title_of(name)
            for name, entry in self.config["methods"].items()
            if facts(method_of(name, entry)).get("translates", True)
        }

    def labels_of_translator(self, name: str) -> str:
        """Return which labels a translator is trained with; none for ceiling and floor."""
        return labels_used(name, self.config) if name in self.translators else "–"

    @property
    def test_fit(self) -> str:
        """Which GANs translate test patients: `all`, `fold` or `mean`."""
        return str(self.config["crossfit_test"]) if self.config["crossfit"] else "all"

    def published(self, kind: str) -> list[published.Published]:
        """Return the published tables of a kind that this study can be held against."""
        return published.of(kind, self.reader, self.structure, self.modalities)

    def about_published(self, kind: str, metrics: Collection[str]) -> list[str]:
        """Return how those tables that print any of some metrics differ from this study."""
        tables = [table for table in self.published(kind) if table.metrics & set(metrics)]
        return [note for table in tables for note in table.notes(self.config)]

    def about_elsewhere(self, kind: str, names: Iterable[str]) -> list[str]:
        """Return what is published of a study's rows on data that no reader reads; nothing beside a phantom."""
        if self.reader == "phantom":
            return []
        return [table.sentence() for table in published.elsewhere(kind, names)]

    @property
    def sha256(self) -> str:
        """The hash of what the config says about results."""
        return digest(self.config)

    @cached_property
    def design(self) -> Design:
        """What is compared: unless the config names them, all rows of full budget but the controls.

        Raises:
            InputError: a reference that is no row of full budget, or a method that is no row.
        """
        settings, methods = self.config["statistics"], compared(self.config, rows(self.config))
        fixed = {key: settings[key] for key in ("metric", "reference", "alpha", "resamples", "seed")}
        return Design(methods=tuple(methods), **fixed)


def parser(program: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every table has."""
    options = argparse.ArgumentParser(prog=f"python -m enrich.tables.{program}", description=description)
    options.add_argument("--config-json", type=_study, required=True, dest="study", help="the resolved config")
    options.add_argument("--output", type=Path, required=True, help="CSV; .md and .tex are written beside it")
    return options


def _study(text: str) -> Study:
    return Study(json.loads(text))
