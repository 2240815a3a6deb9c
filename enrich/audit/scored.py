"""Who was scored: predictions of test cases only, every one of them, once a method and seed."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import index
from enrich.audit.check import Check
from enrich.audit.datasets import added_to
from enrich.audit.segmenters import trained_folds
from enrich.audit.study import ALL, Split, Study, read_json
from enrich.columns import SEGMENTATION
from enrich.gather import read_scores
from enrich.rows import rows as rows_of
from gan.errors import InputError

FOUND_BY = ("nnunet/*/*/seed*/scores.csv", "segmenters/*/*/*/seed*/scores.csv")


def every_test_case_scored_once(study: Study) -> Check:
    """The scores in the tables are of the predictions on disk, of test patients, complete."""
    claim = (
        "Every score in the tables is that of a scores.csv whose predictions are the indexed files, of labelled test "
        "cases only; every labelled test case of every outer fold is scored once a method and seed; and every "
        "network that the predictions need is there. Every prediction and every segmented translation was made by the "
        "networks, and of the data set or index, whose hashes lie beside it, and bears the name of its row."
    )
    check = Check("scores", claim, study.files)
    tables = []
    for split in study.splits:
        for path in sorted(found for pattern in FOUND_BY for found in split.folder.glob(pattern)):
            with check.reading():
                tables.append(_require_scores(check, study, split, path))
    with check.reading():
        _require_gathered(check, study, tables)
    for split in study.splits:
        for path in sorted(split.folder.glob("translations/**/index.csv")):
            with check.reading():
                _require_translated(check, study, split, path)
    with check.reading():
        _require_translations(check, study)
    return check


def _require_scores(check: Check, study: Study, split: Split, path: Path) -> pd.DataFrame:
    segmenter, modality, channels, seed = path.relative_to(split.folder).parts[-5:-1]
    scores = read_scores(path)
    study.files.sha256(path)
    expected = study.labelled_tests(split, modality)
    predictions = path.parent / "predictions" / "index.csv"
    predicted = index.read(predictions, index.PREDICTIONS)
    study.files.prefetch([predictions, *(predictions.parent / image for image in predicted["image"])])
    for image, digest in zip(predicted["image"], predicted["sha256"], strict=True):
        check.require_file(predictions.parent / image, digest, predictions)
    for where, cases in ((predictions, predicted["case"]), (path, scores["case"])):
        times = Counter(cases)
        for case in sorted({*times, *expected}):
            name = f"case {case} of patient {study.patient_of.get((case, modality), 'unknown')}"
            check.require(case in expected, where, name, f"labelled {modality} scans of test patients only")
            check.require(times[case] == 1, where, f"{name} {times[case]} times", "once")
    for case, patient in zip(scores["case"], scores["patient"], strict=True):
        owner = study.patient_of.get((case, modality))
        check.require(patient == owner, path, f"patient {patient} for case {case}", owner)
    own = (set(scores["modality"]), {f"seed{number}" for number in scores["seed"]}) == ({modality}, {seed})
    check.require(own, path, "scores of another modality or seed", f"{modality}, {seed}")
    _require_made_by(check, predictions, *_makers(study, split, (segmenter, modality, channels, seed)))
    names = {
        row.name
        for row in rows_of(study.config)
        if (row.segmenter, row.channels(int(seed[4:]))) == (segmenter, channels)
    }
    named = set(scores["method"])
    check.require(named <= names, path, f"method {', '.join(sorted(named - names))}", ", ".join(sorted(names)))
    return scores


def _makers(study: Study, split: Split, place: tuple[str, str, str, str]) -> tuple[list[Path], list[Path]]:
    """Return the networks and the data set or index that make the predictions of a segmenter, modality, channels, seed.

    Raises:
        InputError: a network that is not there.
    """
    segmenter, modality, channels, seed = place
    if segmenter == "nnunet":
        folds = [str(fold) for fold in study.config["nnunet"]["folds"]]
        trained = trained_folds(split, modality, channels, seed)
        if missing := [fold for fold in folds if fold not in trained]:
            found = f"no checkpoint of fold {', '.join(missing)} for {modality} {channels} {seed}"
            raise InputError(split.folder / "nnunet", found, "the networks that predicted")
        data = "single" if channels == "pooled" else channels
        raw = split.folder / "nnunet" / modality / data / "raw"
        return [trained[fold] for fold in folds], sorted(raw.glob("*/dataset.json"))
    own = split.folder / "segmenters" / segmenter / modality / channels / seed / "model.pt"
    wanted = (segmenter, seed, ALL, None)
    models = [own] if own.is_file() else []
    models = models or [
        model.path
        for model in split.models.values()
        if (model.name, f"seed{model.seed}", model.fit, model.network) == wanted
    ]
    if not models:
        raise InputError(own, f"no model.pt of {segmenter}, {seed}", "the networks that predicted")
    added = added_to(split.folder / "nnunet" / modality / channels, study, split)
    return models, [] if added.index is None else [added.index]


def _require_made_by(check: Check, predictions: Path, networks: list[Path], inputs: list[Path]) -> None:
    """Require that segmentations were made by these networks of this data set or index."""
    path = predictions.with_name(index.MADE_BY)
    record = read_json(path)
    check.files.sha256(path)
    for key, files in (("networks_sha256", networks), ("inputs_sha256", inputs)):
        found, expected = sorted(record.get(key, [])), sorted(map(check.files.sha256, files))
        names = ", ".join(map(str, files)) or "none"
        check.require(found == expected, path, f"another {key}", f"that of {names}")


def _require_gathered(check: Check, study: Study, tables: list[pd.DataFrame]) -> None:
    path = study.folder / "scores" / "segmentation.csv"
    gathered = read_scores(path)
    study.files.sha256(path)
    known = (
        pd.concat(tables).set_index(SEGMENTATION.keys).sort_index()
        if tables
        else pd.DataFrame(columns=SEGMENTATION.numbers)
    )
    found = gathered.set_index(SEGMENTATION.keys)
    for key, row in zip(found.index, found[SEGMENTATION.numbers].to_numpy(float), strict=True):
        name = f"{dict(zip(SEGMENTATION.keys, key, strict=True))}"
        if check.require(key in known.index, path, f"a score of {name}", "one of a scores.csv below"):
            same = np.allclose(row, known.loc[[key], SEGMENTATION.numbers].to_numpy(float), rtol=1e-9, equal_nan=True)
            check.require(same, path, f"other values of {name}", "those of its scores.csv")
    modalities, seeds = study.config["modalities"], study.config["seeds"]
    expected = {
        modality: {case for split in study.splits for case in study.labelled_tests(split, modality)}
        for modality in modalities
    }
    for method, rows in gathered.groupby("method"):
        groups = dict(list(rows.groupby(["modality", "seed"])))
        names = {(modality, seed) for modality in modalities for seed in seeds}
        check.require(groups.keys() == names, path, f"modalities and seeds {sorted(groups)} of {method}", sorted(names))
        for (modality, seed), scored in groups.items():
            cases = expected.get(modality, set())
            times = Counter(scored["case"])
            for case in sorted({*times, *cases}):
                name = f"case {case} {modality} {times[case]} times by {method}, seed {seed}"
                check.require(times[case] == (case in cases), path, name, "once" if case in cases else "never")


def _require_translated(check: Check, study: Study, split: Split, path: Path) -> None:
    rows = index.read(path, index.SEGMENTED)
    method, seed, *test, modality = path.relative_to(split.folder / "translations").parts[:-1]
    folds = trained_folds(split, modality, "single", seed)
    networks = [folds[str(fold)] for fold in study.config["nnunet"]["folds"] if str(fold) in folds]
    used = not study.config["crossfit"] or study.config["crossfit_test"] in test
    made = split.folder / "synthetic" / method / (seed if used else f"{seed}-test-{''.join(test)}") / "index.csv"
    _require_made_by(check, path, networks, [made] if test else [])
    study.files.prefetch([path, *(path.parent / image for image in rows["image"])])
    tested = {source: study.labelled_tests(split, source) for source in set(rows["source"])}
    for case, source, image, digest in rows[[*index.SEGMENTED]].itertuples(index=False):
        check.require_file(path.parent / image, digest, path)
        found = f"case {case} {source} of patient {study.patient_of.get((case, source), 'unknown')}"
        check.require(case in tested[source], path, found, "labelled scans of test patients only")


def _require_translations(check: Check, study: Study) -> None:
    path = study.folder / "scores" / "translation.csv"
    if not path.is_file():
        return
    rows = index.read(path, ("patient", "case", "source", "target", "method", "seed", "fit"))
    study.files.sha256(path)
    tests = {patient for split in study.splits for patient in split.who.test}
    for case, source, patient in rows[["case", "source", "patient"]].drop_duplicates().itertuples(index=False):
        owner = study.patient_of.get((case, source))
        check.require(patient == owner, path, f"patient {patient} for case {case}", owner)
        check.require(patient in tests, path, f"patient {patient}", "test patients only")
