"""The model card of a bundle."""

from pathlib import Path
from typing import Any

import pandas as pd

from enrich.config import Config
from enrich.gather import per_patient, read_scores
from enrich.modality import title
from enrich.report.facts import commit, versions
from enrich.rows import Row
from enrich.splits import Splits

CARD = """\
# {title}: segmentation of {structures} in {modalities}

Made by nnEnrich from the run `{run}`, row `{method}`, seed {seed}{outer}.

## Use

    python -m enrich.predict <this folder> --image {first}=scan.nii.gz --output out/

**For research. It is no medical device**, was checked by nobody for clinical use, and knows scans only as they were in
its training data. `enrich.predict` warns where a scan lies far outside these.

## Data

Reader `{reader}`{release}. {training} patients trained the segmenter, {translator_patients} the translator, {test}
tested.
Label map, by modality:

{labels}

## Scores on the test patients

Mean ± standard deviation over patients, of their means over seeds; none of them was trained on.

{scores}

## Made with

{versions}
"""


def card(results: Path, config: Config, row: Row, who: Splits, told: dict[str, Any]) -> str:
    """Return the model card of a row as Markdown.

    Raises:
        InputError: the run has no gathered scores.
    """
    values = told["structures"]["values"]
    labels = [
        f"- {title(name)}: {', '.join(f'{structure} {own}' for structure, own in found.items())}"
        for name, found in values.items()
    ]
    data, made = config["data"], versions() | {"commit": commit() or "not known"}
    return CARD.format(
        title=row.title,
        structures=", ".join(dict.fromkeys(name for found in values.values() for name in found)),
        modalities=", ".join(map(title, config["modalities"])),
        run=config["run"],
        method=row.name,
        seed=told["seed"],
        outer=f", of {config['outer_folds']} outer folds one" if config["outer_folds"] else "",
        first=config["modalities"][0],
        reader="phantom, procedural scans of nobody" if data["phantom"] is not None else data["reader"],
        release=f", release {data['release']}" if data["release"] else "",
        training=len({*who.train, *who.watch}),
        translator_patients=len(who.translated_from) if row.translator else 0,
        test=len(who.test),
        labels="\n".join(labels),
        scores=_scores(results, row.name),
        versions="\n".join(f"- {name}: {value}" for name, value in made.items()),
    )


def _scores(results: Path, method: str) -> str:
    scores = read_scores(results / "scores" / "segmentation.csv")
    lines = ["| structure | modality | patients | DICE (%) |", "|---|---|---:|---:|"]
    for (structure, modality), own in scores[scores["method"] == method].groupby(["structure", "modality"], sort=False):
        patients = per_patient(own)["dice_percent"]
        std = "" if len(patients) < 2 or pd.isna(patients.std()) else f" ± {patients.std():.2f}"
        lines.append(f"| {structure} | {title(str(modality))} | {len(patients)} | {patients.mean():.2f}{std} |")
    return "\n".join(lines)
