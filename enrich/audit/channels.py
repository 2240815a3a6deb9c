"""Who was translated by what: the synthetic channels, and the further cases of ADA."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from enrich import index, volume
from enrich.audit import records
from enrich.audit.check import Check
from enrich.audit.records import read_json
from enrich.audit.study import Split, Study, examine
from enrich.config import PRECOMPUTED, method_of
from enrich.crossfit import ALL, FOLD, MEAN

FIT_COLUMN = ("fit",)


@dataclass(frozen=True)
class Origin:
    """Where an index lies, and thereby what its images are.

    Attributes:
        path: of the index.
        name: the entry of `methods` that made them; of a control its own name.
        seed: of the models; None for a control.
        test: `all`, `fold` or `mean` for an index of the test patients only; None for one of everybody.
    """

    path: Path
    name: str
    seed: int | None
    test: str | None


def origin_of(path: Path) -> Origin:
    """Return what the place of an index, `synthetic/<name>[/seed<k>[-test-<fit>]]/index.csv`, says."""
    found = re.fullmatch(r"seed(\d+)(?:-test-(\w+))?", path.parent.name)
    if found is None:
        return Origin(path, path.parent.name, None, None)
    return Origin(path, path.parents[1].name, int(found[1]), found[2])


def channels_made_as_configured(study: Study) -> Check:
    """Nobody's channels come from a model that she should not have been seen by."""
    claim = (
        "Every synthetic image is the one that was indexed and lies beside a record of the models that made it; "
        "these are models on disk of its method, seed and fit, the fit is what the config and the folds say, and "
        "with crossfit, as for whoever does not train the GAN, none of them was trained on the patient whom it "
        "translated, unless she has no label and so trains no segmenter and tests nothing. In the controls it is the "
        "source again, the real scan of the target, or an empty volume. Of what was precomputed elsewhere it is not "
        "known who was seen, and nothing is claimed."
    )
    check = Check("synthetic channels", claim, study.files)
    for path in study.results.controls:
        with check.reading():
            _require_index(check, study, study.splits[0], path)
            _require_control(check, study, path)
    examine(check, study, "synthetic", _require_index)
    return check


def _require_index(check: Check, study: Study, split: Split, path: Path) -> None:
    origin = origin_of(path)
    rows = index.read(path, index.SYNTHETIC if origin.seed is None else index.SYNTHETIC + FIT_COLUMN)
    study.files.prefetch([path, *(path.parent / image for image in rows["image"])])
    for row in rows.to_dict("records"):
        with check.reading():
            _require_channel(check, study, split, origin, row)
    names = rows[["case", "source", "target"]]
    for case, source, target in names[names.duplicated()].itertuples(index=False):
        check.require(False, path, f"{case} {source} to {target} twice", "once")


def _require_channel(check: Check, study: Study, split: Split, origin: Origin, row: dict[Any, str]) -> None:
    path, image, scan = origin.path, origin.path.parent / row["image"], (row["case"], row["source"])
    if not check.require(scan in study.patient_of, path, " ".join(scan), f"a scan of {study.scans_csv}"):
        return
    patient = study.patient_of[scan]
    check.require_file(image, row["sha256"], path)
    owner, _ = study.real.get(os.path.realpath(image), (patient, ""))
    check.require(owner == patient, image, f"a scan of patient {owner}", f"one of {patient}, as {path} says")
    if origin.seed is None:
        return
    if origin.test:
        check.require(patient in split.who.test, path, f"patient {patient}", "test patients only")
    sidecar = image.with_name(image.name.replace(".nii.gz", ".json"))
    facts = read_json(sidecar, records.SIDECAR)
    study.files.sha256(sidecar)
    same = facts["source_sha256"] == study.image_sha256[scan]
    check.require(same, sidecar, f"another source of {patient}", f"as {study.scans_csv}")
    if method_of(origin.name, study.config["methods"][origin.name]) == PRECOMPUTED:
        check.require(not facts["models_sha256"], sidecar, "models of this run", "none, since it was made elsewhere")
        check.require(row["fit"] == ALL, sidecar, f"fit {row['fit']}", ALL)
        return
    made = Made(patient, row["fit"], facts["models_sha256"], fit_of(study, split, patient, origin.test))
    require_models(check, study, split, sidecar, origin.name, origin.seed, made)


def _require_control(check: Check, study: Study, path: Path) -> None:
    """Require that the images of a control are what its name says."""
    rows, kind = index.read(path, index.SYNTHETIC), path.parent.name
    if kind == "zero":
        for image in rows.drop_duplicates("sha256")["image"]:
            empty = not volume.read(path.parent / image).array.any()
            check.require(empty, path.parent / image, "a voxel that is not 0", "an empty volume")
        return
    of = {"copy": "source", "oracle": "target"}[kind]
    dropped = study.dropped[["case", "modality", "image_sha256"]].itertuples(index=False)
    known = study.image_sha256 | {(case, modality): digest for case, modality, digest in dropped}
    for case, modality, digest in rows[["case", of, "sha256"]].itertuples(index=False):
        same = digest == known.get((case, modality))
        check.require(same, path, f"another image than {case}'s {modality}", f"that of {study.scans_csv}")


def fit_of(study: Study, split: Split, patient: str, test: str | None = None) -> str:
    """Return by which fit a patient is translated, as `enrich.crossfit` has it; `test` overrides `crossfit_test`.

    Whoever is in no fold is translated by one that her id draws, as those who test are where `test` is `fold`.
    """
    who, way = split.who, test or study.config["crossfit_test"]
    number = who.fold_of(patient)
    if not who.folds:
        return ALL
    if number is None and patient in who.test and way != FOLD:
        return str(way)
    if number is None:
        number = int(np.random.default_rng(list(patient.encode())).integers(len(who.folds)))
    return f"{FOLD}{number}"


@dataclass(frozen=True)
class Made:
    """A synthetic image of a patient.

    Attributes:
        patient: who was translated.
        fit: the models, as the index says.
        models_sha256: the models, as its sidecar says.
        expected: the fit that translates her.
    """

    patient: str
    fit: str
    models_sha256: Sequence[str]
    expected: str


def require_models(check: Check, study: Study, split: Split, record: Path, name: str, seed: int, made: Made) -> None:
    """Require that `record` names models on disk, of an entry and seed and the right fit, that may translate her."""
    who, patient = split.who, made.patient
    found = f"patient {patient} translated by fit {made.fit or 'none'}"
    check.require(made.fit == made.expected, record, found, made.expected)
    check.require(bool(made.models_sha256), record, f"no model that translated patient {patient}", "their sha256")
    fits = set()
    for digest in made.models_sha256:
        model, expected = split.models.get(digest), f"one of gan/{name}/*/seed{seed}"
        if model is None:
            check.require(False, record, study.results.named("model", digest), expected)
            continue
        own = (model.name, model.seed, model.network) == (name, seed, None)
        check.require(own, record, f"the model {model.path}", expected)
        fits.add(model.fit)
        if patient not in who.unlabelled and (who.folds or patient not in who.translated_from):
            leak = f"patient {patient} translated by {model.path}, which was trained on {patient}"
            check.require(patient not in split.seen(model), record, leak, "a model that never saw the patient")
    folds = {f"fold{number}" for number in range(len(who.folds))}
    wanted = folds if made.fit == MEAN else {made.fit}
    found = f"models of {', '.join(sorted(fits)) or 'no fit'} for patient {patient}"
    check.require(fits == wanted, record, found, f"of {', '.join(sorted(wanted))}")


def cases_made_as_configured(study: Study) -> Check:
    """Further training cases are made of training patients, by models that may translate them."""
    claim = (
        "Every synthetic or reconstructed training case is the image that was indexed, is of a patient who trains "
        "the segmenter, has that patient's label map, and was made by models as that patient's synthetic channels "
        "are."
    )
    check = Check("further cases", claim, study.files)
    examine(check, study, "cases", _require_cases)
    return check


def _require_cases(check: Check, study: Study, split: Split, path: Path) -> None:
    name, seed = path.parents[2].name, int(path.parent.name.removeprefix("seed"))
    rows, record = index.read(path, index.CASES + FIT_COLUMN), path.with_name("cases.json")
    models = read_json(record, records.CASES)["models_sha256"]
    study.files.prefetch([path, record, *(path.parent / image for image in rows["image"])])
    for row in rows.to_dict("records"):
        patient, case = row["patient"], row["case"]
        check.require_file(path.parent / row["image"], row["sha256"], path)
        check.require(patient in split.segmentation, path, f"case {case} of patient {patient}", "one who trains")
        owner, digest = study.real.get(os.path.realpath(path.parent / row["label"]), ("", ""))
        found = f"case {case} of patient {patient} with the label of {owner or 'nobody'}"
        check.require(owner == patient and digest == row["label_sha256"], path, found, "her own")
        made = Made(patient, row["fit"], models.get(row["fit"], []), fit_of(study, split, patient))
        with check.reading():
            require_models(check, study, split, record, name, seed, made)
