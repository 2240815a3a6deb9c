from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from enrich.columns import METRICS
from enrich.score import COLUMNS
from enrich.statistics import (
    Design,
    compare,
    dissenters,
    holm,
    mean_interval,
    power,
    rank_biserial,
    smallest_p,
    wilcoxon_p,
)
from gan.errors import InputError

DESIGN = Design("dice_percent", "single", ("stargan", "targan"), resamples=200)


def scores(values, seeds=(0,), modality="ct"):
    """Return scores with the DICE of every method's patients, the same under each seed; other metrics are 1."""
    rows = [
        dict.fromkeys(METRICS, 1.0)
        | {"patient": f"p{k}", "case": f"p{k}", "modality": modality, "method": method, "seed": seed}
        | {"structure": "liver", "dice_percent": dice, "reference_ml": 1.0, "prediction_ml": 1.0, "note": ""}
        for method, dices in values.items()
        for k, dice in enumerate(dices)
        for seed in seeds
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def exact_p(differences):
    """Return the two-sided p by listing the signs of all differences that are not zero."""
    nonzero = np.array([d for d in differences if d])
    ranks = stats.rankdata(abs(nonzero))
    found = ranks[nonzero > 0].sum()
    sums = [
        sum(r for r, sign in zip(ranks, signs, strict=True) if sign) for signs in product((0, 1), repeat=len(ranks))
    ]
    return min(1, 2 * min(np.mean([s <= found for s in sums]), np.mean([s >= found for s in sums])))


@pytest.mark.parametrize(("n", "expected"), [(10, 0.00195), (5, 0.0625), (6, 0.03125), (1, 1), (0, 1)])
def test_smallest_p_is_that_of_differences_of_one_sign(n, expected):
    assert smallest_p(n) == pytest.approx(expected, abs=5e-6)
    assert wilcoxon_p(np.arange(1.0, n + 1)) == pytest.approx(smallest_p(n))


@pytest.mark.parametrize(
    "differences",
    [
        [1, 2, -3, 4, 5, 6, -7, 8],
        [1, 1, -1, 2, 2, 2, 3],  # ties
        [0, 0, 1, -2, 3, 4, 5],  # zeros
        [0, 1, 1, -1, 1, 0, 2, -2, 2],  # both
        [-1, -2, -3, 4],
    ],
)
def test_p_is_exact_with_ties_and_zeros(differences):
    assert wilcoxon_p(np.array(differences, float)) == pytest.approx(exact_p(differences))


def test_nothing_but_zeros_is_no_difference():
    assert wilcoxon_p(np.zeros(4)) == 1
    assert rank_biserial(np.zeros(4)) == 0
    assert mean_interval(np.zeros(4), 100, 0) == (0, 0)


def test_rank_biserial_by_hand():
    assert rank_biserial(np.array([1.0, -2.0, 3.0, 4.0])) == pytest.approx((8 - 2) / 10)
    assert rank_biserial(np.array([1.0, 2.0])) == 1
    assert rank_biserial(np.array([-1.0, 0.0])) == -1
    assert rank_biserial(np.array([1.0, 1.0, -1.0])) == pytest.approx((4 - 2) / 6)  # all share rank 2
    assert np.isnan(rank_biserial(np.empty(0)))


def test_interval_is_seeded_and_holds_the_mean():
    differences = np.random.default_rng(3).normal(2, 1, 12)
    low, high = mean_interval(differences, 2000, 5)
    assert (low, high) == mean_interval(differences, 2000, 5) != mean_interval(differences, 2000, 6)
    assert low < differences.mean() < high
    half = 1.96 * differences.std(ddof=1) / 12**0.5
    assert high - low == pytest.approx(2 * half, rel=0.25)
    assert np.isnan(mean_interval(differences[:1], 100, 0)).all()


def test_an_interval_does_not_depend_on_how_many_resamples_are_drawn_at_once(monkeypatch):
    differences = np.random.default_rng(3).normal(2, 1, 12)
    found = []
    for drawn in (1, 100, 10**6):
        monkeypatch.setattr("enrich.statistics.AT_ONCE", drawn)
        found.append(mean_interval(differences, 500, 5))
    assert found[0] == found[1] == found[2]


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03, 0.5])).tolist() == pytest.approx([0.04, 0.09, 0.09, 0.5])


def test_primary_family_is_one_metric_and_the_named_methods_in_every_modality():
    values = {"single": range(80, 90), "stargan": range(81, 91), "targan": range(80, 90), "zero": range(70, 80)}
    both = pd.concat([scores(values), scores(values, modality="t1")])
    table = compare(both, ["ct", "t1"], list(values), DESIGN)
    primary = table[table["family"] == "primary"]
    assert table.columns.tolist()[:4] == ["family", "structure", "metric", "modality"]
    assert list(zip(primary["method"], primary["modality"], strict=True)) == [
        (method, modality) for method in ("stargan", "targan") for modality in ("ct", "t1")
    ]
    assert set(primary["metric"]) == {"dice_percent"}
    exploratory = table[table["family"] == "exploratory"]
    assert len(exploratory) == (len(METRICS) - 1) * 3 * 2 + 2  # other metrics, and the control's DICE
    assert exploratory["p_holm"].isna().all()
    assert not exploratory["significant"].any()
    assert exploratory.query("method == 'zero' and metric == 'dice_percent'")["p"].max() < 0.01
    # all ten differences are 1: every rank ties, p is exact; four comparisons, two of which have p 1
    row = primary.query("method == 'stargan' and modality == 'ct'").iloc[0]
    assert row["p"] == pytest.approx(2**-9)
    assert row["p_holm"] == pytest.approx(4 * 2**-9)
    assert row["significant"]
    assert (row["difference"], row["low"], row["high"], row["effect"], row["n"]) == (1, 1, 1, 1, 10)
    assert not primary.query("method == 'targan'")["significant"].any()


def test_what_is_worse_has_a_negative_effect():
    table = compare(scores({"single": range(80, 90), "stargan": range(70, 80)}), ["ct"], ["single", "stargan"], DESIGN)
    row = table.iloc[0]
    assert (row["difference"], row["effect"], bool(row["significant"])) == (-10, -1, True)


def test_seeds_are_averaged_and_the_undefined_are_left_out_and_counted():
    table = scores({"single": [80.0, 81, 82], "stargan": [90.0, 90, 90]}, seeds=(0, 1))
    table.loc[(table["method"] == "stargan") & (table["seed"] == 1) & (table["patient"] == "p0"), "dice_percent"] = 94
    table.loc[(table["method"] == "single") & (table["seed"] == 0) & (table["patient"] == "p2"), "dice_percent"] = (
        np.nan
    )
    row = compare(table, ["ct"], ["single", "stargan"], DESIGN).iloc[0]
    assert (row["n"], row["left_out"]) == (2, 1)
    assert row["difference"] == ((92 - 80) + (90 - 81)) / 2
    assert row["smallest_p"] == 0.5


def test_no_patient_in_both_counts_in_the_family_with_p_one():
    table = scores({"single": [80.0], "stargan": [np.nan], "targan": [81.0]})
    found = compare(table, ["ct"], ["single", "stargan", "targan"], DESIGN).iloc[:2]
    assert found["n"].tolist() == [0, 1]
    assert found["p"].tolist() == found["p_holm"].tolist() == [1, 1]
    assert np.isnan(found["difference"][0])


def test_a_label_budget_is_held_against_the_reference_of_the_same_labels():
    values = {"single": [90.0, 91], "single@labels25": [70.0, 71], "stargan@labels25": [75.0, 77]}
    values["ada@labels25@synthetic50"] = values["stargan@synthetic50"] = [80.0, 81]
    table = compare(scores(values), ["ct"], list(values), DESIGN)
    dice = table[table["metric"] == "dice_percent"].set_index("method")
    assert dice["reference"].to_dict() == {
        "stargan@labels25": "single@labels25",
        "ada@labels25@synthetic50": "single@labels25",
        "stargan@synthetic50": "single",
    }
    assert dice.loc["stargan@labels25", "difference"] == 5.5
    assert set(dice["family"]) == {"exploratory"}


def test_methods_of_other_patients_are_refused():
    table = scores({"single": [80.0, 81], "stargan": [90.0, 90]}).iloc[:-1]
    with pytest.raises(InputError, match="differ on ct in p1"):
        compare(table, ["ct"], ["single", "stargan"], DESIGN)
    with pytest.raises(InputError, match="no score of targan on ct"):
        compare(table, ["ct"], ["single", "targan"], DESIGN)


@pytest.mark.parametrize(
    ("n", "comparisons", "expected"),
    [
        # of 10 patients p(W) is 2/1024 × (1, 2, 3, 5, 7, 10, 14, …) for W = 0, 1, 2, …; k dissenters have W = k(k+1)/2
        (10, 1, 3),  # W = 6: 0.027; W = 10: 0.084
        (10, 6, 1),  # W = 1: 6 × 0.0039; W = 3: 6 × 0.0098
        (10, 25, 0),  # 25 × 0.00195 = 0.0488
        (10, 26, -1),
        (5, 1, -1),  # 0.0625
        (0, 1, -1),
    ],
)
def test_how_many_patients_may_dissent(n, comparisons, expected):
    assert dissenters(n, comparisons, 0.05) == expected


def family(*numbers):
    return pd.DataFrame({"family": "primary", "n": numbers, "modality": "ct", "smallest_p": map(smallest_p, numbers)})


def test_power_says_when_nothing_could_be_significant():
    text = power(family(3, 3), 0.05)
    assert "with n = 3 patients (CT) the smallest exact two-sided p is 0.25, times the 2 comparisons 0.5" in text
    assert "no difference, however large, could have been significant" in text


def test_power_says_how_many_patients_may_differ():
    text = power(family(*[10] * 6), 0.05)
    assert "smallest exact two-sided p is 0.00195, times the 6 comparisons 0.0117" in text
    assert "by itself only if all patients but at most 1, of the least differences, lie on one side" in text
    assert "by itself only if all patients lie on one side" in power(family(*[10] * 25), 0.05)


def test_power_knows_what_is_significant_only_with_others():
    text = power(family(10, 6), 0.05)  # 0.03125 × 2 > 0.05, but Holm's second step takes it as it is
    assert "with n = 6 patients (CT) the smallest exact two-sided p is 0.0312, times the 2 comparisons 0.0625" in text
    assert "only together with others of the family" in text


def test_power_of_nothing():
    assert power(family(), 0.05).startswith("Nothing was tested")
