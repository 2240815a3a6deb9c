"""Who trains, who is watched and who tests: drawn once, by patient, saved, and read by everything else."""

import argparse
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import index
from gan.errors import InputError, run
from gan.files import checked, publish_json
from gan.reading import NAME, read_json, read_table

PATIENTS = {"type": "array", "items": {"type": "string", "pattern": NAME}}
RULES = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("watch", "test", "unlabelled", "gan"), PATIENTS),
        "train": PATIENTS | {"minItems": 1},
        "folds": {"type": "array", "items": PATIENTS},
    },
    "required": ["train"],
    "additionalProperties": False,
}
"""The schema of `splits.json`."""

ModalitiesOf = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Splits:
    """Disjoint patients, and how those of the GAN are folded.

    Attributes:
        train: train the segmenter, and the GAN too unless `gan` names others.
        watch: train the segmenter; the GAN never sees them and is watched on them.
        test: train nothing.
        unlabelled: patients of whom no scan has a label: train GANs that read none, in every fold.
        gan: train the GAN alone, and then it trains on nobody else.
        folds: the GAN's patients, divided for cross-fitting; empty without it.
    """

    train: list[str] = field(default_factory=list)
    watch: list[str] = field(default_factory=list)
    test: list[str] = field(default_factory=list)
    unlabelled: list[str] = field(default_factory=list)
    gan: list[str] = field(default_factory=list)
    folds: list[list[str]] = field(default_factory=list)

    @property
    def translated_from(self) -> list[str]:
        """The patients whom the GAN of all its patients is trained on."""
        return self.gan or self.train

    def fold_of(self, patient: str) -> int | None:
        """Return the fold of cross-fitting that a patient is in."""
        return next((number for number, fold in enumerate(self.folds) if patient in fold), None)


def draw(modalities_of: ModalitiesOf, train: float, watch: int, seed: int) -> Splits:
    """Draw a split by patient, for each stratum by itself: patients with a modality in common.

    Args:
        modalities_of: the modalities of every patient.
        train: fraction of the patients that train, those who are watched included.
        watch: patients of each stratum who are watched.
        seed: of the draw; the order of `modalities_of` does not matter.

    Raises:
        InputError: too few patients for one to train and one to test, beside the watched ones.
    """
    splits = Splits()
    for modalities, order in _shuffled(modalities_of, np.random.default_rng(seed)):
        training = round(len(order) * train)
        if training - watch < 1 or training == len(order):
            raise InputError(
                f"split of the patients with {' and '.join(modalities)}",
                f"{len(order)} patients, {training} of whom train, {watch} of these watched",
                "at least one to train unwatched and one to test",
            )
        splits.watch.extend(order[:watch])
        splits.train.extend(order[watch:training])
        splits.test.extend(order[training:])
    return splits


def draw_outer(modalities_of: ModalitiesOf, folds: int, number: int, watch: int, seed: int) -> Splits:
    """Draw outer fold `number` of `folds`, in which every patient tests once; other arguments as of `draw`.

    As many folds as there are patients of each stratum leave one out, where all of them have the same modalities.

    Raises:
        InputError: more folds than patients with some modality, or too few to train, of some stratum.
    """
    splits = Splits()
    for modalities, order in _shuffled(modalities_of, np.random.default_rng(seed)):
        for modality in modalities:
            count = sum(modality in modalities_of[patient] for patient in order)
            if folds > count:
                raise InputError("outer_folds", folds, f"at most {count}, the patients with a labelled {modality} scan")
        test = [str(patient) for patient in np.array_split(order, folds)[number]]
        rest = [patient for patient in order if patient not in test]
        if len(rest) <= watch:
            found = f"{len(rest)} patients beside {len(test)} who test, {watch} of them watched"
            expected = "at least one to train unwatched"
            raise InputError(f"outer_folds, patients with {' and '.join(modalities)}", found, expected)
        turned = [*rest[number % len(rest) :], *rest[: number % len(rest)]]
        splits.watch.extend(turned[:watch])
        splits.train.extend(turned[watch:])
        splits.test.extend(test)
    return splits


def apart(splits: Splits, modalities_of: ModalitiesOf, seed: int) -> Splits:
    """Return a split in which half of the training patients, rounded up, train the GAN and the others the segmenter.

    Raises:
        InputError: a stratum of which only one patient trains.
    """
    gan, train = [], []
    for modalities, order in _shuffled(_of(splits.train, modalities_of), np.random.default_rng((seed, 1))):
        if len(order) < 2:
            expected = "at least two to train, one for the GAN and one for the segmenter"
            raise InputError(f"gan_patients, patients with {' and '.join(modalities)}", len(order), expected)
        gan.extend(order[: (len(order) + 1) // 2])
        train.extend(order[(len(order) + 1) // 2 :])
    return Splits(train, splits.watch, splits.test, splits.unlabelled, gan)


def fold(splits: Splits, modalities_of: ModalitiesOf, folds: int, seed: int) -> Splits:
    """Return a split whose training patients are divided for cross-fitting.

    Raises:
        InputError: a stratum of which fewer patients train than there are folds.
    """
    found: list[list[str]] = [[] for _ in range(folds)]
    for modalities, order in _shuffled(_of(splits.train, modalities_of), np.random.default_rng((seed, 2))):
        if len(order) < folds:
            expected = f"at least {folds} to train unwatched"
            raise InputError(f"crossfit, patients with {' and '.join(modalities)}", len(order), expected)
        for held_out, patients in zip(found, np.array_split(order, folds), strict=True):
            held_out.extend(str(patient) for patient in patients)
    return Splits(splits.train, splits.watch, splits.test, splits.unlabelled, splits.gan, found)


def read_user_split(path: Path, patients: set[str]) -> Splits:
    """Read the user's own CSV with the columns patient and set.

    Raises:
        InputError: a patient in two sets, unknown, or missing; an unknown set; no one to train or to test.
    """
    rows = read_table(path, "a CSV with the columns patient and set", dtype=str)
    if list(rows.columns) != ["patient", "set"]:
        raise InputError(path, f"the columns {', '.join(rows.columns)}", "patient, set")
    splits = Splits()
    seen: dict[str, str] = {}
    for patient, name in rows.itertuples(index=False):
        if name not in ("train", "watch", "test", "gan"):
            raise InputError(path, f"set {name} of patient {patient}", "train, watch, test or gan")
        if patient not in patients:
            raise InputError(path, f"patient {patient}", f"one of {', '.join(sorted(patients))}")
        if patient in seen:
            raise InputError(path, f"patient {patient} in {seen[patient]} and {name}", "each patient once")
        seen[patient] = name
        getattr(splits, name).append(patient)
    if missing := sorted(patients - seen.keys()):
        raise InputError(path, f"no set for {', '.join(missing)}", "a set for every labelled patient")
    if not splits.train or not splits.test:
        raise InputError(path, f"{len(splits.train)} to train, {len(splits.test)} to test", "at least one each")
    return splits


@dataclass(frozen=True)
class Design:
    """How patients are divided; the config's keys of these names.

    Attributes:
        split: path of the user's CSV, or how to draw: train, watch, seed.
        outer_folds: folds in each of which others test; 0, one split.
        crossfit: folds of the GAN's patients; 0, none.
        gan_patients: `all` who train, or `disjoint`, others than the segmenter's.
    """

    split: dict[str, float] | str
    outer_folds: int = 0
    crossfit: int = 0
    gan_patients: str = "all"


def split_scans(scans: pd.DataFrame, design: Design, outer: int = 0) -> Splits:
    """Split the labelled patients of `scans.csv`; `outer` is the number of the outer fold.

    Raises:
        InputError: a modality without a label, or that no one trains or no one tests.
    """
    labelled = scans[scans["label"] != ""]
    if unlabelled := sorted(set(scans["modality"]) - set(labelled["modality"])):
        raise InputError(
            "split", f"no labelled {unlabelled[0]} scan", "some to train and some to test, or no such modality"
        )
    modalities_of = {
        str(patient): tuple(sorted(set(rows["modality"]))) for patient, rows in labelled.groupby("patient", sort=True)
    }
    if isinstance(design.split, str):
        seed, splits = 0, read_user_split(Path(design.split), set(modalities_of))
        if bool(splits.gan) != (design.gan_patients == "disjoint"):
            found = f"{len(splits.gan)} patients of the set gan"
            raise InputError(design.split, found, f"those that gan_patients: {design.gan_patients} asks for")
    else:
        seed, watch = int(design.split["seed"]), int(design.split["watch"])
        if design.outer_folds:
            splits = draw_outer(modalities_of, design.outer_folds, outer, watch, seed)
        else:
            splits = draw(modalities_of, design.split["train"], watch, seed)
        if design.gan_patients == "disjoint":
            splits = apart(splits, modalities_of, seed)
    if design.crossfit:
        splits = fold(splits, modalities_of, design.crossfit, seed)
    splits.unlabelled.extend(sorted(set(scans["patient"]) - modalities_of.keys()))
    for modality, rows in labelled.groupby("modality"):
        groups = {"train": splits.train, "train the GAN": splits.translated_from, "test": splits.test}
        for name, patients in groups.items():
            if not set(patients) & set(rows["patient"]):
                raise InputError("split", f"no patient with a labelled {modality} scan to {name}", "at least one")
    return splits


def read(path: Path) -> Splits:
    """Read `splits.json`.

    Raises:
        InputError: no such file, another one than was published, a patient in two sets, or folds of others than train
            the GAN.
    """
    checked(path)
    splits = Splits(**read_json(path, RULES, "splits.json as enrich.splits writes it"))
    sets = [splits.train, splits.watch, splits.test, splits.unlabelled, splits.gan]
    everyone = [patient for patients in sets for patient in patients]
    if twice := sorted(patient for patient, number in Counter(everyone).items() if number > 1):
        raise InputError(path, f"{', '.join(twice)} in two sets", "each patient once")
    folded = sorted(patient for patients in splits.folds for patient in patients)
    if splits.folds and folded != sorted(splits.translated_from):
        raise InputError(path, f"folds of {', '.join(folded)}", f"of {', '.join(sorted(splits.translated_from))}")
    return splits


def _shuffled(
    modalities_of: ModalitiesOf, generator: np.random.Generator
) -> Iterable[tuple[tuple[str, ...], list[str]]]:
    """Yield the patients of each stratum in a random order, and the modalities that they have.

    Patients with a modality in common are in one stratum, whatever else each of them lacks. Those who lack the same are
    spread evenly, so that every part of the order has its share of them.
    """
    strata: list[set[str]] = []
    for modalities in modalities_of.values():
        joined = [stratum for stratum in strata if stratum & set(modalities)]
        strata = [stratum for stratum in strata if stratum not in joined] + [set(modalities).union(*joined)]
    for stratum in sorted(map(sorted, strata)):
        kinds: dict[tuple[str, ...], list[str]] = {}
        for patient, modalities in sorted(modalities_of.items()):
            if set(modalities) <= set(stratum):
                kinds.setdefault(modalities, []).append(patient)
        places = [
            ((number + 0.5) / len(patients), modalities, str(patient))
            for modalities, patients in sorted(kinds.items())
            for number, patient in enumerate(generator.permutation(patients))
        ]
        yield tuple(stratum), [patient for *_, patient in sorted(places)]


def _of(patients: list[str], modalities_of: ModalitiesOf) -> ModalitiesOf:
    return {patient: modalities_of[patient] for patient in patients}


def main() -> None:
    """Parse the command line, split, and write `splits.json`."""
    parser = argparse.ArgumentParser(description="Split the patients of scans.csv.")
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument(
        "--design", type=json.loads, required=True, help="the config's keys split, outer_folds, crossfit, …, as JSON"
    )
    parser.add_argument("--outer", type=int, default=0, help="number of the outer fold, from 0")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    splits = split_scans(index.read(arguments.scans, index.SCANS), Design(**arguments.design), arguments.outer)
    publish_json(arguments.output, asdict(splits))


if __name__ == "__main__":
    run(main)
