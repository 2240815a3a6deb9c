"""Paired comparisons over patients: which differences are significant, how large they are, which could have been.

One endpoint is primary: a metric, of the study's methods against one reference, in every modality. Its p-values are
corrected together, by Holm. Every other comparison is exploratory: its p-values stand uncorrected, and none of them is
called significant.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from enrich.columns import METRICS
from enrich.design import Design
from enrich.gather import per_patient, require_same_cases, require_scores
from enrich.modality import title

Floats = NDArray[np.float64]

PRIMARY, EXPLORATORY = "primary", "exploratory"
COLUMNS = [
    *("family", "structure", "metric", "modality", "method", "reference", "n", "left_out", "difference", "low", "high"),
    *("effect", "p", "p_holm", "smallest_p", "significant"),
]
CONFIDENCE = 0.95
AT_ONCE = 10**6  # drawn differences


def compare(scores: pd.DataFrame, modalities: Sequence[str], methods: Sequence[str], design: Design) -> pd.DataFrame:
    """Compare every method with the reference, in every metric and modality, over the patients of both.

    A patient's score is its mean over seeds. A patient whose score is undefined for either of the two is left out of
    the pair and counted. A row of a label budget, such as `ada@labels25@synthetic50`, is compared with the reference of
    the same labels, `single@labels25`, and is exploratory.

    Args:
        scores: `enrich.score.COLUMNS`, of one structure.
        modalities: in order.
        methods: rows of the table, in order, the reference among them.
        design: what is primary.

    Returns:
        `COLUMNS`, primary comparisons first. `difference` is the mean of method − reference over the `n` patients, in
        the metric's unit; `low` and `high` bound it with 95 % confidence. `effect` is in [-1, 1]. `p_holm` is NaN where
        exploratory. What no patient has in both is NaN, and p is 1.

    Raises:
        InputError: no score of a method on a modality, or methods that were scored on different cases.
    """
    references = {method: _reference(method, design.reference) for method in methods}
    compared = [method for method in methods if method not in references.values()]
    require_scores(scores, modalities, [*compared, *dict.fromkeys(references[method] for method in compared)])
    for modality in modalities:
        require_same_cases(scores[(scores["modality"] == modality) & scores["method"].isin(methods)], modality)
    means = dict(iter(per_patient(scores).groupby(["modality", "method"])))
    rows = []
    for metric, method, modality in product(METRICS, compared, modalities):
        one, other = (
            means[modality, name].set_index("patient")[metric].sort_index() for name in (method, references[method])
        )
        differences = (one - other).to_numpy(float)
        primary = metric == design.metric and method in design.methods
        rows.append(
            {
                "family": PRIMARY if primary else EXPLORATORY,
                "structure": scores["structure"].iloc[0],
                "metric": metric,
                "modality": modality,
                "method": method,
                "reference": references[method],
                "left_out": int(np.isnan(differences).sum()),
                "p_holm": np.nan,
            }
            | _paired(differences[~np.isnan(differences)], design)
        )
    table = pd.DataFrame(rows, columns=COLUMNS)
    family = table["family"] == PRIMARY
    if family.any():
        table.loc[family, "p_holm"] = holm(table["p"][family].to_numpy(float))
    table["significant"] = family & (table["p_holm"] <= design.alpha)
    return table.sort_values("family", ascending=False, kind="stable", ignore_index=True)


def wilcoxon_p(differences: Floats) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test of (n,) paired differences.

    Differences of zero are left out (Wilcoxon's own way), equal sizes share their mean rank. Exact up to 50 differences
    that are all of different size, and up to 13 otherwise (all 2ⁿ signs); beyond that the normal approximation with
    SciPy's correction for ties and without one for continuity. 1 where no difference is left.
    """
    nonzero = differences[differences != 0]
    return float(stats.wilcoxon(nonzero).pvalue) if len(nonzero) else 1.0


def rank_biserial(differences: Floats) -> float:
    """Return the matched-pairs rank-biserial correlation (W⁺ − W⁻) / (W⁺ + W⁻) of (n,) differences, in [-1, 1].

    W⁺ and W⁻ are the rank sums of the test (Kerby, 2014): 1 where every difference that is not zero is positive; 0
    where all are zero; NaN of no difference.
    """
    if not len(differences):
        return np.nan
    nonzero = differences[differences != 0]
    ranks = stats.rankdata(np.abs(nonzero))
    return float((ranks * np.sign(nonzero)).sum() / ranks.sum()) if len(nonzero) else 0.0


def mean_interval(differences: Floats, resamples: int, seed: int) -> tuple[float, float]:
    """Return the 95 % bootstrap interval (bias-corrected and accelerated) of the mean of (n,) differences.

    Patients are drawn with replacement. NaN for fewer than two; equal differences have an interval of no width. With
    few patients such an interval is too narrow.
    """
    if len(differences) < 2:
        return np.nan, np.nan
    if np.ptp(differences) == 0:
        return float(differences[0]), float(differences[0])
    found = stats.bootstrap(
        (differences,),
        np.mean,
        confidence_level=CONFIDENCE,
        n_resamples=resamples,
        batch=max(1, AT_ONCE // len(differences)),
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(found.low), float(found.high)


def smallest_p(n: int) -> float:
    """Return the smallest exact two-sided p that n patients can give: every difference has one sign, 2 / 2ⁿ."""
    return min(1.0, 2.0 ** (1 - n))


def holm(p: Floats) -> Floats:
    """Return (m,) p-values corrected by Holm, in [0, 1]."""
    corrected: Floats = multipletests(p, method="holm")[1]
    return corrected


def dissenters(n: int, comparisons: int, alpha: float) -> int:
    """Return how many of n patients may lie on the other side in a difference that is significant by itself.

    By itself: its p, times the number of comparisons (Holm's first step), is at most alpha. The most favourable case,
    in which they have the smallest differences. -1 where not even n patients on one side suffice.
    """
    for other in range(n // 2 + 1):
        ranks = np.arange(1.0, n + 1)
        ranks[:other] *= -1
        if comparisons * wilcoxon_p(ranks) > alpha:
            return other - 1
    return n // 2


def power(comparisons: pd.DataFrame, alpha: float) -> str:
    """Say which differences the primary family could have shown at all, whatever the scores.

    Since a smaller p never loses a rejection under Holm, a comparison can be significant if and only if it is when
    every comparison has the smallest p of its number of patients.
    """
    family = comparisons[comparisons["family"] == PRIMARY]
    if family.empty:
        return "Nothing was tested: the primary family has no comparison."
    m = len(family)
    possible = holm(family["smallest_p"].to_numpy(float)) <= alpha
    parts = []
    for n, group in family.assign(possible=possible).groupby("n"):
        number = int(str(n))
        least, where = smallest_p(number), ", ".join(map(title, dict.fromkeys(group["modality"])))
        found = f"with n = {number} patients ({where}) the smallest exact two-sided p is {least:.3g}"
        if m > 1:
            found += f", times the {m} comparisons {min(1.0, m * least):.3g}"
        others = dissenters(number, m, alpha)
        if others >= 0:
            exempt = f" but at most {others}, of the least differences," if others else ""
            parts.append(
                f"{found}: a difference is significant by itself only if all patients{exempt} lie on one side"
                " (those without any difference aside)"
            )
        elif group["possible"].any():
            parts.append(f"{found}: a difference can be significant only together with others of the family")
        else:
            parts.append(f"{found}: no difference, however large, could have been significant")
    return f"Power at α = {alpha:g}: {'; '.join(parts)}. That nothing is marked does not show that nothing differs."


def _paired(differences: Floats, design: Design) -> dict[str, float]:
    n = len(differences)
    low, high = mean_interval(differences, design.resamples, design.seed)
    return {
        "n": n,
        "difference": float(differences.mean()) if n else np.nan,
        "low": low,
        "high": high,
        "effect": rank_biserial(differences),
        "p": wilcoxon_p(differences),
        "smallest_p": smallest_p(n),
    }


def _reference(method: str, reference: str) -> str:
    """Return the reference of a row: of the same share of labels, if the row has a share."""
    shares = [part for part in method.split("@")[1:] if part.startswith("labels")]
    return "@".join([reference, *shares])
