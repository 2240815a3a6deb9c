"""Pack a row of a run's tables into a bundle: translators, nnU-Net, and what preparing a scan needs.

`python -m enrich.export results/<run> METHOD --output bundle/` writes what `enrich.predict` reads.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from enrich import bundle, index, splits, structures, unlike, volume
from enrich.audit.study import read_config
from enrich.config import Config, facts, method_of
from enrich.crossfit import ALL, FOLD
from enrich.datasets import brats, chaos, msd
from enrich.datasets import scans as read_scans
from enrich.modality import is_ct
from enrich.model_card import Trained, card
from enrich.nnunet import weights
from enrich.nnunet.plans import model_folder
from enrich.rows import NNUNET, Row, data_set, index_of, rows
from enrich.scan import Structures as Values
from gan import checkpoint
from gan.errors import InputError, run
from gan.files import checked, digests, publish_folder, publish_json
from gan.scope import Scope
from gan.weights import SUFFIX

KINDS = {"zero": "zero", "copy": "copied"}


def export(results: Path, method: str, seed: int, outer: int | None, folder: Path) -> None:
    """Write a bundle.

    Args:
        results: `results/<run>`.
        method: a row of its tables that nnU-Net segments.
        seed: of the models.
        outer: number of the outer fold; None for a run without any.
        folder: empty.

    Raises:
        InputError: no such run, row, seed or fold, a row that another patient cannot have, or a model that is missing.
    """
    config = read_config(results / "config.yaml")
    row = _row(config, method, results)
    split = results / f"outer{outer}" if config["outer_folds"] and outer is not None else results
    if bool(config["outer_folds"]) != (outer is not None) or not (split / "splits.json").is_file():
        folds = f"an outer fold below {config['outer_folds']}" if config["outer_folds"] else "none"
        raise InputError("--outer", "none" if outer is None else outer, folds)
    if seed not in config["seeds"]:
        raise InputError("--seed", seed, f"one of {', '.join(map(str, config['seeds']))}")
    models = dict(_models(config, row, split, seed))
    translators = {fit: [_translator(path, fit, folder) for path in paths] for fit, paths in models.items()}
    datasets = {}
    for modality in config["modalities"]:
        data = data_set(config, modality, row.channels(seed))
        datasets[modality] = split / "nnunet" / data / "raw/Dataset001_enriched/dataset.json"
        target = folder / "nnunet" / ("pooled" if data.startswith("pooled/") else modality)
        if not target.exists():
            model = split / "nnunet" / data / f"seed{seed}/results/Dataset001_enriched" / model_folder(config["nnunet"])
            found = [model / f"fold_{fold}" / "checkpoint_final.pth" for fold in config["nnunet"]["folds"]]
            weights.export(found, target)
    who, scans_csv = splits.read(split / "splits.json"), results / "scans.csv"
    checked(scans_csv.with_name(structures.FILE))
    added = index_of(config, row.channels(seed)) is not None
    told: dict[str, Any] = {
        "format": bundle.FORMAT,
        "run": config["run"],
        "method": row.name,
        "title": row.title,
        "seed": seed,
        "outer": outer,
        "modalities": config["modalities"],
        "target": config["target"],
        "kind": KINDS.get(row.name, "synthetic") if added else "",
        "together": any((folder / "nnunet" / "pooled").glob("*")),
        "missing": None if config["missing"] is None else {"source": config["missing"]["source"]},
        "test_fit": config["crossfit_test"] if config["crossfit"] else ALL,
        "translators": translators,
        "image_size": config["image_size"],
        "intensity": config["intensity"],
        "correction": config["correction"],
        "mirroring": config["nnunet"]["mirroring"],
        "structures": json.loads(scans_csv.with_name(structures.FILE).read_text()),
        "label_values": label_values(config, results),
        "training": dict(_training(scans_csv, {*who.train, *who.watch}, config["modalities"])),
    }
    trained = Trained(folder, datasets, [path for paths in models.values() for _, path in paths])
    (folder / "README.md").write_text(card(results, config, row, who, told, trained))
    told["files"] = digests(folder)
    publish_json(folder / bundle.FILE, told)


def label_values(config: Config, results: Path) -> dict[str, Values]:
    """Return the values that make up each structure, by modality, in the files of the data set that trained.

    Raises:
        InputError: the raw data set is not there any more, whose own `dataset.json` alone says it.
    """
    data = config["data"]
    known: dict[str, Values]
    if data["reader"] == "brats":
        rules = brats.RELEASES[data["release"]]
        values = {
            name: tuple(value for value, kept in rules.labels.items() if kept in own)
            for name, own in rules.structures.items()
        }
        known = dict.fromkeys(config["modalities"], values)
    elif data["reader"] == "chaos":
        known = {name: chaos.CT_STRUCTURES if is_ct(name) else chaos.MR_STRUCTURES for name in config["modalities"]}
    elif data["reader"] == "msd":
        known = dict.fromkeys(config["modalities"], msd.STRUCTURES)
    elif data["reader"] == "table":
        values = {name: tuple(own) for name, own in data["structures"].items()}
        known = dict.fromkeys(config["modalities"], values)
    else:
        known = {scan.modality: scan.structures for scan in read_scans(data["reader"], Path(data["folder"]))}
    for modality, chosen in structures.read(results / "scans.csv").of.items():
        if structures.parts(known[modality], list(chosen))[1] != chosen:
            raise InputError(results / structures.FILE, chosen, f"what {dict(known[modality])} in {modality} become")
    return {modality: known[modality] for modality in config["modalities"]}


def _row(config: Config, method: str, results: Path) -> Row:
    known = {row.name: row for row in rows(config)}
    if method not in known:
        raise InputError(f"{results}: {method}", "no row of its tables", f"one of {', '.join(known)}")
    row = known[method]
    if row.segmenter != NNUNET:
        raise InputError(f"{results}: {method}", f"a row that {row.segmenter} segments", "one of nnU-Net")
    if row.name == "oracle" or (row.translator and "scope" not in facts(_method(config, row.translator))):
        expected = "a row whose channels can be made of the next patient's scans"
        raise InputError(f"{results}: {method}", "channels that were given", expected)
    return row


def _method(config: Config, name: str) -> str:
    return method_of(name, config["methods"][name])


def _models(config: Config, row: Row, split: Path, seed: int) -> Iterator[tuple[str, list[tuple[str, Path]]]]:
    """Yield the models that translate the next patient by fit: (training, `model.pt`) each."""
    if row.translator is None or row.use == "cases":
        return
    folds = [f"{FOLD}{number}" for number in range(config["crossfit"])]
    fits = folds if folds and config["crossfit_test"] != ALL else [ALL]
    trainings = Scope(facts(_method(config, row.translator))["scope"]).trainings(config["modalities"])
    for fit in fits:
        folder = Path(f"seed{seed}") / ("" if fit == ALL else fit)
        yield fit, [(name, split / "gan" / row.translator / name / folder / "model.pt") for name in trainings]


def _translator(found: tuple[str, Path], fit: str, folder: Path) -> str:
    """Write a translator's weights; return their path in the bundle."""
    name, path = found
    output = folder / "gan" / fit / f"{name}{SUFFIX}"
    output.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.save_weights(checkpoint.load(path), output)
    return output.relative_to(folder).as_posix()


def _training(scans_csv: Path, patients: set[str], modalities: list[str]) -> Iterator[tuple[str, unlike.Facts]]:
    """Yield what the training scans of each modality are like."""
    scans = index.read(scans_csv, index.SCANS)
    scans = scans[scans["patient"].isin(patients)]
    for modality in modalities:
        own = scans[scans["modality"] == modality].to_dict("records")
        paths = [index.file_of(scans_csv, row["image"], row["image_sha256"]) for row in own]
        described = (unlike.describe(volume.read(path), modality, path) for path in paths)
        yield modality, unlike.summarize(described, modality)


def main() -> None:
    """Parse the command line and publish the bundle."""
    parser = argparse.ArgumentParser(prog="python -m enrich.export", description=__doc__)
    parser.add_argument("run", type=Path, help="results/<run>")
    parser.add_argument("method", help="a row of its tables")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--outer", type=int, help="outer fold, of a run that has them")
    parser.add_argument("--output", type=Path, required=True, help="folder of the bundle; replaced if it is one")
    arguments = parser.parse_args()
    with publish_folder(arguments.output) as folder:
        export(arguments.run, arguments.method, arguments.seed, arguments.outer, folder)


if __name__ == "__main__":
    run(main)
