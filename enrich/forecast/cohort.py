"""Who is in a study, how many scans each of its steps has to do with, and a few of them for its miniature."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from enrich.config import Config
from enrich.correction import Correction
from enrich.datasets import scans as read_scans
from enrich.phantom import LAYOUTS, parse
from enrich.prepare import choose, prepare, select, write
from enrich.scan import Scan
from enrich.splits import Design, split_scans

Patients = Sequence[tuple[str, str, str]]
"""The patient, the modality and the label, or nothing, of every scan."""

FEW = 4  # patients with the same modalities: two train, one of whom is watched, and two test
LAYOUT_OF_CT = {"ct": "ct_patients", "t1": "mr_patients", "t2": "mr_patients"}


@dataclass(frozen=True)
class Counts:
    """Scans by modality.

    Attributes:
        scans: all.
        slices: those that are cut into slices.
        gan: those that train a GAN which reads no labels.
        labelled: those that train a GAN which does.
        training: those that train a segmenter.
        testing: those that test.
    """

    scans: Counter[str]
    slices: Counter[str]
    gan: Counter[str]
    labelled: Counter[str]
    training: Counter[str]
    testing: Counter[str]


def scans_of(config: Config) -> list[Scan]:
    """Return the scans of a study's modalities, no voxel read; none for a phantom, which is not written yet."""
    data = config["data"]
    if data["phantom"] is not None:
        return []
    options = {"release": data["release"], "structures": data["structures"]}
    folder = Path(data["folder"])
    return select(list(read_scans(data["reader"], folder, **options)), config["modalities"], folder)


def patients_of(config: Config, scans: Sequence[Scan]) -> Patients:
    """Return the patients of a study, of a phantom those that will be written."""
    data = config["data"]
    if data["phantom"] is None:
        known = ("", "known")
        return [(scan.patient, scan.modality, known[scan.labelled]) for scan in scans]
    settings = asdict(parse(data["reader"], data["phantom"]))
    keys = {name: LAYOUT_OF_CT[name] if data["reader"] == "chaos" else "patients" for name in config["modalities"]}
    return [(f"{key}{number}", name, "drawn") for name, key in keys.items() for number in range(settings[key])]


def count(config: Config, patients: Patients) -> Counts:
    """Count the scans of every kind, in the first fold if there are several.

    Raises:
        InputError: what dividing the patients raises.
    """
    keys = ("split", "outer_folds", "crossfit", "gan_patients")
    table = pd.DataFrame(patients, columns=["patient", "modality", "label"])
    splits = split_scans(table, Design(**{key: config[key] for key in keys}))
    gan = splits.translated_from
    if splits.folds:
        gan = [patient for patients_of_fold in splits.folds[1:] for patient in patients_of_fold]

    labelled = table[table["label"] != ""]

    def by_modality(scans: pd.DataFrame, *groups: Sequence[str]) -> Counter[str]:
        return Counter(scans.loc[scans["patient"].isin([name for names in groups for name in names]), "modality"])

    return Counts(
        scans=Counter(table["modality"]),
        slices=by_modality(table, splits.translated_from, splits.unlabelled, splits.watch),
        gan=by_modality(table, gan, splits.unlabelled),
        labelled=by_modality(labelled, gan),
        training=by_modality(labelled, splits.train, splits.watch),
        testing=by_modality(labelled, splits.test),
    )


def few(config: Config, scans: Sequence[Scan], folder: Path, workers: int) -> tuple[Config, float]:
    """Return the data of a study's miniature, and the seconds that one core takes to prepare a scan of the study.

    A phantom of few patients is left to the miniature's workflow, and no time is known. Of real scans those of a few
    labelled patients are prepared in `folder`, from where the miniature reads them as a table, with the structures that
    all its modalities have. Timed is one scan of each modality, in this process; a filter may use more cores than one.

    Raises:
        InputError: whatever reading a scan raises.
    """
    data = config["data"]
    if data["phantom"] is not None:
        fewer = {key: FEW for key in LAYOUTS[data["reader"]].settings().smallest() if key.endswith("patients")}
        return data | {"phantom": data["phantom"] | fewer}, 0.0
    chosen = _spread([scan for scan in scans if scan.labelled])
    shared = [set(scan.structures) for scan in chosen]
    wanted = [name for name in config["structures"] or chosen[0].structures if all(name in own for own in shared)]
    structures = choose(chosen, config["target"], wanted)
    correction = Correction(**config["correction"])
    write(chosen, structures, folder / "scans.csv", workers, correction)
    timed, one_of_each = folder / "timed", list({scan.modality: scan for scan in chosen}.values())
    timed.mkdir()
    wall_s, core_s = time.perf_counter(), time.process_time()
    prepare(one_of_each, structures, timed, 1, correction)
    seconds = max(time.perf_counter() - wall_s, time.process_time() - core_s) / len(one_of_each)
    table = pd.read_csv(folder / "scans.csv", dtype=str, keep_default_na=False)
    table[["case", "modality", "image", "label", "patient"]].to_csv(folder / "table.csv", index=False)
    known = {name: list(values) for name, values in structures.of[chosen[0].modality].items()}
    of_table = {"reader": "table", "release": None, "folder": str(folder / "table.csv"), "structures": known}
    return data | of_table, seconds


def _spread(scans: Sequence[Scan]) -> list[Scan]:
    """Return the scans of a few patients of each kind, spread over all of them; a kind is the modalities one has."""
    modalities: dict[str, set[str]] = {}
    for scan in scans:
        modalities.setdefault(scan.patient, set()).add(scan.modality)
    kinds: dict[frozenset[str], list[str]] = {}
    for patient, own in modalities.items():
        kinds.setdefault(frozenset(own), []).append(patient)
    chosen = {
        patients[place]
        for patients in kinds.values()
        for place in np.linspace(0, len(patients) - 1, min(FEW, len(patients))).round().astype(int)
    }
    return [scan for scan in scans if scan.patient in chosen]
