"""Fréchet and kernel distance of translations and real scans: one CSV row per source × target modality.

All translations of a direction, of every test patient, against the real test scans of the target modality, by the
features of one backbone. The patients of the two need not be the same.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from enrich import index
from enrich.arguments import named_path
from enrich.columns import DISTRIBUTION, FLOOR
from enrich.features import BACKBONES
from enrich.features.backbone import Features
from enrich.intensity import Intensity
from enrich.metrics.distribution import frechet_distance, kernel_distance
from enrich.translations import read_picture, read_translations, scans_to_test
from gan.errors import run
from gan.lease import lease

COLUMNS = DISTRIBUTION.columns


def score(
    scans: Path,
    splits: Path,
    synthetic: Path | None,
    backbone: str,
    weights: Mapping[str, Path],
    intensity: Intensity,
    identity: dict[str, str | int],
) -> pd.DataFrame:
    """Compare the translations of every direction with the real scans of its target.

    Args:
        scans: `scans.csv`.
        splits: `splits.json`.
        synthetic: index of the synthetic scans; None: the sources, copied.
        backbone: a key of `BACKBONES`.
        weights: by target modality, the file of the backbone's weights.
        intensity: as in the synthesis.
        identity: method, seed and outer fold, repeated in every row; distances of two folds, whose networks differ,
            are not of one scale.

    Returns:
        `COLUMNS`: `features` is their dimension, `n_real` and `n_fake` the samples, slices or patches of all test
        patients. `fit` joins those of the patients by `+` where they differ.

    Raises:
        InputError: no translation, no real scan of a target, or a file that is missing or another one.
    """
    networks = {path: BACKBONES[backbone](path) for path in dict.fromkeys(weights.values())}
    fakes: dict[tuple[str, str], list[Features]] = defaultdict(list)
    fits: dict[tuple[str, str], set[str]] = defaultdict(set)
    for translation in tqdm(
        read_translations(scans, splits, synthetic, list(weights), intensity), "translations", disable=None
    ):
        direction = (translation.source.modality, translation.picture.modality)
        fakes[direction].append(networks[weights[direction[1]]](translation.picture))
        fits[direction].add(translation.fit)
    real = {}
    for target in sorted({target for _, target in fakes}):
        rows = [row for _, row in scans_to_test(scans, splits, [target]).iterrows()]
        network = networks[weights[target]]
        found = [network(read_picture(scans, row, intensity)) for row in tqdm(rows, f"real {target}", disable=None)]
        real[target] = np.concatenate(found)
    rows_of = []
    for (source, target), found in fakes.items():
        fake = np.concatenate(found)
        rows_of.append(
            {"source": source, "target": target, "fit": "+".join(sorted(fits[source, target])), "backbone": backbone}
            | identity
            | {"features": fake.shape[1], "n_real": len(real[target]), "n_fake": len(fake)}
            | {"fid": frechet_distance(fake, real[target]), "kid": kernel_distance(fake, real[target])}
        )
    return pd.DataFrame(rows_of, columns=COLUMNS)


def main() -> None:
    """Parse the command line and write the distances."""
    parser = argparse.ArgumentParser(prog="python -m enrich.score_distribution", description=__doc__)
    parser.add_argument("--scans", type=Path, required=True, help="scans.csv")
    parser.add_argument("--splits", type=Path, required=True, help="splits.json")
    parser.add_argument("--method", required=True, help=f"name of the translator; {FLOOR}: the sources themselves")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--outer", type=int, default=0, help="number of the outer fold, from 0")
    parser.add_argument("--synthetic", type=Path, help=f"index of the synthetic images; none of {FLOOR}")
    parser.add_argument("--backbone", choices=BACKBONES, required=True)
    parser.add_argument(
        "--weights", type=named_path, nargs="+", required=True, metavar="TARGET=FILE", help="of the backbone"
    )
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="CSV")
    arguments = parser.parse_args()
    if (arguments.synthetic is None) != (arguments.method == FLOOR):
        parser.error(f"--synthetic is for every method but {FLOOR}")
    lease()
    table = score(
        arguments.scans,
        arguments.splits,
        arguments.synthetic,
        arguments.backbone,
        dict(arguments.weights),
        Intensity(**arguments.intensity),
        {"method": arguments.method, "seed": arguments.seed, "outer": arguments.outer},
    )
    index.write(table, arguments.output)


if __name__ == "__main__":
    run(main)
