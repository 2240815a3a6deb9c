"""Who trains, who is watched and who tests: drawn once, by patient, saved, and read by everything else."""

import argparse
import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import index
from gan.errors import InputError, run
from gan.files import publish


@dataclass(frozen=True)
class Splits:
    """Disjoint patients.

    Attributes:
        train: train the GAN and the segmenter.
        watch: train the segmenter; the GAN never sees them and is watched on them.
        test: train nothing.
        unlabelled: patients of whom no scan has a label; not used.
    """

    train: list[str]
    watch: list[str]
    test: list[str]
    unlabelled: list[str]


def draw(modalities_of: dict[str, tuple[str, ...]], train: float, watch: int, seed: int) -> Splits:
    """Draw a split by patient, for each set of modalities by itself.

    Args:
        modalities_of: the modalities of every patient.
        train: fraction of the patients that train, those who are watched included.
        watch: patients of each set of modalities that are watched.
        seed: of the draw; the order of `modalities_of` does not matter.

    Raises:
        InputError: too few patients for one to train and one to test, beside the watched ones.
    """
    strata = defaultdict(list)
    for patient in sorted(modalities_of):
        strata[modalities_of[patient]].append(patient)
    generator = np.random.default_rng(seed)
    splits = Splits([], [], [], [])
    for modalities, patients in sorted(strata.items()):
        training = round(len(patients) * train)
        if training - watch < 1 or training == len(patients):
            raise InputError(
                f"split of the patients with {' and '.join(modalities)}",
                f"{len(patients)} patients, {training} of whom train, {watch} of these watched",
                "at least one to train unwatched and one to test",
            )
        order = [str(patient) for patient in generator.permutation(patients)]
        splits.watch.extend(order[:watch])
        splits.train.extend(order[watch:training])
        splits.test.extend(order[training:])
    return splits


def read_user_split(path: Path, patients: set[str]) -> Splits:
    """Read the user's own CSV with the columns patient and set.

    Raises:
        InputError: a patient in two sets, unknown, or missing; an unknown set; no one to train or to test.
    """
    if not path.is_file():
        raise InputError(path, "no such file", "a CSV with the columns patient and set")
    try:
        rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise InputError(path, "an unreadable file", "a CSV with the columns patient and set") from error
    if list(rows.columns) != ["patient", "set"]:
        raise InputError(path, f"the columns {', '.join(rows.columns)}", "patient, set")
    splits = Splits([], [], [], [])
    seen: dict[str, str] = {}
    for patient, name in rows.itertuples(index=False):
        if name not in ("train", "watch", "test"):
            raise InputError(path, f"set {name} of patient {patient}", "train, watch or test")
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


def split_scans(scans: pd.DataFrame, settings: dict[str, float] | str) -> Splits:
    """Split the labelled patients of `scans.csv`, as drawn or as the user's CSV says.

    Raises:
        InputError: a modality that no one trains or no one tests.
    """
    labelled = scans[scans["label"] != ""]
    modalities_of = {
        str(patient): tuple(sorted(set(rows["modality"]))) for patient, rows in labelled.groupby("patient", sort=True)
    }
    if isinstance(settings, str):
        splits = read_user_split(Path(settings), set(modalities_of))
    else:
        splits = draw(modalities_of, settings["train"], int(settings["watch"]), int(settings["seed"]))
    splits.unlabelled.extend(sorted(set(scans["patient"]) - modalities_of.keys()))
    for modality, rows in labelled.groupby("modality"):
        for name, patients in (("train", splits.train), ("test", splits.test)):
            if not set(patients) & set(rows["patient"]):
                raise InputError("split", f"no patient with a labelled {modality} scan to {name}", "at least one")
    return splits


def read(path: Path) -> Splits:
    """Read `splits.json`.

    Raises:
        InputError: no such file, another one, or a patient in two sets.
    """
    try:
        splits = Splits(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(path, "no readable file", "splits.json as enrich.splits writes it") from error
    sets = [splits.train, splits.watch, splits.test, splits.unlabelled]
    everyone = [patient for patients in sets for patient in patients]
    if twice := sorted({patient for patient in everyone if everyone.count(patient) > 1}):
        raise InputError(path, f"{', '.join(twice)} in two sets", "each patient once")
    return splits


def main() -> None:
    """Parse the command line, split, and write `splits.json`."""
    parser = argparse.ArgumentParser(description="Split the patients of scans.csv.")
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--settings", type=json.loads, required=True, help="the config's key split, as JSON")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    splits = split_scans(index.read(arguments.scans, index.SCANS), arguments.settings)
    with publish(arguments.output) as temporary:
        temporary.write_text(json.dumps(asdict(splits), indent=2) + "\n")


if __name__ == "__main__":
    run(main)
