"""What the segmenters were given: every nnU-Net dataset, file by file back to a patient."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from enrich.audit import records
from enrich.audit.check import Check
from enrich.audit.records import read_json
from enrich.audit.shares import cases_within, shares_percent
from enrich.audit.study import Known, Split, Study, examine, listed
from enrich.nnunet.dataset import FILE_ENDING
from enrich.rows import index_of, together, without_budget
from gan.errors import InputError

CHANNELS = re.compile(
    r"(?P<plain>single)|(?P<control>zero|copy|oracle)|(?P<name>.+?)(?P<cases>-cases)?-seed(?P<seed>\d+)"
)


@dataclass(frozen=True)
class Added:
    """What a data set or slice cache holds beside real scans.

    Attributes:
        kind: `synthetic` for channels, `cases` for further cases, as its provenance calls it; None for nothing.
        index: of these images; None for nothing.
    """

    kind: str | None
    index: Path | None


def added_to(folder: Path, study: Study, split: Split) -> Added:
    """Return what the name of the folder of a data set or slice cache, `<modality>/<channels>`, says is in it.

    Raises:
        InputError: a folder that no data set is written to.
    """
    found = CHANNELS.fullmatch(without_budget(folder.name))
    if found is None:
        raise InputError(folder, f"the channels {folder.name}", "those of a row of the table")
    if found["cases"]:
        made = split.folder / "cases" / found["name"] / folder.parent.name
        return Added("cases", made / f"seed{found['seed']}" / "index.csv")
    below = index_of(study.config, folder.name)
    if below is None:
        return Added(None, None)
    shared = found["control"] and below.startswith("synthetic/")
    return Added("synthetic", (study if shared else split).folder / below)


def require_provenance(
    check: Check, study: Study, split: Split, path: Path, added: Added, record: Mapping[str, str]
) -> None:
    """Require that a data set or slice cache was made of the run's scans and split, and of what is `added` to them."""
    check.require_file(study.scans_csv, record.get("scans_sha256"), path)
    check.require_file(split.path, record.get("splits_sha256"), path)
    if added.index is not None:
        check.require_file(added.index, record.get(f"{added.kind}_sha256"), path)
    elif names := {"synthetic_sha256", "cases_sha256"} & record.keys():
        check.require(False, path, f"{', '.join(names)}", "real scans only, as its folder says")


def datasets_of_training_patients(study: Study) -> Check:
    """Nothing of a test patient is in a training set."""
    claim = (
        "Every image and label map in a dataset.json is the file that scans.csv, or the index that it names by hash, "
        "has recorded; all of a case are of one patient, who trains the segmenter; the cases are those of all such "
        "patients, or of the share of them that its name says, the same in every data set of a modality, and so are "
        "the further cases; the cases to predict are of test patients; and no patient both trains and validates in a "
        "fold of nnU-Net's."
    )
    check = Check("datasets", claim, study.files)
    examine(check, study, "datasets", _require_dataset)
    return check


def _require_dataset(check: Check, study: Study, split: Split, path: Path) -> None:
    content = read_json(path, records.DATASET)
    study.files.sha256(path)
    added = added_to(path.parents[2], study, split)
    require_provenance(check, study, split, path, added, content["provenance"])
    further = {} if added.index is None else study.indexed(added.index)
    channels = added.kind == "synthetic"
    check.require(channels == (len(content["channel_names"]) > 1), path, "other channels", "those its folder names")
    study.files.prefetch(path.parent / image for case in content["dataset"].values() for image in case["images"])
    owner: dict[str, str] = {}
    for name, case in content["dataset"].items():
        paths = [path.parent / image for image in case["images"]]
        may = _may_be(paths, study, further, added)
        patients = _owners(check, path, name, [*may, (path.parent / case["label"], study.real)])
        found = f"case {name} of {listed(patients) if patients else 'nobody'}"
        check.require(len(patients) == 1, path, found, "images and label of one patient")
        tests = patients & set(split.who.test)
        check.require(not tests, path, f"case {name} of test {listed(tests)}", "none that tests")
        check.require(patients - tests <= split.segmentation, path, found, "patients who train the segmenter")
        owner[name] = min(patients, default="")
    _require_share(check, study, split, path, added, owner)
    for name in content["test_cases"]:
        count = len(content["channel_names"])
        paths = [path.parent / "imagesTs" / f"{name}_{number:04d}{FILE_ENDING}" for number in range(count)]
        patients = _owners(check, path, name, _may_be(paths, study, further, added))
        found = f"case {name} of {listed(patients) if patients else 'nobody'} to predict"
        check.require(len(patients) == 1 and patients <= set(split.who.test), path, found, "one test patient")
    _require_folds(check, path.with_name("splits_final.json"), owner)


def _may_be(paths: list[Path], study: Study, further: Known, added: Added) -> list[tuple[Path, Known]]:
    """Return the images of a case, each with those that it may be: a scan first, or all that the index names."""
    if added.kind == "synthetic" and together(study.config):
        return [(path, further) for path in paths]
    first = study.real | further if added.kind == "cases" else study.real
    return [(path, further if number else first) for number, path in enumerate(paths)]


def _owners(check: Check, dataset: Path, name: str, images: Iterable[tuple[Path, Known]]) -> set[str]:
    """Return whose images these are, after requiring that each is one of those it may be, and is the recorded file."""
    patients = set()
    for image, known in images:
        real = os.path.realpath(image)
        found = f"{os.path.relpath(real)} in case {name}"
        if check.require(real in known, dataset, found, "an image of scans.csv or of the index that it names"):
            patient, digest = known[real]
            check.require_file(image, digest, f"the index for case {name}")
            patients.add(patient)
    return patients


def _require_share(
    check: Check, study: Study, split: Split, path: Path, added: Added, owner: Mapping[str, str]
) -> None:
    """Require that a data set's cases, each of its `owner`, are those of the share in the name of its folder."""
    folder, further = path.parents[2], added.index if added.kind == "cases" else None
    filled = added.index if added.kind == "synthetic" else None
    wanted, (labels, synthetic) = cases_within(study, split, folder, further, filled), shares_percent(folder.name)
    expected = f"the cases of {labels} % of the patients who train"
    if further is not None:
        expected += f" and of {synthetic} % of {further}"
    for name in sorted({*owner, *wanted}):
        patient = listed({owner.get(name) or wanted.get(name, "")})
        held = f"case {name} of {patient}" if name in owner else f"no case {name} of {patient}"
        check.require(owner.get(name) == wanted.get(name), path, held, expected)


def _require_folds(check: Check, path: Path, owner: dict[str, str]) -> None:
    folds: list[dict[str, list[str]]] = read_json(path, records.FOLDS) if path.is_file() else []
    for number, fold in enumerate(folds):
        train, validate = ({owner.get(name, name) for name in fold[key]} for key in ("train", "val"))
        both, strangers = train & validate, (train | validate) - set(owner.values())
        check.require(not both, path, f"{listed(both)} to train and validate in fold {number}", "each on one side")
        check.require(not strangers, path, f"cases {', '.join(sorted(strangers))}", "cases of dataset.json")
