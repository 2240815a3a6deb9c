import re

import pandas as pd
import pytest

from enrich.tables.layout import Block, Cell, Column, Table, latex, markdown, write
from enrich.tables.metrics import METRIC, p_text
from tests.enrich.tables.conftest import printed_rows

TABLE = Table(
    label="made-up",
    columns=[
        Column("Method", numeric=False),
        Column("CT", "DICE (%) ↑"),
        Column("T1w", "DICE (%) ↑"),
        Column("Failed"),
    ],
    blocks=[
        Block("Controls", [[Cell("a|b_*c*"), Cell("90.00 ± 1.00 [0.10]", bold=True), Cell(), Cell("0")]]),
        Block("", [[Cell("50% & more"), Cell("80.00", mark="*"), Cell("81.00", bold=True, mark="†"), Cell("1")]]),
    ],
    caption="What_it shows: α ≤ 0.05.",
    notes=("A note × 2.",),
)


def test_markdown_has_headings_marks_and_escapes():
    rows = printed_rows(markdown(TABLE))
    assert rows["*Controls*"]["DICE (%) ↑ CT"] == ""
    text = markdown(TABLE)
    assert r"| a\|b\_\*c\* | **90.00 ± 1.00 \[0.10\]** | – | 0 |" in text
    assert r"| 50% & more | 80.00\* | **81.00**† | 1 |" in text
    assert text.endswith("\n\nWhat\\_it shows: α ≤ 0.05.\n\nA note × 2.\n")


def test_latex_has_equal_rows_groups_and_escapes():
    text = latex(TABLE)
    body = [line for line in text.splitlines() if line.endswith(r"\\") and "multicolumn" not in line]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {3}
    assert r" & \multicolumn{2}{c}{DICE (\%) $\uparrow$} &  \\" in text
    assert r"\cmidrule(lr){2-3}" in text
    assert r"\multicolumn{4}{l}{\emph{Controls}} \\" in text
    assert r"\textbf{90.00 $\pm$ 1.00 {[}0.10]}" in text
    assert r"50\% \& more & 80.00\textsuperscript{*} & \textbf{81.00}\textsuperscript{$\dagger$} & 1 \\" in text
    assert r"\label{tab:made-up}" in text
    assert not re.search(r"[^\x00-\x7f]", text)


def test_three_files_or_none(tmp_path):
    write(pd.DataFrame({"a": [1]}), [TABLE, TABLE], tmp_path / "t" / "made.csv")
    names = [f"made.{kind}{seal}" for kind in ("csv", "md", "tex") for seal in ("", ".sha256")]
    assert sorted(path.name for path in (tmp_path / "t").iterdir()) == names
    assert (tmp_path / "t" / "made.md").read_text().count("| Method |") == 2
    assert (tmp_path / "t" / "made.tex").read_text().count(r"\begin{table}") == 2


@pytest.mark.parametrize(
    ("metric", "numbers", "text"),
    [
        ("dice_percent", (94.5, 2.12132, 0.304), "94.50 ± 2.12 [0.30]"),
        ("dice_percent", (80.0, float("nan")), "80.00"),
        ("psnr_db", (float("inf"), float("nan")), "∞"),
        ("kid", (-0.00021, float("nan")), "−0.000210"),
        ("ssim", (float("nan"), 1.0), "–"),
    ],
)
def test_means_in_print(metric, numbers, text):
    assert METRIC[metric].spread(*numbers) == text


def test_best_knows_its_direction():
    assert METRIC["dice_percent"].best([1.0, 2.004, 2.0, float("nan")]) == 2.0
    assert METRIC["ravd_percent"].best([1.0, 2.0]) == 1.0
    assert METRIC["slice_consistency"].best([1.0, 2.0]) != METRIC["slice_consistency"].best([1.0, 2.0])  # NaN
    assert (METRIC["fid"].header, METRIC["slice_consistency"].header) == ("FID ↓", "Slice consistency")


@pytest.mark.parametrize(
    ("p", "text"), [(0.0504, "0.0504"), (0.0496, "0.0496"), (1.0, "1"), (0.00195, "0.00195"), (2e-6, "< 0.0001")]
)
def test_p_in_print_tells_on_which_side_of_the_level_it_lies(p, text):
    assert p_text(p) == text
