import json
import sys

import numpy as np
import pandas as pd
import pytest

from enrich import index, published
from enrich.columns import METRICS
from enrich.score import COLUMNS
from enrich.statistics import compare
from enrich.tables import comparisons as comparisons_table
from enrich.tables import segmentation
from enrich.tables.layout import latex, markdown
from gan.errors import InputError
from tests.enrich.tables.conftest import printed_rows

MODALITIES = ["ct", "t1"]
VALUES = {
    ("single", "ct"): {"a": [90.0, 92.0], "b": [95.0, 95.0]},
    ("targan", "ct"): {"a": [96.0, 96.0], "b": [93.0, 93.0]},
    ("single", "t1"): {"c": [80.0, 80.0], "d": [90.0, 90.0]},
    ("targan", "t1"): {"c": [0.0, 82.0], "d": [88.0, 88.0]},
}


def table_of(values):
    """Return scores with the DICE of each seed, RAVD its complement; a DICE of 0 is an empty prediction."""
    rows = [
        dict.fromkeys(METRICS, 1.0)
        | {"patient": patient, "case": patient, "modality": modality, "method": method, "seed": seed}
        | {"structure": "liver", "dice_percent": dice, "ravd_percent": 100 - dice, "reference_ml": 1.0}
        | {"prediction_ml": 1.0, "note": "" if dice else "empty prediction", "hd95_mm": dice or np.nan}
        for (method, modality), patients in values.items()
        for patient, dices in patients.items()
        for seed, dice in enumerate(dices)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


@pytest.fixture
def scores():
    return table_of(VALUES)


def of(summary, method, modality, metric):
    wanted = (summary["method"] == method) & (summary["modality"] == modality) & (summary["metric"] == metric)
    (row,) = summary[wanted].to_dict("records")
    return row


def summarize(scores, study):
    return segmentation.summarize(scores, MODALITIES, study.rows)


def printed(scores, study, compared=None, number=0):
    table = segmentation.layout(study, summarize(scores, study), compared)[number]
    return printed_rows(markdown(table))


def test_mean_and_deviations_over_patients_and_seeds(scores, study):
    row = of(summarize(scores, study()), "single", "ct", "dice_percent")
    assert row["mean"] == (91 + 95) / 2
    assert row["std"] == pytest.approx(8**0.5)  # ddof 1: ((91 − 93)² + (95 − 93)²) / 1
    assert row["seed_std"] == pytest.approx(0.5**0.5)  # of 92.5 and 93.5
    assert (row["n"], row["patients"], row["failures"], row["seeds"]) == (2, 2, 0, 2)


def test_a_failure_is_counted_and_enters_what_is_defined(scores, study):
    summary = summarize(scores, study())
    dice, hd95 = (of(summary, "targan", "t1", metric) for metric in ("dice_percent", "hd95_mm"))
    assert (dice["mean"], dice["n"], dice["failures"]) == ((41 + 88) / 2, 2, 1)
    assert (hd95["mean"], hd95["n"], hd95["patients"], hd95["failures"]) == (88, 1, 2, 1)


def test_the_best_mean_of_a_column_is_bold_and_seeds_are_in_brackets(scores, study):
    rows = printed(scores, study())
    assert rows["TarGAN"]["DICE (%) ↑ CT"] == r"**94.50 ± 2.12 \[0.00\]**"
    assert rows["Single"]["DICE (%) ↑ CT"] == r"93.00 ± 2.83 \[0.71\]"
    assert rows["Single"]["DICE (%) ↑ T1w"].startswith("**85.00")
    assert rows["TarGAN"]["RAVD (%) ↓ CT"].startswith("**5.50")  # lower is better
    assert (rows["TarGAN"]["Patients"], rows["TarGAN"]["Failed"]) == ("2 / 2", "0 / 1")
    assert list(rows) == ["*Controls*", "Single", "*Methods*", "TarGAN", *list(rows)[4:]]


def test_one_seed_has_no_brackets_and_one_patient_no_deviation(scores, study):
    one = scores[(scores["seed"] == 0) & scores["patient"].isin(["a", "c"])]
    assert printed(one, study())["Single"]["DICE (%) ↑ T1w"] == "**80.00**"


def test_the_oracle_is_never_bold(scores, study):
    oracle = scores[scores["method"] == "targan"].assign(method="oracle", dice_percent=99.0)
    rows = printed(pd.concat([scores, oracle]), study(controls=["single", "oracle"]))
    assert rows["Oracle"]["DICE (%) ↑ CT"].startswith("99.00")
    assert rows["TarGAN"]["DICE (%) ↑ CT"].startswith("**94.50")
    assert list(rows).index("Oracle") < list(rows).index("*Methods*")


def test_means_that_print_alike_are_both_bold(scores, study):
    scores.loc[(scores["method"] == "single") & (scores["modality"] == "ct"), "dice_percent"] = 94.4999
    rows = printed(scores, study())
    assert [rows[name]["DICE (%) ↑ CT"][:7] for name in ("Single", "TarGAN")] == ["**94.50", "**94.50"]


def test_what_is_undefined_is_left_out_and_said(scores, study):
    scores.loc[scores["patient"] == "a", ["ravd_percent", "note"]] = [np.nan, "empty reference"]
    scores.loc[scores["modality"] == "t1", ["ravd_percent", "note"]] = [np.nan, "empty reference"]
    row = printed(scores, study())["Single"]
    assert row["RAVD (%) ↓ CT"] == r"**5.00 \[0.00\] (n = 1)**"
    assert row["RAVD (%) ↓ T1w"] == "–"
    assert row["Failed"] == "1 / 2"


def test_a_mean_without_the_patients_who_failed_is_not_the_best(scores, study):
    failed = scores["method"].eq("targan") & scores["patient"].eq("a")
    scores.loc[failed, ["assd_mm", "note"]] = [np.nan, "empty prediction"]
    scores.loc[scores["method"].eq("targan") & ~failed, "assd_mm"] = 0.01  # better than Single on whom it did not fail
    second = segmentation.layout(study(), summarize(scores, study()))[1]
    rows = printed_rows(markdown(second))
    assert rows["TarGAN"]["ASSD (mm) ↓ CT"].startswith("0.01")
    assert "(n = 1)" in rows["TarGAN"]["ASSD (mm) ↓ CT"]
    assert rows["Single"]["ASSD (mm) ↓ CT"].startswith("**")


def test_figures_that_are_published_of_further_metrics_stand_under_their_own_note(scores, study):
    names = ("ct", "t2"), ("t1", "flair")
    scores = scores.replace({"modality": dict(names)})
    data = {"reader": "brats", "release": "2018", "folder": "raw"}
    brats = study(data=data, modalities=["t2", "flair"], target="whole_tumour", structures=None)
    (paper,) = published.of("segmentation", "brats", "whole_tumour", ["t2", "flair"])
    figures = segmentation.literature(paper, brats.modalities)
    ours = segmentation.summarize(scores, brats.modalities, brats.rows)
    first, second = segmentation.layout(brats, pd.concat([ours, figures]))
    assert not any("Xin" in text for text in [*first.notes, *(block.heading for block in first.blocks)])
    assert second.blocks[-1].heading == "Published (Xin et al. 2020, Table 2)"
    assert any(note.startswith("Xin et al. 2020, Table 2: Its DICE is that of slices") for note in second.notes)
    rows = printed_rows(markdown(second))
    assert rows["TC-MGAN"]["Slice DICE (%) ↑ T2w"] == "75.85 ± 35.19"
    assert rows["TC-MGAN"]["Patients"] == "85 / –"


def test_further_metrics_have_a_table_of_their_own(scores, study):
    first, second = segmentation.layout(study(), summarize(scores, study()))
    groups = [{column.group for column in table.columns} - {""} for table in (first, second)]
    assert groups[0] == {"DICE (%) ↑", "RAVD (%) ↓"}
    assert {"Slice DICE (%) ↑", "CHAOS score ↑", "ASSD (mm) ↓", "MSSD (mm) ↓", "HD95 (mm) ↓"} == groups[1]


def ten(shift):
    """Return a cohort of ten in which TarGAN differs by `shift`, more or less."""
    return {("single", modality): {f"{modality}{k}": [80.0 + k] for k in range(10)} for modality in MODALITIES} | {
        ("targan", modality): {f"{modality}{k}": [80.0 + k + shift + k / 100] for k in range(10)}
        for modality in MODALITIES
    }


@pytest.mark.parametrize(("shift", "mark"), [(2, "*"), (-2, "†"), (-0.045, "")])
def test_only_what_is_significant_is_marked(study, shift, mark):
    scores, plain = table_of(ten(shift)), study()
    compared = compare(scores, MODALITIES, ["single", "targan"], plain.design)
    (paper,) = published.of("segmentation", "chaos", "liver", ["ct"])
    summary = pd.concat([summarize(scores, plain), segmentation.literature(paper, MODALITIES)])
    table = segmentation.layout(plain, summary, compared)[0]
    marks = [[cell.mark for cell in row] for block in table.blocks for row in block.rows]
    assert len(marks) == 2 + 5
    assert marks[0] == [""] * 8  # Single
    assert marks[1] == ["", "", mark, mark, "", "", "", ""]  # DICE alone: other metrics are exploratory
    assert not any(mark for row in marks[2:] for mark in row)  # published
    text = markdown(segmentation.layout(plain, summarize(scores, plain), compared)[0])
    assert "p ≤ 0.05 after Holm over m = 2 primary comparisons (1 methods × 2 modalities)" in text
    assert "the smallest exact two-sided p is 0.00195, times the 2 comparisons 0.00391" in text


def test_a_table_without_comparisons_says_so(scores, study):
    assert "No difference is tested." in segmentation.layout(study(), summarize(scores, study()))[0].notes


def test_published_figures_stand_apart_from_ours(scores, study):
    scores.loc[scores["modality"] == "ct", "dice_percent"] = 97.06  # as TarGAN's: theirs must not turn bold
    (paper,) = published.of("segmentation", "chaos", "liver", ["ct"])
    summary = pd.concat([summarize(scores, study()), segmentation.literature(paper, MODALITIES)])
    table = segmentation.layout(study(), summary)[0]
    assert table.blocks[-1].heading == "Published (Chen et al. 2021, Table 2)"
    theirs = {row[0].text: [cell.text for cell in row] for row in table.blocks[-1].rows}
    assert theirs["TarGAN"][1:6] == ["all modalities", "97.06 ± 0.62", "94.02 ± 2.00", "2.33 ± 1.60", "3.50 ± 1.82"]
    assert len(theirs) == 5
    assert not any(cell.bold for row in table.blocks[-1].rows for cell in row)


def test_segmenters_that_were_scored_on_other_cases_are_refused(scores, study):
    with pytest.raises(InputError, match=r"targan \(seed 1\).*differ on ct in b"):
        summarize(scores.drop(scores.query("method == 'targan' and seed == 1 and patient == 'b'").index), study())
    with pytest.raises(InputError, match="no score of targan on t1"):
        summarize(scores.query("not (method == 'targan' and modality == 't1')"), study())


def run(module, monkeypatch, study, **options):
    arguments = [f"--{name}={value}" for name, value in options.items()]
    monkeypatch.setattr(sys, "argv", ["table", f"--config-json={json.dumps(study.config)}", *arguments])
    module.main()


def test_command_lines_write_the_same_numbers_three_times(scores, study, tmp_path, monkeypatch):
    index.write(scores, tmp_path / "scores.csv")
    comparisons = tmp_path / "tables" / "comparisons.csv"
    run(comparisons_table, monkeypatch, study(), scores=tmp_path / "scores.csv", output=comparisons)
    output = tmp_path / "tables" / "segmentation.csv"
    files = {"scores": tmp_path / "scores.csv", "comparisons": comparisons, "output": output}
    run(segmentation, monkeypatch, study(), **files)
    assert sorted(path.name for path in output.parent.glob("segmentation.*") if path.suffix != ".sha256") == [
        f"segmentation.{kind}" for kind in ("csv", "md", "tex")
    ]
    numbers = pd.read_csv(output, keep_default_na=False, na_values={"std": "", "mean": ""})
    text, tex = (output.with_suffix(suffix).read_text() for suffix in (".md", ".tex"))
    for row in numbers[numbers["metric"].isin(segmentation.MAIN)].itertuples():
        spread = f"{row.mean:.2f} ± {row.std:.2f}"
        assert spread in text
        assert spread.replace("±", r"$\pm$") in tex
    assert f"Config sha256 {study().sha256}." in text
    assert "could have been significant" in text  # two patients cannot show anything


def test_every_other_structure_has_a_table_of_its_own(scores, study, tmp_path, monkeypatch):
    spleen = scores[scores["modality"] == "t1"].assign(structure="spleen", dice_percent=50.0)
    index.write(pd.concat([scores, spleen]), tmp_path / "scores.csv")
    compared = tmp_path / "tables" / "comparisons.csv"
    run(comparisons_table, monkeypatch, study(), scores=tmp_path / "scores.csv", output=compared)
    output = tmp_path / "tables" / "segmentation.csv"
    run(segmentation, monkeypatch, study(), scores=tmp_path / "scores.csv", comparisons=compared, output=output)
    table = pd.read_csv(output)
    ours = table[table["source"] == "this run"]
    assert set(ours["modality"][ours["structure"] == "spleen"]) == {"t1"}
    means = ours[(ours["structure"] == "spleen") & (ours["metric"] == "dice_percent")]["mean"]
    assert means.tolist() == [50.0, 50.0]
    first, last = (output.with_suffix(".md").read_text().split("Segmentation of the ")[k] for k in (0, 2))
    assert "DICE (%) ↑ CT" in first
    assert last.startswith("spleen")
    tested = comparisons_table.read(compared)
    assert set(tested["family"][tested["structure"] == "spleen"]) == {"exploratory"}
    assert set(tested["structure"][tested["family"] == "primary"]) == {"liver"}


def test_a_study_without_its_target_is_refused(scores, study, tmp_path, monkeypatch):
    index.write(scores.assign(structure="spleen"), tmp_path / "scores.csv")
    files = {"scores": tmp_path / "scores.csv", "comparisons": "none", "output": tmp_path / "out" / "table.csv"}
    with pytest.raises(InputError, match="found structures spleen, expected liver"):
        run(segmentation, monkeypatch, study(), **files)
    assert not (tmp_path / "out").exists()


def test_latex_of_the_study_is_ascii(scores, study):
    assert latex(segmentation.layout(study(), summarize(scores, study()))[1]).isascii()


def test_rows_that_are_equal_where_nothing_is_missing_are_explained(study, scores):
    kept = "A case keeps its own real scans as channels"
    for missing in (None, {"source": "mean"}):
        given = study(missing=missing)
        text = markdown(segmentation.layout(given, summarize(scores, given))[0])
        assert (kept in text) is (missing is not None)
