"""Whom the segmenters were trained on: from each checkpoint, hash by hash, to the dataset."""

import re
from pathlib import Path
from typing import Any

from enrich.audit import records
from enrich.audit.check import Check
from enrich.audit.records import read_json
from enrich.audit.study import Split, Study, examine, listed, training_of
from enrich.audit.translators import require_slices
from enrich.nnunet.checkpoint import read_checkpoint
from enrich.rows import data_set


def no_test_patient_trains(study: Study) -> Check:
    """The segmenters saw nobody who tests."""
    claim = (
        "Every nnU-Net checkpoint records the hash of its preprocessed.json, which records that of its dataset.json "
        "and of every preprocessed case, all as they are on disk, and no other case lies there; it starts from no "
        "network but another such checkpoint; every other segmenter was trained on its slice cache on disk, on "
        "patients who train."
    )
    check = Check("segmenters", claim, study.files)
    study.files.prefetch(path for split in study.splits for path in split.found["checkpoints"])
    examine(check, study, "checkpoints", _require_nnunet)
    examine(check, study, "segmenters", _require_segmenter)
    return check


def _require_nnunet(check: Check, study: Study, split: Split, path: Path) -> None:
    arguments = read_arguments(path)
    settings, name, data = arguments["settings"], path.parents[2].name, path.parents[5]
    seed = path.parents[4].name
    check.require(f"seed{settings['seed']}" == seed, path, f"seed {settings['seed']}", seed)
    raw, folder = data / "raw" / name, data / "preprocessed" / name
    summary_path = folder / "preprocessed.json"
    check.require_file(summary_path, settings["preprocessed_sha256"], path)
    summary = read_json(summary_path, records.PREPROCESSED)
    plans, recorded = folder / f"{summary['plans']}.json", summary["sha256"]
    check.require_file(raw / "dataset.json", recorded.get("dataset.json"), summary_path)
    study.files.prefetch(folder / file for file in recorded)
    for file in dict.fromkeys([plans.name, "dataset.json", *recorded]):
        check.require_file(folder / file, recorded.get(file), summary_path)
    dataset = read_json(raw / "dataset.json", records.DATASET)["dataset"]
    check.require(arguments["dataset_json"]["dataset"] == dataset, path, "another dataset", raw / "dataset.json")
    fold = path.parent.name.removeprefix("fold_")
    if fold != "all":
        folds = raw / "splits_final.json"
        check.require_file(folder / folds.name, study.files.sha256(folds), folds)
    digest = settings["pretrained_sha256"]
    if digest is not None:
        labels = re.search(r"-labels\d+", data.name)
        own = Path(data.with_name(f"single{labels[0] if labels else ''}"), *path.parts[len(data.parts) :])
        starts = {study.files.sha256(checkpoint): checkpoint for checkpoint in split.found["checkpoints"]}
        found = f"a start from {starts.get(digest) or study.results.named('network', digest)}"
        check.require(starts.get(digest) == own, path, found, f"Single of its modality, labels, seed and fold: {own}")
    _require_arrays(check, summary_path, summary, dataset, plans)


def _require_arrays(check: Check, path: Path, summary: dict[str, Any], dataset: dict[str, Any], plans: Path) -> None:
    """Require the preprocessed cases of a dataset, and no other ones."""
    configuration = summary["configuration"]
    planned = read_json(plans, records.plans_of(configuration))["configurations"]
    arrays = path.parent / planned[configuration]["data_identifier"]
    recorded = {Path(name).stem for name in summary["sha256"] if Path(name).match(f"{arrays.name}/*.b2nd")}
    others = {name.removesuffix("_seg") for name in recorded} ^ dataset.keys()
    check.require(not others, path, f"other cases: {', '.join(sorted(others))}", "those of dataset.json")
    strangers = {file.stem for file in arrays.glob("*.b2nd")} - recorded
    check.require(not strangers, arrays, f"also {', '.join(sorted(strangers))}", f"only the cases of {path}")


def read_arguments(path: Path) -> dict[str, Any]:
    """Return what a checkpoint of nnU-Net's trainer says that it was made with; nothing in it is executed.

    Raises:
        InputError: the file is broken, or of another kind.
    """
    content = read_checkpoint(path)
    records.require(content, records.keys(init_args=records.NNUNET_TRAINING), path)
    arguments: dict[str, Any] = content["init_args"]
    return arguments


def _require_segmenter(check: Check, study: Study, split: Split, path: Path) -> None:
    study.files.sha256(path)
    config, (modality, channels, seed) = training_of(path), path.parts[-4:-1]
    patients = set(config["patients"])
    tests = patients & set(split.who.test)
    others = patients - tests - split.segmentation
    check.require(bool(patients), path, "no patient", "those who trained it")
    check.require(not tests, path, f"test {listed(tests)} in its training", "none")
    check.require(not others, path, f"{listed(others)} in its training", "only patients who train the segmenter")
    check.require(not config["pretrained"], path, "a start from another network", "none")
    check.require(f"seed{config['seed']}" == seed, path, f"seed {config['seed']}", seed)
    require_slices(check, path, config, split.folder / "enriched" / modality / channels)


def trained_folds(study: Study, split: Split, modality: str, channels: str, seed: str) -> dict[str, Path]:
    """Return nnU-Net's checkpoints by fold that segment a modality by some channels."""
    place = split.folder / "nnunet" / data_set(study.config, modality, channels) / seed
    found = [path for path in split.found["checkpoints"] if path.parents[4] == place]
    return {path.parent.name.removeprefix("fold_"): path for path in found}
