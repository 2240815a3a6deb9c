"""Who was scored: predictions of test cases only, every one of them, once a method and seed."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import index, structures
from enrich.audit import records
from enrich.audit.check import Check
from enrich.audit.datasets import added_to
from enrich.audit.records import read_json
from enrich.audit.segmenters import trained_folds
from enrich.audit.study import Split, Study, examine
from enrich.columns import TABLES
from enrich.crossfit import ALL
from enrich.gather import read_scores
from enrich.rows import NNUNET
from enrich.rows import rows as rows_of
from gan.errors import InputError


def every_test_case_scored_once(study: Study) -> Check:
    """The scores in the tables are of the predictions on disk, of test patients, complete."""
    claim = (
        "Every score in scores/segmentation.csv is that of a scores.csv whose predictions are the indexed files, of "
        "labelled test cases only; the methods are the rows of the config; every labelled test case of every outer "
        "fold is scored once a method and seed; and every network that the predictions need is there. Every "
        "prediction was made by the networks, and of the data set or index, whose hashes lie beside it, and every "
        "score bears the name of its row."
    )
    check = Check("scores", claim, study.files)
    tables = examine(check, study, "segmentation", _require_scores)
    with check.reading():
        _require_complete(check, study, require_gathered(check, study, "segmentation", tables))
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
    listed = [(predictions, "", predicted["case"])]
    listed += [(path, f"{structure} of ", own["case"]) for structure, own in scores.groupby("structure")]
    for where, what, cases in listed:
        times = Counter(cases)
        for case in sorted({*times, *expected}):
            name = f"{what}case {case} of patient {study.patient_of.get((case, modality), 'unknown')}"
            check.require(case in expected, where, name, f"labelled {modality} scans of test patients only")
            check.require(times[case] == 1, where, f"{name} {times[case]} times", "once")
    for case, patient in zip(scores["case"], scores["patient"], strict=True):
        owner = study.patient_of.get((case, modality))
        check.require(patient == owner, path, f"patient {patient} for case {case}", owner)
    own = (set(scores["modality"]), {f"seed{number}" for number in scores["seed"]}) == ({modality}, {seed})
    check.require(own, path, "scores of another modality or seed", f"{modality}, {seed}")
    require_made_by(check, study, predictions, *_makers(study, split, (segmenter, modality, channels, seed)))
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
        trained = trained_folds(study, split, modality, channels, seed)
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


def require_made_by(
    check: Check, study: Study, predictions: Path, networks: Sequence[Path], inputs: Sequence[Path]
) -> None:
    """Require that segmentations were made by these networks of this data set or index."""
    path = predictions.with_name(index.MADE_BY)
    record = read_json(path, records.MADE_BY)
    study.files.sha256(path)
    for what, files in (("networks", networks), ("inputs", inputs)):
        expected = sorted(map(study.files.sha256, files))
        others = [study.results.named("file", digest) for digest in record[f"{what}_sha256"] if digest not in expected]
        found, names = f"other {what}: {', '.join(others) or 'not all'}", ", ".join(map(str, files)) or "none"
        check.require(sorted(record[f"{what}_sha256"]) == expected, path, found, names)


def require_gathered(check: Check, study: Study, kind: str, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Require that the rows of `scores/<kind>.csv` are those of `tables`, which the config has; return them.

    Raises:
        InputError: no such file, or another one.
    """
    path, table = study.results.gathered[kind], TABLES[kind]
    gathered = read_scores(path, table)
    study.files.sha256(path)
    values = [name for name in (*table.integers, *table.numbers) if name not in table.keys]
    empty = pd.DataFrame(columns=[*table.keys, *values])
    known = pd.concat(tables or [empty]).set_index(table.keys).sort_index()
    found = gathered.set_index(table.keys)
    for key, row in zip(found.index, found[values].to_numpy(float), strict=True):
        name = _named(kind, key)
        if key not in known.index:
            place = _leftover_with(study, kind, key)
            check.require(False, path, f"a score of {name}{place}", f"one of what {study.config_path} has")
            continue
        same = np.allclose(row, known.loc[[key], values].to_numpy(float), rtol=1e-9, equal_nan=True)
        check.require(same, path, f"other values of {name}", "those that it was gathered from")
    times = Counter(found.index)
    for key in sorted({*times, *known.index}):
        check.require(times[key] == 1, path, f"{times[key]} scores of {_named(kind, key)}", "one")
    return gathered


def _named(kind: str, key: tuple[object, ...]) -> str:
    return f"{dict(zip(TABLES[kind].keys, key, strict=True))}"


def _leftover_with(study: Study, kind: str, key: tuple[object, ...]) -> str:
    for path in study.results.leftovers[kind]:
        if key in read_scores(path, TABLES[kind]).set_index(TABLES[kind].keys).index:
            return f" in {path}, a leftover of another config"
    return ""


def _require_complete(check: Check, study: Study, gathered: pd.DataFrame) -> None:
    path = study.results.gathered["segmentation"]
    methods, wanted = set(gathered["method"]), {row.name for row in rows_of(study.config)}
    check.require(methods == wanted, path, f"scores of {', '.join(sorted(methods))}", f"of {', '.join(sorted(wanted))}")
    modalities, seeds = study.config["modalities"], study.config["seeds"]
    expected = {
        modality: {case for split in study.splits for case in study.labelled_tests(split, modality)}
        for modality in modalities
    }
    known = structures.read(study.scans_csv).of
    by_nnunet = {row.name for row in rows_of(study.config) if row.segmenter == NNUNET}
    for method, rows in gathered.groupby("method"):
        groups = dict(list(rows.groupby(["structure", "modality", "seed"])))
        names = {
            (structure, modality, seed)
            for modality in modalities
            for structure in (known[modality] if method in by_nnunet else study.config["target"])
            for seed in seeds
        }
        found = f"structures, modalities and seeds {sorted(groups)} of {method}"
        check.require(groups.keys() == names, path, found, sorted(names))
        for (_, modality, seed), scored in groups.items():
            cases = expected.get(modality, set())
            times = Counter(scored["case"])
            for case in sorted({*times, *cases}):
                name = f"case {case} {modality} {times[case]} times by {method}, seed {seed}"
                check.require(times[case] == (case in cases), path, name, "once" if case in cases else "never")
