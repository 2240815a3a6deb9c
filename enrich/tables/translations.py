"""Scores of translations, averaged: over seeds, patients and sources, in this order."""

import math
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from enrich.columns import CEILING, FLOOR, TABLES
from enrich.columns import TRANSLATION_METRICS as METRICS
from enrich.gather import read_scores
from enrich.tables.study import OURS, Study
from gan.errors import InputError

DISTANCES = ["fid", "kid"]
TITLES = {CEILING: "Real scans (ceiling)", FLOOR: "Source copied (floor)"}
MEAN = "mean over sources"


def read(path: Path, kind: str) -> pd.DataFrame:
    """Read `scores/translation.csv` or `scores/distribution.csv`; `fit` of models of one fold, whichever, is `fold`."""
    scores = read_scores(path, TABLES[kind])
    return scores.assign(fit=scores["fit"].mask(scores["fit"].str.startswith("fold"), "fold"))


def of_fit(scores: pd.DataFrame, study: Study, fit: str) -> pd.DataFrame:
    """Return the scores of translators under one fit, and those of ceiling and floor."""
    return scores[~scores["method"].isin(study.translators) | (scores["fit"] == fit)]


def summarize(scores: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Average the scores of test patients' translations of one fit.

    A patient's score is its mean over seeds and cases, undefined where one of them is. A direction's is the mean over
    patients, a target's the mean over its sources, each counted once whatever its number of patients.

    Returns:
        One row per method × target × source, and × `MEAN`, × metric: source (this run), method, title, labels_used,
        modality (the target), translated_from, metric, backbone (none), mean, std (over patients, of their means over
        sources, ddof 1), seed_std (over seeds of the mean, ddof 1), n (patients in the mean), seeds, n_real, n_fake.

    Raises:
        InputError: a translator without a score to a modality that another one translates to.
    """
    rows = []
    for method, target in _pairs(scores, study):
        own = scores[(scores["method"] == method) & (scores["target"] == target)]
        by_source = [
            (source, own[own["source"] == source]) for source in study.modalities if source in set(own["source"])
        ]
        for source, part in [(MEAN, own), *by_source]:
            patients = part.groupby(["source", "patient"])[METRICS].mean(skipna=False)
            means = patients.groupby("source").mean().mean()
            seeds = part.groupby(["seed", "source", "patient"])[METRICS].mean(skipna=False)
            defined = patients.notna().reindex(pd.MultiIndex.from_tuples([key[1:] for key in seeds.index]))
            by_seed = (
                seeds.where(defined.set_axis(seeds.index)).groupby(["seed", "source"]).mean().groupby("seed").mean()
            )
            over_patients = patients.groupby("patient").mean()
            rows += [
                _row(study, method, target, source, metric)
                | {
                    "mean": means[metric],
                    "std": _deviation(over_patients[metric]),
                    "seed_std": _deviation(by_seed[metric]),
                    "n": int(over_patients[metric].count()),
                    "seeds": len(by_seed),
                }
                for metric in METRICS
            ]
    return pd.DataFrame(rows)


def summarize_distances(scores: pd.DataFrame, study: Study) -> pd.DataFrame:
    """Average Fréchet and kernel distances of one fit in the columns of `summarize`.

    A direction has one distance for each seed (and outer fold), a target the mean over its sources. n_real and n_fake
    are the least number of samples of any distance in the mean, which is undefined where one of them is.
    """
    rows = []
    for method, target in _pairs(scores, study):
        for backbone, own in scores[(scores["method"] == method) & (scores["target"] == target)].groupby("backbone"):
            by_source = [(str(source), part) for source, part in own.groupby("source")]
            for source, part in [(MEAN, own), *by_source]:
                means = part.groupby("source")[DISTANCES].mean(skipna=False).mean(skipna=False)
                of_seeds = part.groupby(["seed", "source"])[DISTANCES].mean(skipna=False)
                by_seed = of_seeds.groupby("seed").mean(skipna=False)
                rows += [
                    _row(study, method, target, source, metric)
                    | {
                        "backbone": backbone,
                        "mean": means[metric],
                        "std": math.nan,
                        "seed_std": _deviation(by_seed[metric]),
                        "features": int(part["features"].max()),
                        "n_real": int(part["n_real"].min()),
                        "n_fake": int(part["n_fake"].min()),
                        "seeds": len(by_seed),
                    }
                    for metric in DISTANCES
                ]
    return pd.DataFrame(rows)


def _row(study: Study, method: str, target: str, source: str, metric: str) -> dict[str, object]:
    return {
        "source": OURS,
        "method": method,
        "title": TITLES.get(method) or study.translators[method],
        "labels_used": study.labels_of_translator(method),
        "modality": target,
        "translated_from": source,
        "metric": metric,
        "backbone": "",
    }


def _pairs(scores: pd.DataFrame, study: Study) -> list[tuple[str, str]]:
    """Return the (method, target) pairs with scores in the order of print: ceiling, floor, translators."""
    scored = set(zip(scores["method"], scores["target"], strict=True))
    methods = [CEILING, FLOOR, *study.translators]
    wanted = product(study.translators, sorted({target for _, target in scored}))
    if missing := [f"{name} to {target}" for name, target in wanted if (name, target) not in scored]:
        raise InputError("scores", f"no translation by {', '.join(missing)}", "one by every translator")
    return [(method, target) for method in methods for target in study.modalities if (method, target) in scored]


def _deviation(values: "pd.Series[float]") -> float:
    """Return the standard deviation, ddof 1, of what is defined; NaN of fewer than two and of infinite values."""
    defined: Sequence[float] = values.dropna().tolist()
    return float(pd.Series(defined).std(ddof=1)) if all(map(math.isfinite, defined)) and len(defined) > 1 else math.nan
