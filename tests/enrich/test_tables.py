import re
import sys

import numpy as np
import pandas as pd
import pytest

from enrich import tables
from enrich.score import COLUMNS, METRICS
from gan.errors import InputError

MODALITIES = ["ct", "t1"]
METHODS = ["single", "targan"]
VALUES = {
    ("single", "ct"): {"a": [90.0, 92.0], "b": [95.0, 95.0]},
    ("targan", "ct"): {"a": [96.0, 96.0], "b": [93.0, 93.0]},
    ("single", "t1"): {"c": [80.0, 80.0], "d": [90.0, 90.0]},
    ("targan", "t1"): {"c": [0.0, 82.0], "d": [88.0, 88.0]},
}


@pytest.fixture
def scores():
    """DICE as in `VALUES` for seeds 0 and 1, RAVD its complement; one empty prediction."""
    rows = [
        dict.fromkeys(METRICS, 1.0)
        | {"patient": patient, "case": patient, "modality": modality, "method": method, "seed": seed}
        | {"structure": "liver", "dice_percent": dice, "ravd_percent": 100 - dice, "reference_ml": 1.0}
        | {"prediction_ml": 1.0, "note": "" if dice else "empty prediction", "hd95_mm": dice or np.nan}
        for (method, modality), patients in VALUES.items()
        for patient, dices in patients.items()
        for seed, dice in enumerate(dices)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def summarize(scores, titles=None, labels_used=None):
    return tables.summarize(scores, MODALITIES, METHODS, titles or {}, labels_used or {})


def of(summary, method, modality, metric):
    wanted = (summary["method"] == method) & (summary["modality"] == modality) & (summary["metric"] == metric)
    (row,) = summary[wanted].to_dict("records")
    return row


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def printed_rows(text):
    header, _, *rows = [cells(line) for line in text.splitlines() if line.startswith("|")]
    return {row[0]: dict(zip(header, row, strict=True)) for row in rows}


def test_mean_and_deviation_over_patients_after_seeds(scores):
    row = of(summarize(scores), "single", "ct", "dice_percent")
    assert row["mean"] == (91 + 95) / 2
    assert row["std"] == pytest.approx(8**0.5)  # ddof 1: ((91 − 93)² + (95 − 93)²) / 1
    assert (row["n"], row["patients"], row["failures"], row["seeds"]) == (2, 2, 0, 2)


def test_a_failure_is_counted_and_enters_what_is_defined(scores):
    summary = summarize(scores)
    dice, hd95 = (of(summary, "targan", "t1", metric) for metric in ("dice_percent", "hd95_mm"))
    assert (dice["mean"], dice["n"], dice["failures"]) == ((41 + 88) / 2, 2, 1)
    assert (hd95["mean"], hd95["n"], hd95["patients"], hd95["failures"]) == (88, 1, 2, 1)


def test_the_best_mean_of_a_column_is_bold(scores):
    rows = printed_rows(tables.markdown(tables.layout(summarize(scores), "liver")))
    assert rows["targan"]["DICE (%) ↑ CT"] == "**94.50 ± 2.12**"
    assert rows["single"]["DICE (%) ↑ CT"] == "93.00 ± 2.83"
    assert rows["single"]["DICE (%) ↑ T1w"].startswith("**85.00")
    assert rows["targan"]["RAVD (%) ↓ CT"].startswith("**5.50")  # lower is better
    assert rows["targan"]["Failed"] == "0 / 1"
    assert rows["targan"]["Patients"] == "2 / 2"


def test_means_that_print_alike_are_both_bold(scores):
    scores.loc[(scores["method"] == "single") & (scores["modality"] == "ct"), "dice_percent"] = 94.4999
    rows = printed_rows(tables.markdown(tables.layout(summarize(scores), "liver")))
    assert [rows[method]["DICE (%) ↑ CT"][:7] for method in METHODS] == ["**94.50", "**94.50"]


def test_one_patient_has_no_deviation(scores):
    rows = printed_rows(tables.markdown(tables.layout(summarize(scores[scores["patient"].isin(["a", "c"])]), "liver")))
    assert rows["single"]["DICE (%) ↑ T1w"] == "**80.00 ± –**"


def test_what_is_undefined_is_left_out_and_said(scores):
    scores.loc[scores["patient"] == "a", ["ravd_percent", "note"]] = [np.nan, "empty reference"]
    scores.loc[scores["modality"] == "t1", ["ravd_percent", "note"]] = [np.nan, "empty reference"]
    rows = printed_rows(tables.markdown(tables.layout(summarize(scores), "liver")))
    assert rows["single"]["RAVD (%) ↓ CT"] == "**5.00 ± – (n = 1)**"
    assert rows["single"]["RAVD (%) ↓ T1w"] == "–"
    assert rows["single"]["Failed"] == "1 / 2"


def test_published_figures_stand_apart_from_ours(scores):
    scores.loc[scores["modality"] == "ct", "dice_percent"] = 97.06  # as TarGAN's: theirs must not turn bold
    summary = pd.concat([summarize(scores), tables.published("chaos", "liver", MODALITIES)])
    text = tables.markdown(tables.layout(summary, "liver"))
    ours, theirs = text.split("| *Published (Chen et al. 2021, Table 2)* |")
    assert "**" in ours
    assert "**" not in theirs
    assert "| TarGAN | all modalities | 97.06 ± 0.62 | 94.02 ± 2.00 | 2.33 ± 1.60 | 3.50 ± 1.82 |" in theirs
    assert len(re.findall(r"^\|", theirs, flags=re.MULTILINE)) == 5


@pytest.mark.parametrize(("dataset", "structure"), [("brats", "liver"), ("phantom", "liver"), ("chaos", "spleen")])
def test_other_data_sets_have_no_published_figures(dataset, structure):
    assert tables.published(dataset, structure, MODALITIES).empty


def test_published_table_is_that_of_the_paper():
    found = tables.published("chaos", "liver", ["ct", "t1", "t2"])
    assert len(found) == 5 * 2 * 3
    assert of(found, "stargan", "t2", "ravd_percent")["mean"] == 15.71
    assert of(found, "csgan", "ct", "ravd_percent")["std"] == 3.94
    assert of(found, "remic", "t1", "dice_percent")["mean"] == 86.33


def test_segmenters_that_were_scored_on_other_cases_are_refused(scores):
    with pytest.raises(InputError, match=r"targan \(seed 1\).*differ on ct in b"):
        summarize(scores.drop(scores.query("method == 'targan' and seed == 1 and patient == 'b'").index))
    with pytest.raises(InputError, match="no score of targan on t1"):
        summarize(scores.query("not (method == 'targan' and modality == 't1')"))


def test_latex_has_equal_rows_and_escapes_names(scores):
    titles = {"targan": "TarGAN_50% & more"}
    table = tables.layout(summarize(scores, titles, {"targan": "masks {all}"}), "liver")
    lines = tables.latex(table).splitlines()
    body = [line for line in lines if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {7}
    assert r"TarGAN\_50\% \& more & masks \{all\} & \textbf{94.50 $\pm$ 2.12}" in "\n".join(lines)
    assert not re.search(r"[^\x00-\x7f]", "\n".join(lines))


def test_markdown_escapes_names(scores):
    text = tables.markdown(tables.layout(summarize(scores, {"targan": "a|b_*c*"}), "liver"))
    assert r"| a\|b\_\*c\* |" in text


def test_command_line_writes_the_same_numbers_three_times(scores, tmp_path, monkeypatch):
    scores.to_csv(tmp_path / "scores.csv", index=False)
    output = tmp_path / "tables" / "segmentation.csv"
    arguments = [f"--scores={tmp_path / 'scores.csv'}", "--modalities", *MODALITIES, "--methods", *METHODS]
    options = ["--dataset=chaos", '--titles-json={"targan": "TarGAN"}', "--config-sha256=abc123"]
    monkeypatch.setattr(sys, "argv", ["tables", *arguments, *options, f"--output={output}"])
    tables.main()
    assert sorted(path.name for path in output.parent.iterdir()) == [
        f"segmentation.{kind}" for kind in ("csv", "md", "tex")
    ]
    numbers = pd.read_csv(output, keep_default_na=False, na_values={"std": "", "mean": ""})
    markdown, latex = (output.with_suffix(suffix).read_text() for suffix in (".md", ".tex"))
    for row in numbers[numbers["metric"].isin(tables.SHOWN)].itertuples():
        text = f"{row.mean:.2f} ± {row.std:.2f}"
        assert text in markdown
        assert text.replace("±", r"$\pm$") in latex
    assert "Config sha256 abc123." in markdown


def test_two_structures_are_refused(scores, tmp_path, monkeypatch):
    scores.loc[0, "structure"] = "spleen"
    scores.to_csv(tmp_path / "scores.csv", index=False)
    arguments = [f"--scores={tmp_path / 'scores.csv'}", "--modalities", "ct", "--methods", "single", "--dataset=chaos"]
    monkeypatch.setattr(sys, "argv", ["tables", *arguments, f"--output={tmp_path / 'out' / 'table.csv'}"])
    with pytest.raises(InputError, match="liver, spleen, expected one structure"):
        tables.main()
    assert not (tmp_path / "out").exists()
