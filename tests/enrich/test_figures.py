import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from enrich import index, volume
from enrich.columns import METRICS
from enrich.figures import label_budget, segmentation, translation
from enrich.intensity import Intensity
from enrich.score import COLUMNS
from enrich.tables import label_budget as budgets
from gan.errors import InputError
from gan.files import publish_json, sha256
from tests.enrich.prepared import write_scans

MODALITIES = ["ct", "t1", "t2"]
TEST = ["ct02", "mr01"]


@pytest.fixture
def scans_csv(tmp_path, scans):
    write_scans(scans, tmp_path / "scans.csv")
    splits = {"train": ["ct01", "mr02"], "watch": [], "test": TEST, "unlabelled": []}
    publish_json(tmp_path / "splits.json", splits)
    return tmp_path / "scans.csv"


@pytest.fixture
def synthetic(tmp_path, scans_csv):
    """Return a function that writes an index of translations in which a slice's grey grows along its columns."""

    def write(method, highest):
        folder = tmp_path / method
        rows = []
        for _, scan in index.read(scans_csv).iterrows():
            source = volume.read(scans_csv.parent / scan["image"])
            axial = volume.reorient(source, "LPS")
            for target in MODALITIES:
                lowest, top = (864, 1264) if target == "ct" else (0, 1000)
                ramp = np.linspace(lowest, lowest + highest * (top - lowest), axial.array.shape[2])
                planes = axial.with_array(np.broadcast_to(ramp, axial.array.shape).astype(np.int16))
                path = folder / f"{scan['case']}_{scan['modality']}_to_{target}.nii.gz"
                volume.write(volume.reorient(planes, source.orientation), path)
                rows.append((scan["case"], scan["modality"], target, path.name, sha256(path)))
        index.write(pd.DataFrame(rows, columns=["case", "source", "target", "image", "sha256"]), folder / "index.csv")
        return folder / "index.csv"

    return write


def reds(path):
    """Count the pixels of a figure that are red."""
    red, green, blue = np.asarray(Image.open(path).convert("RGB"), int).transpose(2, 0, 1)
    return int(((red > 200) & (green < 60) & (blue < 60)).sum())


def scores(undefined=0):
    generator = np.random.default_rng(0)
    rows = [
        dict.fromkeys(METRICS, generator.uniform(80, 95))
        | {"patient": f"{modality}{k}", "case": f"{modality}{k}", "modality": modality, "method": method, "seed": 0}
        | {"structure": "liver", "reference_ml": 1.0, "prediction_ml": 1.0, "note": ""}
        for modality in MODALITIES
        for method in ("single", "targan")
        for k in range(5)
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.loc[: undefined - 1, "ravd_percent"] = np.nan
    return table


def test_source_is_the_axial_slice_with_the_largest_target(scans_csv):
    source = translation.pick_source(scans_csv, TEST, "ct", Intensity())
    assert source.case == "ct02"  # stored in another orientation than LPS
    label = volume.reorient(volume.read(scans_csv.parent / "scans" / "ct02_ct_label.nii.gz"), "LPS")
    areas = label.array.sum(axis=(1, 2))
    assert source.target.sum() == areas.max() == areas[source.slice]
    assert source.grey.shape == source.target.shape == label.array.shape[1:]
    assert source.aspect == pytest.approx(label.spacing_mm[1] / label.spacing_mm[0])
    assert source.aspect != 1
    assert 0 <= source.grey.min() < source.grey.max() <= 1
    # CT 110 HU between -160 and 240
    assert source.grey[source.target].mean() == pytest.approx(270 / 400, abs=0.02)


@pytest.mark.parametrize("target", MODALITIES)
@pytest.mark.parametrize("modality", ["ct", "t1"])
def test_translations_are_shown_axial_from_black_to_white(scans_csv, synthetic, modality, target):
    source = translation.pick_source(scans_csv, TEST, modality, Intensity())
    shown = translation.read_translation(synthetic("targan", highest=1), source, target, Intensity())
    assert shown.shape == source.grey.shape
    expected = np.broadcast_to(np.linspace(0, 1, shown.shape[1]), shown.shape)
    assert np.abs(shown - expected).max() < 1 / 300


def test_a_scan_and_its_translation_to_ct_are_shown_in_the_window_of_the_config(scans_csv, synthetic):
    wide = Intensity(ct_window_hu=(-560, 640))  # three times as wide, about the same middle
    narrow, source = (translation.pick_source(scans_csv, TEST, "ct", window) for window in (Intensity(), wide))
    assert source.grey[source.target].mean() == pytest.approx(670 / 1200, abs=0.02)
    inside = (narrow.grey > 0) & (narrow.grey < 1)
    np.testing.assert_allclose(source.grey[inside], (narrow.grey[inside] + 1) / 3, atol=1e-5)
    path, source = synthetic("targan", highest=1), translation.pick_source(scans_csv, TEST, "t1", wide)
    shown = [translation.read_translation(path, source, "ct", window) for window in (Intensity(), wide)]
    np.testing.assert_allclose(shown[1], (shown[0] + 1) / 3, atol=1e-5)


def test_translation_figure_has_a_contour_in_every_panel_and_equal_bytes(scans_csv, synthetic, tmp_path, monkeypatch):
    indexes = [f"{method}={synthetic(method, highest)}" for method, highest in (("stargan", 0.5), ("targan", 1))]
    arguments = [f"--scans={scans_csv}", f"--splits={tmp_path / 'splits.json'}", "--modalities", *MODALITIES]
    paths = [tmp_path / "figures" / f"{k}.png" for k in range(2)]
    for path in paths:
        options = ["--intensity={}", '--titles-json={"targan": "TarGAN"}', f"--output={path}"]
        monkeypatch.setattr(sys, "argv", ["translation", *arguments, "--synthetic", *indexes, *options])
        translation.main()
    assert paths[0].read_bytes() == paths[1].read_bytes()
    options = ["--intensity={}", f"--output={tmp_path / 'one.png'}"]
    monkeypatch.setattr(sys, "argv", ["translation", *arguments, "--synthetic", indexes[0], *options])
    translation.main()
    assert reds(paths[0]) > 6 * 3 * 100
    assert reds(paths[0]) == pytest.approx(reds(tmp_path / "one.png") * 3 / 2, rel=0.1)


def test_translation_figure_needs_every_direction_once(scans_csv, synthetic):
    path = synthetic("targan", 1)
    source = translation.pick_source(scans_csv, TEST, "ct", Intensity())
    rows = index.read(path)
    index.write(rows[rows["target"] != "t2"], path)
    with pytest.raises(InputError, match="0 translations, expected ct02 from ct to t2 once"):
        translation.read_translation(path, source, "t2", Intensity())


def test_a_translation_on_another_grid_is_refused(scans_csv, synthetic):
    path = synthetic("targan", 1)
    source = translation.pick_source(scans_csv, TEST, "ct", Intensity())
    rows = index.read(path)
    rows["case"] = rows["case"].map({"ct01": "ct02"})
    index.write(rows.dropna(), path)
    with pytest.raises(InputError, match="a grid of"):
        translation.read_translation(path, source, "t1", Intensity())


def test_translation_figure_needs_a_test_scan_that_shows_the_target(scans_csv):
    with pytest.raises(InputError, match="no test scan of flair that shows the target"):
        translation.pick_source(scans_csv, TEST, "flair", Intensity())
    rows = index.read(scans_csv)
    assert translation.pick_source(scans_csv, TEST, "ct", Intensity()).case == rows["case"][1]
    rows.loc[1, "target_ml"] = 0
    index.write(rows, scans_csv)
    with pytest.raises(InputError, match="no test scan of ct that shows the target"):
        translation.pick_source(scans_csv, TEST, "ct", Intensity())


def test_segmentation_figure_is_reproducible(tmp_path, monkeypatch):
    index.write(scores(), tmp_path / "scores.csv")
    paths = [tmp_path / f"{k}.png" for k in range(2)]
    arguments = [f"--scores={tmp_path / 'scores.csv'}", "--structure=liver", "--modalities", *MODALITIES]
    arguments += ["--methods", "single", "targan"]
    for path in paths:
        monkeypatch.setattr(sys, "argv", ["segmentation", *arguments, f"--output={path}"])
        segmentation.main()
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_segmentation_figure_shows_every_patient_and_says_what_it_leaves_out():
    figure = segmentation.draw(scores(undefined=2), MODALITIES, ["single", "targan"], {"targan": "TarGAN"})
    panels = np.array(figure.axes).reshape(3, 2)
    points = [[sum(len(dots.get_offsets()) for dots in panel.collections) for panel in line] for line in panels]
    assert points == [[10, 8], [10, 10], [10, 10]]
    assert [panel.get_xlabel() for panel in panels[-1]] == ["DICE (%), higher is better", "RAVD (%), lower is better"]
    assert [panel.get_title(loc="left") for panel in panels[:, 0]] == ["CT", "T1w", "T2w"]
    assert panels[0, 1].get_title(loc="left") == "CT (2 of 10 values undefined, not drawn)"
    assert [tick.get_text() for tick in panels[0, 0].get_yticklabels()] == ["single", "TarGAN"]


def test_label_budget_figure_has_a_line_for_each_method_and_share():
    single = scores().query("method == 'single'")
    shares = [
        single.assign(method=name, dice_percent=single["dice_percent"] - less)
        for name, less in (
            *(("single@labels25", 20), ("single@labels50", 10)),
            *(("ada", -2), ("ada@labels25", 5), ("ada@synthetic50", 1), ("ada@labels25@synthetic50", 7)),
        )
    ]
    table = budgets.summarize(pd.concat([single, *shares]), 200, 0)
    row = table.query("modality == 'ct' and method == 'single' and labels == 25").iloc[0]
    own = single.query("modality == 'ct'")["dice_percent"]
    assert row["mean"] == pytest.approx(own.mean() - 20)
    assert row["low"] < row["mean"] < row["high"]
    panels = np.array(label_budget.draw(table, MODALITIES, {"ada": "ADA"}).axes).reshape(2, 3)
    labels, synthetic = ({line.get_label(): line for line in panel.get_lines()} for panel in panels[:, 0])
    assert labels["single"].get_xdata().tolist() == [25, 50, 100]
    assert labels["single"].get_ydata() == pytest.approx(own.mean() - np.array([20, 10, 0]))
    assert labels["ADA"].get_xdata().tolist() == [25, 100]
    assert synthetic.keys() == {"ADA", "ADA, 25 % of labels"}
    assert synthetic["ADA, 25 % of labels"].get_xdata().tolist() == [0, 50, 100]
    assert synthetic["ADA, 25 % of labels"].get_ydata() == pytest.approx(own.mean() - np.array([20, 7, 5]))
    with pytest.raises(InputError, match="no row of a smaller budget"):
        label_budget.draw(table.query("labels == 100 and synthetic == 100"), MODALITIES, {})


def test_label_budget_figure_is_reproducible(tmp_path, monkeypatch):
    scored = scores().replace({"method": {"targan": "single@labels25"}})
    index.write(budgets.summarize(scored, 100, 0), tmp_path / "label_budget.csv")
    paths = [tmp_path / f"{k}.png" for k in range(2)]
    arguments = [f"--table={tmp_path / 'label_budget.csv'}", "--modalities", *MODALITIES]
    for path in paths:
        monkeypatch.setattr(sys, "argv", ["label_budget", *arguments, f"--output={path}"])
        label_budget.main()
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_segmentation_figure_needs_scores_of_every_method():
    with pytest.raises(InputError, match="no score of stargan on ct"):
        segmentation.draw(scores(), MODALITIES, ["single", "stargan"], {})
