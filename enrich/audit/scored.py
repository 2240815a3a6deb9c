"""Who was scored: predictions of test cases only, every one of them, once a method and seed."""

from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import index
from enrich.audit.check import Check
from enrich.audit.segmenters import trained_folds
from enrich.audit.study import ALL, Split, Study
from enrich.columns import SEGMENTATION
from enrich.gather import read_scores

FOUND_BY = ("nnunet/*/*/seed*/scores.csv", "segmenters/*/*/*/seed*/scores.csv")


def every_test_case_scored_once(study: Study) -> Check:
    """The scores in the tables are of the predictions on disk, of test patients, complete."""
    claim = (
        "Every score in the tables is that of a scores.csv whose predictions are the indexed files, of labelled test "
        "cases only; every labelled test case of every outer fold is scored once a method and seed; and every "
        "network that the predictions need is there."
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
    if segmenter == "nnunet":
        folds = {str(fold) for fold in study.config["nnunet"]["folds"]}
        missing = folds - trained_folds(split, modality, channels, seed)
        found = f"no checkpoint of fold {', '.join(sorted(missing))} for {modality} {channels} {seed}"
        check.require(not missing, path, found, "the networks that predicted")
    elif not path.with_name("model.pt").is_file():
        models = [model for model in split.models.values() if (model.name, f"seed{model.seed}") == (segmenter, seed)]
        found = f"no model.pt of {segmenter}, {seed}"
        check.require(any(model.fit == ALL for model in models), path, found, "the networks that predicted")
    return scores


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
