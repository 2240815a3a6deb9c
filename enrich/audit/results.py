"""Where the results of a run's config lie, and what else lies there: the leftovers of other configs."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from itertools import product
from pathlib import Path

from enrich.audit.check import Files
from enrich.columns import CEILING, FLOOR, TABLES
from enrich.config import Config, facts, method_of
from enrich.controls import KINDS as FILLED
from enrich.crossfit import ALL, FOLD, MEAN
from enrich.nnunet.plans import model_folder
from enrich.rows import NNUNET, data_set, folder_for_tests, index_of, rows
from gan.scope import Scope

EVERYWHERE = (
    ("slices", "slices/slices.json"),
    ("models", "gan/**/model.pt"),
    ("synthetic", "synthetic/**/index.csv"),
    ("filled", "filled/**/index.csv"),
    ("cases", "cases/**/index.csv"),
    ("datasets", "nnunet/*/*/raw/*/dataset.json"),
    ("checkpoints", "nnunet/*/*/seed*/results/*/*/fold_*/checkpoint_final.pth"),
    ("enriched", "enriched/*/*/slices.json"),
    ("segmenters", "segmenters/**/model.pt"),
    ("segmented", "translations/**/index.csv"),
    ("segmentation", "nnunet/**/scores.csv"),
    ("segmentation", "segmenters/**/scores.csv"),
    ("translation", "translations/**/scores.csv"),
    ("distribution", "translations/**/distances.csv"),
    ("gathered", "scores/*.csv"),
)
"""Kind and place of the results that the audit looks for below a run, or an outer fold, of whatever config."""


class Results:
    """The results below a run.

    Attributes:
        splits: folders of the splits of the config, by the number of the outer fold; one of them without outer folds.
        controls: indexes of what stands in the place of synthetic channels, which all splits share.
        gathered: the tables of scores that the config has, by kind, whether they are there or not.
        leftovers: every other result, by kind; nothing of the config may be made with one.
    """

    def __init__(self, folder: Path, config: Config, files: Files) -> None:
        """Look for the results of `config` below `folder`; nothing is read."""
        self._files = files
        self.splits = [folder / f"outer{number}" for number in range(config["outer_folds"])] or [folder]
        self._places = places = dict.fromkeys([*_of_translators(config), *_of_rows(config)])
        self._of_split = {split: _found(split, places) for split in self.splits}
        controls = [folder / "synthetic" / name / "index.csv" for name in config["controls"] if name in FILLED]
        self.controls = [path for path in controls if path.is_file()]
        kinds = {kind for kind, _ in places}
        self.gathered = {kind: folder / "scores" / f"{kind}.csv" for kind in TABLES if kind in kinds}
        own = {
            *self.controls,
            *self.gathered.values(),
            *(path for found in self._of_split.values() for paths in found.values() for path in paths),
        }
        everything = [_found(where, EVERYWHERE) for where in (folder, *sorted(folder.glob("outer*")))]
        self.leftovers = {
            kind: [path for found in everything for path in found[kind] if path not in own] for kind in dict(EVERYWHERE)
        }

    def of(self, split: Path) -> dict[str, list[Path]]:
        """Return the results of the config in the folder of a split, sorted, by kind."""
        return self._of_split[split]

    def missing(self, split: Path, kind: str) -> list[Path]:
        """Return the results that the config has in the folder of a split and are not there, of a kind without `*`."""
        wanted = [split / place for other, place in self._places if other == kind]
        return [path for path in wanted if not path.is_file()]

    def named(self, what: str, digest: object) -> str:
        """Return how to call a file, such as a model, whose SHA-256 is that of no result of the config."""
        if leftover := self._leftover_of.get(digest):
            return f"the {what} {leftover}, a leftover of another config"
        return f"a {what} of sha256 {str(digest)[:12]}…"

    @property
    def all_leftovers(self) -> list[Path]:
        """The leftovers of all kinds."""
        return [path for found in self.leftovers.values() for path in found]

    @cached_property
    def _leftover_of(self) -> dict[object, Path]:
        self._files.prefetch(self.all_leftovers)
        return {self._files.sha256(path): path for path in self.all_leftovers}


def _found(folder: Path, places: Iterable[tuple[str, str]]) -> dict[str, list[Path]]:
    found: dict[str, set[Path]] = {kind: set() for kind, _ in EVERYWHERE}
    for kind, glob in places:
        found[kind].update(folder.glob(glob))
    return {kind: sorted(paths) for kind, paths in found.items()}


def _of_translators(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the kind and place of what is made by, and of, the translators of a config, below every split."""
    folds = [f"{FOLD}{number}" for number in range(config["crossfit"])]
    tests = [ALL, FOLD, MEAN] if folds else [ALL]
    fits = ["", *(f"{fold}/" for fold in folds)]
    about = {name: facts(method_of(name, entry)) for name, entry in config["methods"].items()}
    translators = {name: found for name, found in about.items() if found.get("translates", True)}
    for (name, found), seed in product(translators.items(), config["seeds"]):
        networks = ["", *(f"{network}/" for network in found.get("pretrained", {}))]
        trainings = Scope(found["scope"]).trainings(config["modalities"]) if "scope" in found else {}
        if trainings:
            yield "slices", "slices/slices.json"
        for training, fit, network in product(trainings, fits, networks):
            yield "models", f"gan/{name}/{training}/seed{seed}/{fit}{network}model.pt"
        for test in tests:
            yield "synthetic", f"synthetic/{name}/{folder_for_tests(config, f'seed{seed}', test)}/index.csv"
        of_tests = [f"translations/{name}/seed{seed}/{test}" for test in tests]
        floor, ceiling = (f"translations/{bound}/seed{seed}" for bound in (FLOOR, CEILING))
        for folder, modality in product([*of_tests, floor], config["modalities"]):
            yield "segmented", f"{folder}/{modality}/index.csv"
        for folder in (*of_tests, floor, ceiling):
            yield "translation", f"{folder}/scores.csv"
        for folder in (*of_tests, floor):
            yield "distribution", f"{folder}/distances.csv"


def _of_rows(config: Config) -> Iterator[tuple[str, str]]:
    """Yield the kind and place of what the rows of a config are made with, below every split.

    Single is there with every row of nnU-Net, under its share of labels: it is tuned, or segments translations.
    """
    nnunet = config["nnunet"]
    model = model_folder(nnunet)
    for row, modality, seed in product(rows(config), config["modalities"], config["seeds"]):
        channels, folder = row.channels(seed), row.folder(modality, seed)
        yield "segmentation", f"{folder}/scores.csv"
        if (added := index_of(config, channels)) and added.startswith("filled/"):
            yield "filled", added
        if row.use == "cases":
            yield "cases", f"cases/{row.translator}/{modality}/seed{seed}/index.csv"
        if row.segmenter != NNUNET:
            yield "segmenters", f"{folder}/model.pt"
            yield "enriched", f"enriched/{modality}/{channels}/slices.json"
            continue
        for name in (channels, replace(row, name="single", translator=None).channels(seed)):
            data = f"nnunet/{data_set(config, modality, name)}"
            yield "datasets", f"{data}/raw/*/dataset.json"
            yield "datasets", f"nnunet/{modality}/{name}/raw/*/dataset.json"
            for fold in nnunet["folds"]:
                yield "checkpoints", f"{data}/seed{seed}/results/*/{model}/fold_{fold}/checkpoint_final.pth"
