"""Who is one person, and in which set: of scans.csv, every splits.json, and the config."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable

from enrich.audit.check import Check
from enrich.audit.study import Study, listed
from enrich.datasets.brats import RELEASES


def _person_of_brats(case: str, release: str) -> str:
    return re.sub(f"{RELEASES[release].time}$", "", case)


def _case(case: str, _: str) -> str:
    return case


PERSONS: dict[str, Callable[[str, str], str]] = {"brats": _person_of_brats}
"""Whose scan a case is, as its name says: some data sets name the time point after the person."""


def scans_as_recorded(study: Study) -> Check:
    """The scans are those that everything was made of."""
    check = Check("scans", "Every scan and label map is the file whose hash is in scans.csv.", study.files)
    rows = study.scans.to_dict("records")
    pairs = [(row[name], row[f"{name}_sha256"]) for row in rows for name in ("image", "label") if row[name]]
    study.files.prefetch(study.folder / relative for relative, _ in pairs)
    for relative, digest in pairs:
        check.require_file(study.folder / relative, digest, study.scans_csv)
    return check


def one_person_one_set(study: Study) -> Check:
    """All scans of a person stay together."""
    claim = "All modalities and time points of a person are one patient, who is in exactly one set of every split."
    check = Check("patients", claim, study.files)
    data, scans = study.config["data"], study.scans
    person = PERSONS.get(data["reader"], _case)
    groups: dict[str, defaultdict[str, set[str]]] = {key: defaultdict(set) for key in ("person", "image")}
    for case, patient, digest in zip(scans["case"], scans["patient"], scans["image_sha256"], strict=True):
        groups["person"][person(case, data["release"])].add(patient)
        groups["image"][digest].add(patient)
    for name, patients in groups["person"].items():
        expected = f"one, since all scans named {name} are of one person"
        check.require(len(patients) == 1, study.scans_csv, listed(patients), expected)
    for digest, patients in groups["image"].items():
        expected = f"one, since they share the image of sha256 {digest[:12]}…"
        check.require(len(patients) == 1, study.scans_csv, listed(patients), expected)
    everyone, labelled = set(scans["patient"]), set(scans["patient"][scans["label"] != ""])
    for split in study.splits:
        who = split.who
        sets = {name: getattr(who, name) for name in ("train", "watch", "test", "unlabelled", "gan")}
        names = defaultdict(list)
        for name, patients in sets.items():
            for patient in patients:
                names[patient].append(name)
        for patient in sorted(everyone | names.keys()):
            found = f"patient {patient} in {' and '.join(names[patient]) or 'no set'}"
            known = patient in everyone
            check.require(len(names[patient]) == 1, split.path, found, "each patient in one set")
            check.require(known, split.path, f"patient {patient}", f"a patient of {study.scans_csv}")
            unlabelled = patient not in labelled
            expected = f"in unlabelled {'if' if unlabelled else 'only if'} no scan has a label"
            check.require(unlabelled == ("unlabelled" in names[patient]) or not known, split.path, found, expected)
    return check


def every_patient_tests_once(study: Study) -> Check:
    """Over the outer folds, everybody tests."""
    check = Check("outer folds", "Every labelled patient is a test patient of exactly one outer fold.", study.files)
    if study.config["outer_folds"]:
        times = Counter(patient for split in study.splits for patient in split.who.test)
        for patient in sorted({*study.scans["patient"][study.scans["label"] != ""], *times}):
            found = f"patient {patient} in {times[patient]} test sets"
            check.require(times[patient] == 1, study.folder / "outer*/splits.json", found, "in one")
    return check


def as_configured(study: Study) -> Check:
    """The splits are those that the config asks for."""
    claim = "The outer folds, the cross-fitting folds and the GAN's own patients are those that config.yaml asks for."
    check = Check("configuration", claim, study.files)
    config = study.config
    found, wanted = [split.folder.name for split in study.splits], config["outer_folds"]
    names = [f"outer{number}" for number in range(wanted)] or [study.folder.name]
    check.require(found == names, study.folder, f"the splits {', '.join(found)}", ", ".join(names))
    for split in study.splits:
        who = split.who
        expected = f"{config['crossfit']} as {study.config_path} says"
        check.require(len(who.folds) == config["crossfit"], split.path, f"{len(who.folds)} crossfit folds", expected)
        disjoint = config["gan_patients"] == "disjoint"
        expected = f"{'some' if disjoint else 'none'}, gan_patients being {config['gan_patients']}"
        check.require(bool(who.gan) == disjoint, split.path, f"{len(who.gan)} patients of the GAN alone", expected)
        folds = Counter(patient for fold in who.folds for patient in fold)
        for patient in sorted({*folds, *who.translated_from} if who.folds else ()):
            times = 1 if patient in who.translated_from else 0
            found_times = f"patient {patient} in {folds[patient]} crossfit folds"
            check.require(folds[patient] == times, split.path, found_times, times)
    return check
