"""Which cases a data set must hold: of all training patients, or of the share of them that its name says."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from enrich import index
from enrich.audit.study import Split, Study
from enrich.nnunet.dataset import POOLED, Case, within_budget, within_share
from enrich.rows import SHARES


def shares_percent(channels: str) -> tuple[int, int]:
    """Return the shares of the training patients, and of the further cases, that the name of a data set ends in."""
    labels, synthetic = next(SHARES.finditer(channels)).group("labels", "synthetic")
    return int(labels or 100), int(synthetic or 100)


def cases_within(study: Study, split: Split, folder: Path, further: Path | None, filled: Path | None) -> dict[str, str]:
    """Return the patient of every case that trains, by the case's name.

    The labelled scans of a modality and the split alone say whom a share has: it is the same for every data set.

    Args:
        study: the run.
        split: who trains.
        folder: of the data set, `nnunet/<modality>/<channels>`.
        further: index of further cases, of which those of the patients beyond their share are left out; None for none.
        filled: index of the channels of every scan, if several scans of a case may be one case of a pooled data set.

    Raises:
        InputError: no such index.
    """
    modality, (label_percent, synthetic_percent) = folder.parent.name, shares_percent(folder.name)
    rows = study.scans[study.scans["patient"].isin(split.segmentation) & (study.scans["label"] != "")]
    learnt = study.config["transfer_from"] or study.config["modalities"]
    rows = rows[rows["modality"].isin(learnt if modality == POOLED else [modality])]
    if modality == POOLED and filled is not None:
        rows = _distinct(rows, filled, learnt)
    training = _cases(rows, rows["case"] + "_" + rows["modality"] if modality == POOLED else rows["case"])
    chosen = within_budget(training, label_percent / 100)
    if further is not None:
        made = index.read(further, index.CASES)
        beyond = {case.patient for case in training} - {case.patient for case in chosen}
        within = [case for case in _cases(made, made["case"]) if case.patient not in beyond]
        chosen += within_share(within, synthetic_percent / 100)
    return {case.name: case.patient for case in chosen}


def _distinct(rows: pd.DataFrame, filled: Path, modalities: Sequence[str]) -> pd.DataFrame:
    """Return the first scan of each content, channels and label, in the order of modalities and of `scans.csv`."""
    channels = index.read(filled, index.SYNTHETIC).groupby(["case", "source"])["sha256"].agg(tuple)
    ordered = pd.concat([rows[rows["modality"] == modality] for modality in modalities])
    names = zip(ordered["case"], ordered["modality"], strict=True)
    content = pd.Series([channels.get(name, name) for name in names], ordered.index, dtype=object)
    return ordered[~pd.DataFrame({"channels": content, "label": ordered["label_sha256"]}).duplicated()]


def _cases(rows: pd.DataFrame, names: Iterable[str]) -> list[Case]:
    return [Case(name, patient, [], None) for name, patient in zip(names, rows["patient"], strict=True)]
