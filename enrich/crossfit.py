"""Which models translate whom: with cross-fitting, no patient who trains is translated by a model that saw her."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from enrich.splits import Splits
from enrich.translate import Planes
from gan.errors import InputError
from gan.files import sha256
from gan.translator import Translator

ALL, MEAN, FOLD = "all", "mean", "fold"
FIT_HELP = "`all` or `fold<j>`, and its models of all pairs or directions; once for each fit"


@dataclass(frozen=True)
class Fit:
    """What translates a patient.

    Attributes:
        name: `all`, the models of all the GAN's patients; `fold<j>`, those trained without fold j; `mean`, the mean of
            what those of every fold make.
        translators: the models; several only for `mean`.
        models_sha256: of every file behind them.
    """

    name: str
    translators: list[Translator]
    models_sha256: list[str]

    def translated(self, planes: Planes, source: str, target: str) -> Planes:
        """Return planes of modality `source` in modality `target`."""
        found = [planes.translated(translator, source, target) for translator in self.translators]
        return found[0] if len(found) == 1 else Planes.mean(found)


class Fits:
    """The trained models of a method under one seed."""

    def __init__(self, models: Mapping[str, Sequence[Path]], who: Splits, test: str = ALL) -> None:
        """Load models.

        Args:
            models: of each fit, `all` or `fold<j>`; those that nobody is translated by may be left out.
            who: the split.
            test: what translates those who test: `all`, `mean`, or `fold`, one of the folds drawn for each patient.

        Raises:
            InputError: a model is missing or broken.
        """
        self._models, self._who, self._test = models, who, test
        self._translators = {name: Translator(paths) for name, paths in models.items()}
        self._sha256 = {name: [sha256(path) for path in paths] for name, paths in models.items()}
        first = next(iter(self._translators.values()))
        self.directions = list(first.directions)
        self.image_size = first.image_size

    def of(self, patient: str) -> Fit:
        """Return what translates a patient.

        A patient of no fold and no test set, who is watched or has no label, is treated like one of a fold.

        Raises:
            InputError: models that are needed and were not given.
        """
        fold = self._who.fold_of(patient)
        if not self._who.folds:
            name = ALL
        elif fold is not None:
            name = f"{FOLD}{fold}"
        elif patient in self._who.test and self._test != FOLD:
            name = self._test
        else:
            drawn = np.random.default_rng(list(patient.encode())).integers(len(self._who.folds))
            name = f"{FOLD}{drawn}"
        parts = [f"{FOLD}{number}" for number in range(len(self._who.folds))] if name == MEAN else [name]
        if missing := [part for part in parts if part not in self._translators]:
            raise InputError(f"models for patient {patient}", f"none of {', '.join(missing)}", "some")
        hashes = [digest for part in parts for digest in self._sha256[part]]
        return Fit(name, [self._translators[part] for part in parts], hashes)


def models_of_fits(given: Sequence[Sequence[str]]) -> dict[str, list[Path]]:
    """Return the models of each fit, of command-line options `--fit NAME MODEL …`."""
    return {name: [Path(path) for path in paths] for name, *paths in given}
