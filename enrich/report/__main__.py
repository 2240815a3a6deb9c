"""One HTML page of a run that opens offline: what was done, the tables, the slices, the trainings, the audit."""

import argparse
import json
from collections import defaultdict
from pathlib import Path

from enrich.arguments import named_path
from enrich.gather import of_structure, read_scores
from enrich.intensity import Intensity
from enrich.modality import title
from enrich.report.comparisons import summary, tables_of
from enrich.report.curves import gan_curves, nnunet_curves
from enrich.report.distributions import distributions
from enrich.report.facts import commit, hashes, versions
from enrich.report.grids import grid
from enrich.report.page import Page, render
from enrich.report.pictures import data_uri
from enrich.report.slider import Bounds, slider
from enrich.report.tables import read_tables
from enrich.report.volumes import Volumes
from enrich.rows import NNUNET, rows
from enrich.statistics import power
from enrich.tables import comparisons as compared
from enrich.tables.study import Study
from gan.errors import InputError, run
from gan.files import checked, publish


def report(arguments: argparse.Namespace) -> str:
    """Return the page.

    Raises:
        InputError: a file that is missing, unreadable or not the one that an index names.
    """
    study = Study(arguments.config_json)
    everyone = rows(study.config)
    titles = {row.name: row.title for row in everyone}
    scores = read_scores(arguments.scores)
    target, comparisons = of_structure(scores, study.structure), compared.read(arguments.comparisons)
    volumes = Volumes(
        arguments.scans,
        arguments.splits,
        arguments.synthetic,
        arguments.channels,
        arguments.predictions,
        Intensity(**study.config["intensity"]),
        arguments.dropped,
    )
    read = [arguments.scans, *arguments.splits, arguments.scores, *arguments.tables, arguments.comparisons]
    return render(
        Page(
            study=study,
            patients=volumes.test_rows()["patient"].nunique(),
            audit=_read_audit(arguments.audit),
            failures=scores[scores["note"] != ""],
            scored=len(scores),
            tables={path.stem: read_tables(path) for path in arguments.tables},
            comparisons=tables_of(comparisons, titles, study.design),
            finding=summary(comparisons, titles),
            design=compared.describe(study, comparisons),
            power=power(comparisons, study.design.alpha),
            distributions=distributions(target, study.modalities, {row.name: row.title for row in study.rows}),
            figures={_words(path): data_uri(path) for path in arguments.figures},
            grid=grid(volumes, study.modalities, study.translators),
            slider=slider(
                volumes, everyone, target, study.config["seeds"][0], Bounds(study.config["report_megabytes"])
            ),
            gan=gan_curves(_by_method(arguments.models, arguments.scans.parent, titles | study.translators)),
            nnunet=nnunet_curves(_by_modality(arguments.predictions, arguments.scans.parent, titles), study.config),
            versions=versions(),
            commit=commit(),
            hashes=hashes([*read, *arguments.figures, arguments.audit]),
        )
    )


def _read_audit(path: Path) -> dict[str, object]:
    checked(path)
    try:
        found = json.loads(path.read_text())
        if {"passed", "checks", "files"} <= found.keys():
            return dict(found)
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(path, "no readable file", "audit.json") from error
    raise InputError(path, f"keys {', '.join(found)}", "passed, checks and files")


def _by_method(models: list[Path], folder: Path, titles: dict[str, str]) -> dict[str, dict[str, Path]]:
    """Group models by the title of their method; a label is what else their path below the run's folder says."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for path in models:
        parts = path.relative_to(folder).parts[:-1]
        outer = [part for part in parts[:1] if part.startswith("outer")]
        _, name, *rest = parts[len(outer) :]
        found[titles.get(name, name)][" ".join([*outer, *rest])] = path
    return found


def _by_modality(
    predictions: list[tuple[tuple[str, str], Path]], folder: Path, titles: dict[str, str]
) -> dict[str, dict[str, Path]]:
    """Group nnU-Net's predictions by modality; a label is the method and what else their path below the run says."""
    found: dict[str, dict[str, Path]] = defaultdict(dict)
    for (method, modality), path in predictions:
        parts = path.relative_to(folder).parts
        if NNUNET in parts[:2]:  # below an outer fold or not
            told = [part for part in parts if part.startswith(("outer", "seed"))]
            found[f"nnU-Net on {title(modality)}"][" ".join([titles.get(method, method), *told])] = path
    return found


def _words(path: Path) -> str:
    return path.stem.replace("_", " ").capitalize()


def _predicted(text: str) -> tuple[tuple[str, str], Path]:
    name, path = named_path(text)
    method, separator, modality = name.rpartition("/")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text}: expected METHOD/MODALITY=INDEX.CSV")
    return (method, modality), path


def main() -> None:
    """Parse the command line and write the page."""
    parser = argparse.ArgumentParser(prog="python -m enrich.report", description=__doc__)
    parser.add_argument("--config-json", type=json.loads, required=True, help="the resolved config")
    parser.add_argument("--scans", type=Path, required=True, help="scans.csv")
    parser.add_argument("--splits", type=Path, nargs="+", required=True, help="splits.json, of every outer fold")
    parser.add_argument("--scores", type=Path, required=True, help="scores/segmentation.csv")
    parser.add_argument("--tables", type=Path, nargs="+", required=True, help="tables/*.md, in order")
    parser.add_argument("--comparisons", type=Path, required=True, help="tables/comparisons.csv")
    parser.add_argument("--audit", type=Path, required=True, help="audit.json")
    parser.add_argument("--figures", type=Path, nargs="*", default=[], help="figures/*.png that are shown as they are")
    parser.add_argument("--dropped", type=Path, help="dropped.csv, whose scans only the oracle has")
    parser.add_argument("--synthetic", type=named_path, nargs="*", default=[], metavar="NAME=INDEX.CSV")
    parser.add_argument("--channels", type=named_path, nargs="*", default=[], metavar="NAME=INDEX.CSV")
    parser.add_argument("--predictions", type=_predicted, nargs="*", default=[], metavar="METHOD/MODALITY=INDEX.CSV")
    parser.add_argument("--models", type=Path, nargs="*", default=[], help="model.pt, each with its log.csv beside it")
    parser.add_argument("--output", type=Path, required=True, help="HTML")
    arguments = parser.parse_args()
    page = report(arguments)
    with publish(arguments.output) as temporary:
        temporary.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
