"""The table of label budgets, and comparisons under one."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from enrich import index
from enrich.report.comparisons import summary
from enrich.score import COLUMNS
from enrich.statistics import compare
from enrich.tables import comparisons, label_budget
from enrich.tables.layout import markdown
from gan.errors import InputError
from gan.files import seal

from .conftest import printed_rows

KEYS = {"compositions": {"ada": {"translator": "targan", "use": "cases"}}, "label_fractions": [0.5]}
ROWS = {"single": 80, "single@labels50": 70, "targan": 81, "targan@labels50": 71, "ada": 82, "ada@labels50": 78}


@pytest.fixture
def scores():
    """Ten patients of each modality, each better than the one before."""
    found = [
        dict.fromkeys(COLUMNS, 0)
        | {"modality": modality, "method": method, "patient": f"p{k}", "case": f"p{k}"}
        | {"dice_percent": dice + k + shift, "structure": "liver", "note": ""}
        for modality, shift in (("ct", 0), ("t1", 0.5))
        for method, dice in ROWS.items()
        for k in range(10)
    ]
    return pd.DataFrame(found, columns=COLUMNS)


def write(scores, study, tmp_path, monkeypatch):
    index.write(scores, tmp_path / "scores.csv")
    output = tmp_path / "label_budget.csv"
    options = [f"--scores={tmp_path / 'scores.csv'}", f"--config-json={json.dumps(study.config)}", f"--output={output}"]
    monkeypatch.setattr(sys, "argv", ["label_budget", *options])
    label_budget.main()
    return output


def test_every_budget_of_a_method_is_a_row(scores, study, tmp_path, monkeypatch):
    output = write(scores, study(**KEYS), tmp_path, monkeypatch)
    row = label_budget.read(output).query("modality == 't1' and method == 'ada' and labels == 50").iloc[0]
    assert row["mean"] == pytest.approx(78 + 4.5 + 0.5)
    assert row["std"] == pytest.approx(np.std(range(10), ddof=1))
    assert row["low"] < row["mean"] < row["high"]
    assert row["n"] == 10
    text = output.with_suffix(".md").read_text()
    budgets = [[cell.strip() for cell in line.split("|")[1:4]] for line in text.splitlines() if line.startswith("| ")]
    assert budgets[2:] == [
        [name, f"{share} %", "–"] for name in ("Single", "TarGAN", "ADA of TarGAN") for share in (50, 100)
    ]
    assert "rounded up to whole ones" in text
    assert "83.00 ± 3.03 (8" in text
    assert output.with_suffix(".tex").is_file()


def test_a_table_of_another_kind_is_refused(tmp_path):
    for content in ("", "modality,method\n"):
        (tmp_path / "label_budget.csv").write_text(content)
        seal(tmp_path / "label_budget.csv")
        with pytest.raises(InputError, match=r"label_budget\.csv.*expected .*modality, method, labels"):
            label_budget.read(tmp_path / "label_budget.csv")


def test_a_row_of_a_smaller_budget_may_be_primary(scores, study):
    asked = study(**KEYS, statistics={"methods": ["ada@labels50"]})
    compared = compare(scores, asked.modalities, list(asked.titles), asked.design)
    primary = compared[compared["family"] == "primary"]
    assert set(primary["method"]) == {"ada@labels50"}
    assert set(primary["reference"]) == {"single@labels50"}
    assert primary["difference"].tolist() == pytest.approx([8, 8])
    said = summary(compared, asked.titles)
    assert said == "ADA of TarGAN, 50 % of labels: significantly better than Single, 50 % of labels in DICE on CT, T1w."
    assert "worse than Single under the same share of labels: DICE" in comparisons.describe(asked, compared)
    rows = printed_rows(markdown(comparisons.layout(asked, compared)[0]))
    assert {row["Metric"] for row in rows.values()} == {"DICE (%)"}


def test_a_primary_row_that_is_none_is_refused(study):
    with pytest.raises(InputError, match="ada@labels25"):
        study(**KEYS, statistics={"methods": ["ada@labels25"]}).design  # noqa: B018
