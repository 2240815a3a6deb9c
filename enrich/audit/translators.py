"""Whom the GANs were trained on: the slice caches and every model.pt, the networks they start from included."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from enrich.audit import records
from enrich.audit.check import Check
from enrich.audit.datasets import Added, added_to, require_provenance
from enrich.audit.records import read_json
from enrich.audit.study import Model, Split, Study, examine, listed
from enrich.crossfit import ALL
from enrich.rows import labels_used
from gan.batch import FILES
from gan.reading import read_table


def caches_without_tests(study: Study) -> Check:
    """The slice caches hold nobody who tests."""
    claim = (
        "Every slice cache is complete, was cut from the scans, the split and, as its folder says, the synthetic "
        "channels of the run, names each slice's patient as scans.csv does, and holds no test patient."
    )
    check = Check("slices", claim, study.files)
    for kind in ("slices", "enriched"):
        examine(check, study, kind, _require_cache)
    return check


def _require_cache(check: Check, study: Study, split: Split, path: Path) -> None:
    folder, who = path.parent, split.who
    study.files.prefetch(folder / name for name in FILES)
    content = read_json(path, records.CACHE)
    for name in (name for name in FILES if name != path.name):
        check.require_file(folder / name, content["sha256"].get(name), path)
    translates = path in split.found["slices"]
    everyone = {*who.translated_from, *who.watch, *who.unlabelled} if translates else split.segmentation
    _require_known(check, study, folder / "index.csv", everyone, who.watch)
    added = Added(None, None) if translates else added_to(folder, study, split)
    require_provenance(check, study, split, path, added, content["provenance"])


def _require_known(check: Check, study: Study, path: Path, everyone: set[str], watch: list[str]) -> None:
    rows = read_slices(path)
    for case, patient, name in rows[["case", "patient", "set"]].drop_duplicates().itertuples(index=False):
        found = f"{name} patient {patient}, case {case}"
        check.require(patient in everyone, path, found, "only patients who may train it")
        check.require((patient in watch) == (name == "watch"), path, found, f"the set of {patient} in splits.json")
        owners = study.patients_of_case.get(case, set())
        check.require(owners == {patient}, path, found, f"{listed(owners)} as {study.scans_csv} says")


def read_slices(path: Path) -> pd.DataFrame:
    """Read the index of a slice cache.

    Raises:
        InputError: no such file, or another one.
    """
    columns = ["case", "patient", "modality", "set"]
    return read_table(path, "the index of a slice cache", dtype=str, usecols=columns)


def no_test_patient_translates(study: Study) -> Check:
    """The translators saw nobody who tests, and nobody of the fold that they were to leave out."""
    claim = (
        "Every GAN, and every network that it starts from, was trained on slices of the cache on disk, on patients "
        "who train the GAN only, and without the patients of the fold that it leaves out."
    )
    check = Check("translators", claim, study.files)
    for split in study.splits:
        with check.reading():
            for model in split.models.values():
                with check.reading():
                    _require_clean(check, study, split, model)
    return check


def _require_clean(check: Check, study: Study, split: Split, model: Model) -> None:
    who, path, seen = split.who, model.path, split.seen(model)
    held_out: list[str] = []
    if model.fit != ALL:
        number = int(model.fit.removeprefix("fold"))
        if not check.require(number < len(who.folds), path, model.fit, f"one of the {len(who.folds)} of {split.path}"):
            return
        held_out = who.folds[number]
    labels = labels_used(model.name, study.config)
    may = {*who.translated_from, *(who.unlabelled if labels == "none" else ())}
    tests, others = seen & set(who.test), seen - set(who.test) - may
    check.require(bool(seen), path, "no patient", "those who trained it")
    check.require(not tests, path, f"test {listed(tests)} in its training", "none")
    check.require(not others, path, f"{listed(others)} in its training", "only patients who train the GAN")
    leaked = seen & set(held_out)
    check.require(not leaked, path, f"{listed(leaked)} of {model.fit} in its training", "none of that fold")
    check.require(model.config["seed"] == model.seed, path, f"seed {model.config['seed']}", model.seed)
    require_slices(check, path, model.config, split.folder / "slices")
    for network, digest in model.config["pretrained"].items():
        start = split.models[digest]
        own = replace(start, path=path, sha256=model.sha256, network=None, config=model.config) == model
        check.require(own and start.network == network, path, f"a start from {start.path}", f"its own {network}")


def require_slices(check: Check, path: Path, config: dict[str, Any], cache: Path) -> None:
    """Require that a training saw the cache that is on disk, and in it the patients that it recorded."""
    for name in FILES:
        check.require_file(cache / name, config["slices"].get(name), path)
    with check.reading():
        missing = set(config["patients"]) - set(read_slices(cache / "index.csv")["patient"])
        check.require(not missing, path, f"{listed(missing)} in its training", f"patients of {cache / 'index.csv'}")
