"""A finished run as its files record it: who is who, how patients are split, and which models there are."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from enrich import index, missing
from enrich.audit import records
from enrich.audit.check import Check, Files
from enrich.audit.records import read_json
from enrich.audit.results import Results
from enrich.config import method_of, schema
from enrich.crossfit import ALL
from enrich.splits import Splits
from gan import checkpoint
from gan.errors import InputError
from gan.files import checked
from gan.reading import read_yaml

T = TypeVar("T")
Known = dict[str, tuple[str, str]]
"""The patient whom an image is made of, and its SHA-256, by the image's real path."""


@dataclass(frozen=True)
class Model:
    """A `model.pt` of `gan.train`, and what its path says of it.

    Attributes:
        path: of the file.
        sha256: of the file.
        name: the entry of the config's `methods`.
        training: the modalities of one training, `all` or a pair or direction.
        seed: of the training.
        fit: `all`, or `fold<j>`, trained without crossfit fold j.
        network: which network it is that another training starts from; None for a translator.
        config: what its training recorded: patients, hashes of slices and of pretrained networks.
    """

    path: Path
    sha256: str
    name: str
    training: str
    seed: int
    fit: str
    network: str | None
    config: dict[str, Any]


class Split:
    """The results under one split of the patients.

    Attributes:
        folder: `results/<run>`, or one outer fold in it.
        number: of the outer fold; 0 without any.
        path: of its `splits.json`.
        who: what that says.
        results: of the run.
        found: the results of the config below `folder`, by kind.
    """

    def __init__(self, folder: Path, number: int, results: Results, files: Files) -> None:
        """Read `splits.json`, whatever it says of whom.

        Raises:
            InputError: no such file, or another one.
        """
        self.folder, self.number, self.path = folder, number, folder / "splits.json"
        self.results, self.found, self._files = results, results.of(folder), files
        self.who = Splits(**read_json(self.path, records.SPLITS))
        files.sha256(self.path)

    @property
    def segmentation(self) -> set[str]:
        """The patients who train segmenters."""
        return {*self.who.train, *self.who.watch}

    @cached_property
    def models(self) -> dict[str, Model]:
        """Every translator of the config and every network that one starts from, by SHA-256.

        Raises:
            InputError: a file that is no checkpoint.
        """
        paths = self.found["models"]
        self._files.prefetch(paths)
        found = [self._model(path) for path in paths]
        return {model.sha256: model for model in found}

    def _model(self, path: Path) -> Model:
        name, training, seed, *rest = path.relative_to(self.folder / "gan").parts[:-1]
        fits = [part for part in rest if re.fullmatch(r"fold\d+", part)]
        networks = [part for part in rest if part not in fits]
        config, number = training_of(path), int(seed.removeprefix("seed"))
        fit, network = fits[0] if fits else ALL, networks[0] if networks else None
        return Model(path, self._files.sha256(path), name, training, number, fit, network, config)

    def seen(self, model: Model) -> set[str]:
        """Return the patients whom a model, or a network that its training started from, was trained on.

        Raises:
            InputError: a network that it started from is not there, or is a leftover.
        """
        patients = set(model.config["patients"])
        for network, digest in model.config["pretrained"].items():
            if digest not in self.models:
                found = f"a start from {self.results.named('network', digest)}"
                raise InputError(model.path, found, f"its own {network}")
            patients |= self.seen(self.models[digest])
        return patients


class Study:
    """A finished run.

    Attributes:
        folder: `results/<run>`.
        config: what `config.yaml` says.
        scans: `scans.csv`.
        files: every file that was read.
        results: of the config, and the leftovers beside them.
        splits: one, or one for each outer fold.
    """

    def __init__(self, folder: Path, workers: int) -> None:
        """Read what every check needs.

        Raises:
            InputError: `config.yaml`, `scans.csv` or a `splits.json` is missing or is another file.
        """
        self.folder, self.files = folder, Files(workers)
        self._indexed: dict[Path, Known] = {}
        self._tests: dict[tuple[Path, str], set[str]] = {}
        self.config_path, self.scans_csv = folder / "config.yaml", folder / "scans.csv"
        if not self.config_path.is_file():
            raise InputError(self.config_path, "no such file", "the config that made the results")
        self.config = read_config(self.config_path)
        self.results = Results(folder, self.config, self.files)
        self.scans = index.read(self.scans_csv, index.SCANS)
        self.files.prefetch([self.config_path, self.scans_csv])
        folders = [(path, number) for number, path in enumerate(self.results.splits) if path.is_dir()]
        self.splits = [Split(path, number, self.results, self.files) for path, number in folders]
        if not self.splits:
            raise InputError(folder, "no outer fold", f"{self.config['outer_folds']} of them")

    @cached_property
    def patient_of(self) -> dict[tuple[str, str], str]:
        """The patient of each case and modality."""
        names = zip(self.scans["case"], self.scans["modality"], strict=True)
        return dict(zip(names, self.scans["patient"], strict=True))

    @cached_property
    def patients_of_case(self) -> dict[str, set[str]]:
        """The patients of each case, who should be one."""
        found = defaultdict(set)
        for (case, _), patient in self.patient_of.items():
            found[case].add(patient)
        return dict(found)

    @cached_property
    def image_sha256(self) -> dict[tuple[str, str], str]:
        """The SHA-256 of each case's image of a modality."""
        names = zip(self.scans["case"], self.scans["modality"], strict=True)
        return dict(zip(names, self.scans["image_sha256"], strict=True))

    @property
    def dropped_csv(self) -> Path:
        """Index of the scans that were dropped."""
        return self.folder / missing.DROPPED

    @cached_property
    def dropped(self) -> pd.DataFrame:
        """The scans that were dropped; none, if the config drops none.

        Raises:
            InputError: no such index, though it does.
        """
        simulated = (self.config["missing"] or {}).get("simulate")
        return index.read(self.dropped_csv, index.SCANS) if simulated else self.scans[:0]

    @cached_property
    def real(self) -> Known:
        """Every real image and label map."""
        known: Known = {}
        for row in self.scans.to_dict("records"):
            for name in ("image", "label"):
                if row[name]:
                    known[os.path.realpath(self.folder / row[name])] = (row["patient"], row[f"{name}_sha256"])
        return known

    def indexed(self, path: Path) -> Known:
        """Return the images of an index of synthetic channels or further cases.

        Raises:
            InputError: no such index, or a case that is not in `scans.csv`.
        """
        if path in self._indexed:
            return self._indexed[path]
        rows = index.read(path, index.SYNTHETIC)
        known: Known = {}
        for row in rows.to_dict("records"):
            patient = row.get("patient") or self.patient_of.get((row["case"], row["source"]))
            if patient is None:
                raise InputError(path, f"case {row['case']} {row['source']}", f"one of {self.scans_csv}")
            known[os.path.realpath(path.parent / row["image"])] = (patient, row["sha256"])
        return self._indexed.setdefault(path, known)

    def labelled_tests(self, split: Split, modality: str) -> set[str]:
        """Return the cases of a modality that test: those of the test patients that have a label."""
        if (split.folder, modality) not in self._tests:
            scans = self.scans
            tests = (scans["modality"] == modality) & (scans["label"] != "") & scans["patient"].isin(split.who.test)
            self._tests[split.folder, modality] = set(scans["case"][tests])
        return self._tests[split.folder, modality]


def read_config(path: Path) -> dict[str, Any]:
    """Read `config.yaml`.

    Raises:
        InputError: no YAML, a missing key, or a method of another version.
    """
    if path.is_file():
        checked(path)
    config = read_yaml(path, "the config that made the results")
    records.require(config, records.CONFIG, path)
    for name, entry in config["methods"].items():
        if method_of(name, entry) not in schema()["$defs"]:
            raise InputError(path, f"method {method_of(name, entry)}", "a method of this version")
    return config


def examine(check: Check, study: Study, kind: str, require: Callable[[Check, Study, Split, Path], T]) -> list[T]:
    """Return what `require` does of every result of a kind; whichever cannot be read is noted."""
    returned = []
    for split in study.splits:
        for path in split.found[kind]:
            with check.reading():
                returned.append(require(check, study, split, path))
    return returned


def training_of(path: Path) -> dict[str, Any]:
    """Return what the training of a `model.pt` recorded.

    Raises:
        InputError: the file is missing, broken or of another kind, or says nothing of its patients.
    """
    config: dict[str, Any] = checkpoint.read(path)["config"]
    records.require(config, records.GAN_TRAINING, path)
    return config


def listed(patients: Iterable[str]) -> str:
    """Return patients' ids for a message."""
    found = sorted(patients)
    return f"patient{'s' if len(found) > 1 else ''} {', '.join(found)}"
