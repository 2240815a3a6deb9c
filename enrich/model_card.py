"""The model card of a bundle."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from enrich import index
from enrich.config import Config
from enrich.gather import per_patient, read_scores
from enrich.modality import title
from enrich.report.facts import commit, versions
from enrich.rows import Row
from enrich.scan import Structures
from enrich.splits import Splits
from gan import checkpoint
from gan.errors import InputError
from gan.files import checked

CARD = """\
# {title}: segmentation of {structures} in {modalities}

Made by nnEnrich from the run `{run}`, row `{method}`, seed {seed}{outer}.

## Use

    python -m enrich.predict <this folder> --image {first}=scan.nii.gz --output out/

**For research. It is no medical device**, was checked by nobody for clinical use, and knows scans only as they were in
its training data. `enrich.predict` warns where a scan lies far outside these. It often does not notice an MR sequence
under the name of another: of real scans, each patient against seven or fewer others, a quarter to a third of the wrong
names went unnoticed, and 1 of 44 right ones was doubted. Say which sequence a scan is with care.

## Data

Reader `{reader}`{release}. {test} patients tested. Trained, as their data sets and checkpoints record it:

{trained}

Values in the segmentations:

{labels}

Values in the label maps that trained, with which `--reference` scores a cohort unless `--structures` says others:

{label_values}

## Scores on the test patients

Mean ± standard deviation over patients, of their means over seeds; none of them was trained on.

{scores}

## Made with

{versions}
"""


@dataclass(frozen=True)
class Trained:
    """The files that tell what trained the models of a row.

    Attributes:
        bundle: folder of the segmenters' weights.
        datasets: of every modality, `dataset.json` of the raw data set of its segmenter.
        models: `model.pt` of the translators.
    """

    bundle: Path
    datasets: Mapping[str, Path]
    models: list[Path]

    def lines(self, scans_csv: Path) -> Iterator[str]:
        """Yield what each model was trained on.

        Raises:
            InputError: a file that is missing or broken.
        """
        scans = index.read(scans_csv, index.SCANS)
        patients = dict(zip(scans["case"], scans["patient"], strict=True))
        patients |= dict(zip(scans["case"] + "_" + scans["modality"], scans["patient"], strict=True))
        for path in dict.fromkeys(self.datasets.values()):
            modalities = ", ".join(title(name) for name, own in self.datasets.items() if own == path)
            checked(path)
            try:
                told = json.loads(path.read_text())
                synthetic = set(told.get("synthetic_cases", ()))
                real = [name for name in told["dataset"] if name not in synthetic]
                count = len({patients[name] for name in real})
            except (OSError, ValueError, KeyError) as error:
                raise InputError(path, "no readable file", "the data set of a segmenter") from error
            further = f", and {len(synthetic)} synthetic cases" if synthetic else ""
            yield f"the segmenter of {modalities}: {len(real)} cases of {count} patients{further}"
        if self.models:
            seen = {patient for path in self.models for patient in checkpoint.load(path)["config"]["patients"]}
            yield f"the translator: {len(seen)} patients"

    def versions(self) -> Iterator[str]:
        """Yield the versions that were recorded in training."""
        segmenters = [json.loads(path.read_text())["versions"] for path in self.bundle.glob("nnunet/*/model.json")]
        for name, package in (("nnU-Net", "nnunetv2"), ("torch", "torch")):
            found = sorted({own[package] for own in segmenters if package in own})
            yield f"segmenter, trained with {name}: {', '.join(found) or 'not recorded'}"
        if self.models:
            found = sorted({checkpoint.load(path)["config"]["torch"] for path in self.models})
            yield f"translator, trained with torch: {', '.join(found)}"


def card(results: Path, config: Config, row: Row, who: Splits, told: dict[str, Any], trained: Trained) -> str:
    """Return the model card of a row as Markdown.

    Raises:
        InputError: the run has no gathered scores of the patients who test, or no data set or model.
    """
    values = told["structures"]["values"]
    data, made = config["data"], versions() | {"commit": commit() or "not known"}
    exported = [f"exported with {name}: {value}" for name, value in made.items()]
    return CARD.format(
        title=row.title,
        structures=", ".join(dict.fromkeys(name for found in values.values() for name in found)),
        modalities=", ".join(map(title, config["modalities"])),
        run=config["run"],
        method=row.name,
        seed=told["seed"],
        outer=f", outer fold {told['outer']} of {config['outer_folds']}" if config["outer_folds"] else "",
        first=config["modalities"][0],
        reader="phantom, procedural scans of nobody" if data["phantom"] is not None else data["reader"],
        release=f", release {data['release']}" if data["release"] else "",
        trained=_listed(trained.lines(results / "scans.csv")),
        test=len(who.test),
        labels=_values(values),
        label_values=_values(told["label_values"]),
        scores=_scores(results, row.name, who.test),
        versions=_listed([*trained.versions(), *exported]),
    )


def _listed(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _values(of: Mapping[str, Structures]) -> str:
    return _listed(
        f"{title(modality)}: {', '.join(f'{name} {list(values)}' for name, values in found.items())}"
        for modality, found in of.items()
    )


def _scores(results: Path, method: str, patients: Collection[str]) -> str:
    """Return the scores of patients, those who test in the split that the models are of."""
    path = results / "scores" / "segmentation.csv"
    scores = read_scores(path)
    scores = scores[(scores["method"] == method) & scores["patient"].isin(patients)]
    if scores.empty:
        raise InputError(path, f"no score of {method} on {', '.join(patients)}", "some")
    lines = ["| structure | modality | patients | DICE (%) |", "|---|---|---:|---:|"]
    for (structure, modality), own in scores.groupby(["structure", "modality"], sort=False):
        dice = per_patient(own)["dice_percent"]
        std = "" if len(dice) < 2 or pd.isna(dice.std()) else f" ± {dice.std():.2f}"
        lines.append(f"| {structure} | {title(str(modality))} | {len(dice)} | {dice.mean():.2f}{std} |")
    return "\n".join(lines)
