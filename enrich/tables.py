"""The table of segmentation results, laid out like TarGAN's Table 2 (Chen et al., MICCAI 2021).

Three files of the same numbers: CSV with one row per method × modality × metric, and Markdown and LaTeX with a row per
method and DICE and RAVD of each modality side by side.
"""

import argparse
import json
import re
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from enrich.gather import per_patient, read_scores, require_scores
from enrich.modality import title
from enrich.published import PUBLISHED
from enrich.score import METRICS
from gan.errors import InputError, run
from gan.files import publish

OURS = "this run"
COUNTS = dict.fromkeys(("n", "patients", "failures", "seeds"), "Int64")
SHOWN = {"dice_percent": ("DICE (%)", "↑", "max"), "ravd_percent": ("RAVD (%)", "↓", "min")}


@dataclass(frozen=True)
class Row:
    """A printed row: `cells` in the order of `SHOWN` × modalities, each its text and whether it is bold."""

    method: str
    labels_used: str
    cells: list[tuple[str, bool]]
    patients: str
    failed: str


@dataclass(frozen=True)
class Table:
    """A printed table: each block's heading (empty for our own rows) and rows, under the modalities' titles."""

    caption: str
    modalities: list[str]
    blocks: list[tuple[str, list[Row]]]


def summarize(
    scores: pd.DataFrame, modalities: list[str], methods: list[str], titles: dict[str, str], labels_used: dict[str, str]
) -> pd.DataFrame:
    """Average scores over patients, after averaging each patient's over seeds.

    Returns:
        One row per method × modality × metric, in the order given: source, method, title, labels_used, modality,
        metric, mean, std (ddof 1; NaN for one patient), n (patients in the mean), patients, failures (patients with an
        empty prediction or reference under any seed), seeds.

    Raises:
        InputError: a method without scores of a modality, or two segmenters of a modality that were scored on
            different cases.
    """
    require_scores(scores, modalities, methods)
    averaged = per_patient(scores).set_index(["modality", "method"]).sort_index()
    rows = []
    for method, modality in product(methods, modalities):
        patients = averaged.loc[[(modality, method)]]
        seeds = scores.loc[(scores["modality"] == modality) & (scores["method"] == method), "seed"].nunique()
        rows += [
            {
                "source": OURS,
                "method": method,
                "title": titles.get(method, method),
                "labels_used": labels_used.get(method, "–"),
                "modality": modality,
                "metric": metric,
                "mean": patients[metric].mean(),
                "std": patients[metric].std(ddof=1),
                "n": int(patients[metric].count()),
                "patients": len(patients),
                "failures": int(patients["failed"].sum()),
                "seeds": seeds,
            }
            for metric in METRICS
        ]
    for modality in modalities:
        _require_same_cases(scores[(scores["modality"] == modality) & scores["method"].isin(methods)], modality)
    return pd.DataFrame(rows).astype(COUNTS)


def published(dataset: str, structure: str, modalities: list[str]) -> pd.DataFrame:
    """Return the published figures of a data set's structure in the columns of `summarize`; none for most data sets."""
    if (dataset, structure) not in PUBLISHED:
        return pd.DataFrame()
    table = PUBLISHED[dataset, structure]
    return pd.DataFrame(
        {
            "source": table.citation,
            "method": method,
            "title": name,
            "labels_used": labels,
            "modality": modality,
            "metric": metric,
            "mean": mean,
            "std": std,
            "n": table.patients,
            "patients": table.patients,
            "failures": pd.NA,
            "seeds": pd.NA,
        }
        for method, (name, labels, cells) in table.rows.items()
        for (metric, modality), (mean, std) in cells.items()
        if modality in modalities
    ).astype(COUNTS)


def layout(summary: pd.DataFrame, structure: str, config_sha256: str = "") -> Table:
    """Arrange a summary for print; the best mean of each column among our own rows is bold, ties as printed too."""
    modalities = list(summary["modality"].unique())
    columns = list(product(SHOWN, modalities))
    ours = summary[summary["source"] == OURS]
    best = {
        (metric, modality): ours[(ours["metric"] == metric) & (ours["modality"] == modality)]["mean"]
        .round(2)
        .agg(SHOWN[metric][2])
        for metric, modality in columns
    }
    blocks = []
    for source, block in summary.groupby("source", sort=False):
        rows = []
        for _, method in block.groupby("method", sort=False):
            by_column = method.set_index(["metric", "modality"])
            cells = [
                _cell(by_column.loc[column], source == OURS, best[column])
                if column in by_column.index
                else ("–", False)
                for column in columns
            ]
            first = method.drop_duplicates("modality").set_index("modality").reindex(modalities)
            patients, failed = (
                " / ".join("–" if pd.isna(value) else str(int(value)) for value in first[name])
                for name in ("patients", "failures")
            )
            rows.append(Row(method["title"].iloc[0], method["labels_used"].iloc[0], cells, patients, failed))
        blocks.append(("" if source == OURS else f"Published ({source})", rows))
    return Table(_caption(ours, structure, config_sha256), modalities, blocks)


def markdown(table: Table) -> str:
    """Return a table as GitHub Markdown; our rows first, the published ones under a heading row."""
    measures = [f"{name} {arrow} {title(modality)}" for (name, arrow, _), modality in _columns(table)]
    header = ["Method", "Labels used", *measures, "Patients", "Failed"]
    lines = [header, ["---", "---", *["---:"] * len(measures), "---:", "---:"]]
    for heading, rows in table.blocks:
        if heading:
            lines.append([f"*{_escape_markdown(heading)}*", *[""] * (len(header) - 1)])
        for row in rows:
            cells = [f"**{text}**" if bold else text for text, bold in row.cells]
            lines.append([_escape_markdown(row.method), _escape_markdown(row.labels_used), *cells])
            lines[-1] += [row.patients, row.failed]
    rules = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{rules}\n\n{_escape_markdown(table.caption)}\n"


def latex(table: Table) -> str:
    r"""Return a table as a LaTeX float; its document loads the packages booktabs and graphicx."""
    count = len(table.modalities)
    width = len(SHOWN) * count + 4
    groups = " & ".join(rf"\multicolumn{{{count}}}{{c}}{{{_escape_latex(' '.join(s[:2]))}}}" for s in SHOWN.values())
    rules = "".join(rf"\cmidrule(lr){{{3 + k * count}-{2 + (k + 1) * count}}}" for k in range(len(SHOWN)))
    names = " & ".join(_escape_latex(title(modality)) for _, modality in _columns(table))
    body = []
    for heading, rows in table.blocks:
        body.append(r"\midrule")
        if heading:
            body.append(rf"\multicolumn{{{width}}}{{l}}{{\emph{{{_escape_latex(heading)}}}}} \\")
        for row in rows:
            cells = [rf"\textbf{{{_escape_latex(text)}}}" if bold else _escape_latex(text) for text, bold in row.cells]
            plain = [_escape_latex(text) for text in (row.method, row.labels_used, row.patients, row.failed)]
            body.append(" & ".join([*plain[:2], *cells, *plain[2:]]) + r" \\")
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_escape_latex(table.caption)}}}",
            r"\label{tab:segmentation}",
            r"\setlength{\tabcolsep}{3pt}",
            r"\resizebox{\textwidth}{!}{%",
            rf"\begin{{tabular}}{{ll{'c' * (width - 4)}cc}}",
            r"\toprule",
            rf" & & {groups} & & \\",
            rules,
            rf"Method & Labels used & {names} & Patients & Failed \\",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def _require_same_cases(scores: pd.DataFrame, modality: str) -> None:
    cases = {group: set(rows["case"]) for group, rows in scores.groupby(["method", "seed"])}
    first, expected = next(iter(cases.items()))
    for group, found in cases.items():
        if found != expected:
            names = [f"{method} (seed {seed})" for method, seed in (group, first)]
            differing = ", ".join(sorted(found ^ expected))
            raise InputError("scores", f"{names[0]} and {names[1]} differ on {modality} in {differing}", "equal cases")


def _cell(values: pd.Series, ours: bool, best: float) -> tuple[str, bool]:
    if not values["n"]:
        return "–", False
    spread = "–" if np.isnan(values["std"]) else f"{values['std']:.2f}"
    partial = f" (n = {values['n']})" if values["n"] < values["patients"] else ""
    return f"{values['mean']:.2f} ± {spread}{partial}", bool(ours and round(values["mean"], 2) == best)


def _caption(ours: pd.DataFrame, structure: str, config_sha256: str) -> str:
    seeds = "–".join(str(count) for count in sorted({ours["seeds"].min(), ours["seeds"].max()}))
    name = structure.replace("_", " ")
    return " ".join(
        [
            f"Segmentation of the {name}: mean ± standard deviation (ddof 1) over a modality's test patients,",
            f"each patient's scores averaged over seeds first (seeds per method: {seeds}).",
            "Bold: the best mean of its column among the methods of this run, as printed; no difference is tested.",
            f"Patients and Failed: {' / '.join(title(modality) for modality in ours['modality'].unique())};",
            "a patient failed if a prediction or the reference is empty under any seed.",
            "An empty prediction enters the means with DICE 0 and RAVD 100; an undefined value (RAVD of an empty",
            "reference, DICE of two empty masks) is left out, and the n that remains stands in the cell.",
            "Labels used: the modalities whose target masks the translator saw in training, or the segmenter beside",
            "its own.",
            *([f"Config sha256 {config_sha256}."] if config_sha256 else []),
        ]
    )


def _columns(table: Table) -> list[tuple[tuple[str, str, str], str]]:
    return list(product(SHOWN.values(), table.modalities))


def _escape_markdown(text: str) -> str:
    return re.sub(r"([\\|*_`<\[\]])", r"\\\1", text)


def _escape_latex(text: str) -> str:
    replacements = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "–": "--",
        "↑": r"$\uparrow$",
        "↓": r"$\downarrow$",
        **{character: f"\\{character}" for character in "&%$#_{}"},
    }
    return "".join(replacements.get(character, character) for character in text)


def main() -> None:
    """Write the three files; all or none."""
    parser = argparse.ArgumentParser(prog="python -m enrich.tables", description=__doc__)
    parser.add_argument("--scores", type=Path, required=True, help="scores of one structure")
    parser.add_argument("--modalities", nargs="+", required=True, help="columns, in order")
    parser.add_argument("--methods", nargs="+", required=True, help="rows, in order")
    parser.add_argument("--titles-json", type=json.loads, default={}, help='{"targan": "TarGAN"}')
    parser.add_argument(
        "--labels-used-json", type=json.loads, default={}, help='{"targan": "all modalities", "stargan": "none"}'
    )
    parser.add_argument("--dataset", required=True, help="names the published figures to print beside ours: chaos")
    parser.add_argument("--config-sha256", default="", help="of the run's config, to be printed")
    parser.add_argument("--output", type=Path, required=True, help="CSV; .md and .tex are written beside it")
    arguments = parser.parse_args()
    scores = read_scores(arguments.scores)
    structures = sorted(scores["structure"].unique())
    if len(structures) != 1:
        raise InputError(arguments.scores, f"structures {', '.join(structures)}", "one structure")
    summary = summarize(
        scores, arguments.modalities, arguments.methods, arguments.titles_json, arguments.labels_used_json
    )
    summary = pd.concat([summary, published(arguments.dataset, structures[0], arguments.modalities)])
    table = layout(summary, structures[0], arguments.config_sha256)
    paths = [arguments.output.with_suffix(suffix) for suffix in (".csv", ".md", ".tex")]
    with publish(paths[0]) as as_csv, publish(paths[1]) as as_markdown, publish(paths[2]) as as_latex:
        summary.to_csv(as_csv, index=False)
        as_markdown.write_text(markdown(table))
        as_latex.write_text(latex(table))


if __name__ == "__main__":
    run(main)
