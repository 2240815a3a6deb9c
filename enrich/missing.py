"""Scans that are missing: some are dropped at random, by patient, so that the effect can be measured."""

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import index, structures
from gan.errors import InputError, run

DROPPED = "dropped.csv"


def draw(modalities_of: Mapping[str, set[str]], fractions: Mapping[str, float], seed: int) -> dict[str, set[str]]:
    """Draw the patients whose scans of each modality are dropped; nobody loses the last one.

    Modalities are drawn in the order of their names, each by a generator of its own.

    Args:
        modalities_of: the modalities of every patient.
        fractions: of the patients who have a modality, the share that loses it.
        seed: of the draw.

    Raises:
        InputError: too few patients who have something else.
    """
    left = {patient: set(modalities) for patient, modalities in modalities_of.items()}
    lost: dict[str, set[str]] = {}
    for modality, fraction in sorted(fractions.items()):
        have = sorted(patient for patient, modalities in modalities_of.items() if modality in modalities)
        wanted = round(fraction * len(have))
        order = np.random.default_rng([seed, *modality.encode()]).permutation(have).tolist()
        may = [patient for patient in order if len(left[patient]) > 1]
        if (most := min(len(may), len(have) - 1)) < wanted:
            found = f"{modality}: {fraction}, {wanted} of {len(have)} patients"
            raise InputError("missing.simulate", found, f"at most {most}, who keep another modality, and not all")
        lost[modality] = set(may[:wanted])
        for patient in lost[modality]:
            left[patient].remove(modality)
    return lost


def drop(scans: pd.DataFrame, fractions: Mapping[str, float], seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Divide the rows of `scans.csv` into those that are kept and those that are dropped."""
    modalities_of = {str(patient): set(rows["modality"]) for patient, rows in scans.groupby("patient")}
    lost = draw(modalities_of, fractions, seed)
    names = zip(scans["patient"], scans["modality"], strict=True)
    gone = np.array([patient in lost.get(modality, ()) for patient, modality in names])
    return scans[~gone], scans[gone]


def main() -> None:
    """Parse the command line and write `dropped.csv`, `structures.json` and `scans.csv`."""
    parser = argparse.ArgumentParser(prog="python -m enrich.missing", description=__doc__)
    parser.add_argument("--scans", type=Path, required=True, help="scans.csv of everything")
    parser.add_argument("--simulate", type=json.loads, required=True, help="the config's key missing.simulate, as JSON")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True, help="scans.csv of what is kept")
    arguments = parser.parse_args()
    home, output = arguments.scans.parent, arguments.output
    scans = index.read(arguments.scans, index.SCANS)
    if unknown := arguments.simulate.keys() - set(scans["modality"]):
        raise InputError(arguments.scans, f"no scan of {', '.join(sorted(unknown))}", "some to drop")
    start = output.parent.absolute()
    for name in ("image", "label"):
        scans[name] = [path and os.path.relpath((home / path).absolute(), start) for path in scans[name]]
    kept, dropped = drop(scans, arguments.simulate, arguments.seed)
    structures.read(arguments.scans).write(output)
    index.write(dropped, output.with_name(DROPPED))
    index.write(kept, output)


if __name__ == "__main__":
    run(main)
