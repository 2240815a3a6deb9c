"""The parts of the report by themselves."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from enrich.columns import METRICS
from enrich.report import __main__ as report
from enrich.report import curves, pictures, tables
from enrich.report.comparisons import reading, summary
from enrich.report.distributions import distributions
from enrich.report.facts import commit
from enrich.report.slider import slices_through
from enrich.volume import Volume
from gan.errors import InputError
from gan.files import seal
from tests.enrich.report.run_tree import pixels


@pytest.mark.parametrize(
    ("difference", "colour"), [(0, [26, 9, 5]), (pictures.DIFFERENCE_LIMIT, [255, 173, 173]), (-9, [158, 176, 255])]
)
def test_a_difference_is_dark_where_there_is_none(difference, colour):
    found = pixels(pictures.difference_picture(np.full((8, 8), difference, float), pictures.Size(8, 8)))
    assert np.abs(found[4, 4].astype(int) - colour).max() < 12  # the ends and the middle of matplotlib's berlin


def test_an_outline_runs_along_the_edges_of_the_mask():
    mask = np.zeros((4, 8), bool)
    mask[1:3, 2:6] = True  # rows 1 and 2, columns 2 to 5: from 1 to 3 and from 2 to 6 in pixels
    numbers = [float(value) for value in re.findall(r"[\d.]+", pictures.outline(mask, pictures.Size(80, 40)))]
    assert (min(numbers[::2]), max(numbers[::2])) == pytest.approx((20, 60), abs=0.5)
    assert (min(numbers[1::2]), max(numbers[1::2])) == pytest.approx((10, 30), abs=0.5)
    assert pictures.outline(np.zeros((4, 8), bool), pictures.Size(80, 40)) == ""
    assert pictures.outline(np.ones((4, 8), bool), pictures.Size(80, 40)).startswith("M")


def test_pictures_have_square_pixels_and_are_never_enlarged():
    grid = Volume(np.zeros((2, 100, 50), np.uint8), (1.0, 2.0, 5.0))  # 200 mm high, 50 mm wide
    assert pictures.size_of(grid, 1000) == pictures.Size(50, 200)
    assert pictures.size_of(grid, 100) == pictures.Size(25, 100)


def test_slices_go_through_the_target():
    mask = np.zeros((20, 2, 2), bool)
    mask[5:10] = True
    assert slices_through(mask, 7) == [4, 5, 6, 7, 8, 9, 10]
    assert slices_through(mask, 3) == [4, 7, 10]
    assert slices_through(mask, 1) == [7]
    assert slices_through(np.zeros((20, 2, 2), bool), 2) == [0, 19]


ROW = {"family": "primary", "method": "targan", "metric": "ravd_percent", "modality": "ct", "reference": "single"}


@pytest.mark.parametrize(
    ("family", "significant", "effect", "said"),
    [
        ("primary", True, -1.0, "significantly better"),  # less RAVD
        ("primary", True, 1.0, "significantly worse"),
        ("primary", False, -1.0, "no difference shown"),
        ("exploratory", False, -1.0, "exploratory: p not corrected, never called significant"),
    ],
)
def test_only_what_is_significant_is_called_better(family, significant, effect, said):
    row = ROW | {"family": family, "significant": significant, "effect": effect, "difference": 2 * effect}
    assert reading(row) == said
    if family == "primary":
        than = " than Single" if significant else ""
        found = summary(pd.DataFrame([row]), {"targan": "TarGAN", "single": "Single"})
        assert found == f"TarGAN: {said}{than} in RAVD on CT."


def test_a_mean_that_its_ranks_contradict_is_called_neither_better_nor_worse():
    row = ROW | {"family": "primary", "significant": True, "effect": 0.8, "difference": -2.0}
    assert reading(row) == "significantly other (mean and ranks disagree)"


PRINTED = r"""| Method | DICE (%) ↑ CT | Note |
| --- | ---: | --- |
| *Controls* |  |  |
| Single | 93.00 ± 1.00 | a \| b |
| *Published (Chen et al. 2021)* |  |  |
| Star\_GAN | **−1,234.5 ± 2.00 \[0.10\]**\* |  |
| Zero | – | † |

Caption with 2 \* 3.

A note.

| A |
| ---: |
| ∞ |

Other caption.
"""


def test_tables_are_read_as_they_are_printed(tmp_path):
    path = tmp_path / "segmentation.md"
    path.write_text(PRINTED)
    seal(path)
    first, second = tables.read_tables(path)
    assert (first.name, second.name) == ("segmentation", "segmentation-2")
    assert (first.caption, first.notes, second.caption, second.notes) == (
        "Caption with 2 * 3.",
        ["A note."],
        "Other caption.",
        [],
    )
    assert [column.numeric for column in first.columns] == [False, True, False]
    single, star, zero = first.lines
    assert (single.block, single.published, star.published) == ("Controls", False, True)
    assert single.cells[2].text == "a | b"
    assert star.cells[0].text == "Star_GAN"
    assert star.cells[1] == tables.Cell("−1,234.5 ± 2.00 [0.10]", -1234.5, "*", bold=True)
    assert zero.cells[1] == tables.Cell("–", None)
    assert second.lines[0].cells[0].order == "Infinity"  # what JavaScript reads as a number


def test_other_files_than_tables_are_refused(tmp_path):
    path = tmp_path / "segmentation.md"
    with pytest.raises(InputError, match="no such file"):
        tables.read_tables(path)
    path.write_text("Nothing.")
    seal(path)
    with pytest.raises(InputError, match="no table"):
        tables.read_tables(path)
    path.write_text("| A | B |\n| --- | --- |\n| 1 |\n")
    seal(path)
    with pytest.raises(InputError, match="rows of different length"):
        tables.read_tables(path)


def test_an_epoch_that_was_trained_twice_counts_once(tmp_path):
    for fold, dice in (("0", 0.5), ("1", 0.7)):
        folder = tmp_path / f"results/Dataset001_enriched/model/fold_{fold}"
        folder.mkdir(parents=True)
        text = "2026: Epoch 0\n2026: train_loss -0.1\nPseudo dice [np.float32(0.1)]\n"
        (folder / "training_log_1.txt").write_text(text)
        text = f"2026: Epoch 0 \n2026: train_loss nan\nPseudo dice [np.float32({dice})]\nEpoch time: 3 s\n"
        (folder / "training_log_2.txt").write_text(text)
    found = curves._read_nnunet(tmp_path / "predictions" / "index.csv", {"segmentation": "per_modality"}).set_index(
        "quantity"
    )
    assert found.loc["pseudo Dice", "value"] == pytest.approx(0.6)  # mean over folds of the last
    assert np.isnan(found.loc["training loss", "value"])


@pytest.mark.parametrize("run", ["chaos", "gan", "segmenters", "nnunet"])
def test_trainings_are_named_by_their_place_in_a_run_of_any_name(run):
    folder = Path("results") / run
    models = [
        folder / "gan/thin/all/seed0/fold1/model.pt",
        folder / "outer1/gan/thin/all/seed0/model.pt",
        folder / "segmenters/gan/ct/single/seed0/model.pt",
    ]
    assert report._by_method(models, folder, {"thin": "Thin"}) == {
        "Thin": {"all seed0 fold1": models[0], "outer1 all seed0": models[1]},
        "gan": {"ct single seed0": models[2]},
    }
    predictions = [
        (("single", "ct"), folder / "outer1/nnunet/ct/single/seed0/predictions/index.csv"),
        (("segan", "ct"), folder / "segmenters/segan/ct/single/seed0/predictions/index.csv"),
    ]
    assert report._by_modality(predictions, folder, {"single": "Single"}) == {
        "nnU-Net on CT": {"Single outer1 seed0": predictions[0][1]}
    }


def test_long_curves_are_thinned_to_means_and_missing_logs_are_named(tmp_path):
    lines = [f"{number},critic,penalty,{number % 2}\n" for number in range(1, 3001)]
    (tmp_path / "log.csv").write_text("".join(["round,player,term,value\n", *lines]))
    seal(tmp_path / "log.csv")
    steps, values = curves._thinned(np.arange(3000.0), np.arange(3000) % 2.0)
    assert len(steps) == len(values) == curves.POINTS
    assert np.allclose(values, 0.5)
    models = {"here": tmp_path / "model.pt", "gone": tmp_path / "none" / "model.pt"}
    (found,) = curves.gan_curves({"TarGAN": models})
    assert [line.label for line in found.lines] == ["here"]
    assert found.missing == ["gone"]
    assert "critic: penalty" in found.panels[0]
    assert "at the end from 0.5 to 0.5" in found.panels[0]


def test_an_empty_log_is_named(tmp_path):
    (tmp_path / "log.csv").write_text("")
    seal(tmp_path / "log.csv")
    with pytest.raises(InputError, match=r"log\.csv: found an unreadable file"):
        curves.gan_curves({"TarGAN": {"all": tmp_path / "model.pt"}})


def test_a_patient_is_a_line_between_methods_and_what_is_undefined_is_counted():
    values = {("single", "a"): 80.0, ("single", "b"): 90.0, ("targan", "a"): 85.0, ("targan", "b"): np.nan}
    rows = [
        dict.fromkeys(METRICS, value) | {"patient": patient, "method": method, "modality": "ct", "seed": 0, "note": ""}
        for (method, patient), value in values.items()
    ]
    dice, ravd = distributions(pd.DataFrame(rows), ["ct"], {"single": "Single", "targan": "TarGAN"})
    assert (dice.heading, ravd.heading) == ("DICE (%) on CT", "RAVD (%) on CT")
    assert (dice.undefined, dice.count) == (1, 4)
    assert re.findall("<title>(.*?)</title>", dice.plot) == ["a", "b"]
    label = re.search('aria-label="(.*?)"', dice.plot)[1]
    assert label == "DICE (%) on CT, 2 patients. Medians: Single 85.0, TarGAN 85.0."
    assert "higher is better" in dice.plot
    assert "logarithmic above 10" in ravd.plot


def test_the_commit_of_a_checkout_and_none_outside_git(tmp_path):
    assert commit(tmp_path) is None
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert re.fullmatch("[0-9a-f]{40}", head)
    assert commit(tmp_path).startswith(head)
