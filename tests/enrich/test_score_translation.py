import sys

import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy

from enrich import gather, index, score_translation, volume
from enrich.columns import TABLES
from enrich.metrics.image import mutual_information_nats, psnr_db, ssim
from enrich.translations import read_picture
from gan.errors import InputError
from tests.enrich.translated import INTENSITY, write_study

IDENTITY = {"method": "targan", "seed": 1}


@pytest.fixture
def study(tmp_path):
    return write_study(tmp_path)


def same(mask):
    return mask


def nothing(mask):
    return 0 * mask


@pytest.fixture
def predictions(study):
    """Segmentations of every translation: of those to T1 the label, of T1 in CT nothing."""
    return {
        "t1": study.predictions("t1", {("ct02", "ct"): same, ("mr02", "t2"): same}),
        "t2": study.predictions("t2", {("mr02", "t1"): same}),
        "ct": study.predictions("ct", {("mr02", "t1"): nothing}),
    }


def run(monkeypatch, main, *arguments):
    monkeypatch.setattr(sys, "argv", ["program", *map(str, arguments)])
    main()


def scored(study, predictions, synthetic=True):
    path = study.synthetic if synthetic else None
    table = score_translation.score(study.scans, study.splits, path, predictions, INTENSITY, IDENTITY)
    return table.set_index(["case", "source", "target"])


def test_s_score_is_the_dice_with_the_label_of_the_source(study, predictions):
    found = scored(study, predictions)
    assert found["s_score_percent"].to_dict() == {
        ("ct02", "ct", "t1"): 100, ("mr02", "t1", "t2"): 100, ("mr02", "t1", "ct"): 0, ("mr02", "t2", "t1"): 100,
    }  # fmt: skip
    assert found["fit"].to_dict()["ct02", "ct", "t1"] == "all"
    assert set(found["fit"]) == {"all", "fold1"}


def test_s_score_of_half_an_overlap(study):
    def shifted(mask):
        return np.roll(mask, 2, axis=2)

    label = volume.read(study.root / study.row("mr02", "t1")["label"]).array > 0
    overlap = np.count_nonzero(label & shifted(label))
    found = scored(study, {"ct": study.predictions("ct", {("mr02", "t1"): shifted})})
    assert 0 < overlap < label.sum()
    assert found["s_score_percent"].tolist() == [pytest.approx(100 * overlap / label.sum())]


def test_aligned_translations_are_compared_with_the_real_scan(study, predictions):
    found = scored(study, predictions)
    perfect = found.loc["mr02", "t1", "t2"]
    assert perfect["psnr_db"] > 60  # but for whole grey values, an error of at most 0.001: 20·log10(2 / 0.001) = 66
    assert perfect["ssim"] > 0.999
    assert perfect["mae_in_target"] < 0.001
    t1, t2 = (read_picture(study.scans, study.row("mr02", name), INTENSITY) for name in ("t1", "t2"))
    expected = mutual_information_nats(t2.images, t1.images, t1.body)
    assert perfect["mi_nats"] == pytest.approx(expected, abs=0.01)
    for unpaired in (("ct02", "ct", "t1"), ("mr02", "t1", "ct")):
        assert found.loc[unpaired, ["psnr_db", "ssim", "mae_in_target"]].isna().all()
        assert found.loc[unpaired, ["mi_nats", "slice_consistency"]].notna().all()


def test_the_floor_is_the_source_against_the_target(study):
    floor = study.predictions("t2", {("ct02", "ct"): nothing, ("mr02", "t1"): same})
    row = scored(study, {"t2": floor}, synthetic=False).loc["mr02", "t1", "t2"]
    t1, t2 = (read_picture(study.scans, study.row("mr02", name), INTENSITY) for name in ("t1", "t2"))
    assert row["psnr_db"] == pytest.approx(psnr_db(t1.images, t2.images, t1.body), abs=0.1)
    assert row["ssim"] == pytest.approx(ssim(t1.images, t2.images, t1.body), abs=0.01)
    assert row["slice_consistency"] == pytest.approx(1, abs=0.01)
    histograms = [np.histogram(t1.images[z][t1.body[z]], bins=64, range=(-1, 1))[0] for z in range(6)]
    assert row["mi_nats"] == pytest.approx(np.mean([entropy(counts) for counts in histograms]), abs=0.05)


def test_what_was_not_segmented_or_lies_elsewhere_is_refused(study, predictions):
    with pytest.raises(InputError, match="no segmentation of ct02 from ct, expected one"):
        scored(study, {"t1": study.predictions("t1", {("mr02", "t2"): same})})
    path = study.predictions("ct", {("mr02", "t1"): same})
    moved = volume.read(path.parent / "mr02_t1.nii.gz")
    volume.write(volume.Volume(moved.array, moved.spacing_mm), path.parent / "mr02_t1.nii.gz")
    with pytest.raises(InputError, match=r"mr02_t1\.nii\.gz: found sha256"):
        scored(study, {"ct": path})


def test_the_ceiling_is_of_real_scans(study):
    paths = {
        "ct": study.predictions("ct", {("ct02", "ct"): same}, index.PREDICTIONS),
        "t1": study.predictions("t1", {("mr02", "t1"): nothing}, index.PREDICTIONS),
    }
    found = score_translation.score_real(study.scans, study.splits, paths, {"method": "real", "seed": 0})
    assert found[["source", "target", "s_score_percent"]].to_numpy().tolist() == [["ct", "ct", 100], ["t1", "t1", 0]]
    assert found[["psnr_db", "mi_nats", "slice_consistency"]].isna().all(axis=None)
    del paths["ct"]
    empty = study.predictions("t1", {("mr01", "t1"): same}, index.PREDICTIONS)
    with pytest.raises(InputError, match="no segmentation of mr02"):
        score_translation.score_real(study.scans, study.splits, {"t1": empty}, {"method": "real", "seed": 0})


def test_command_lines_of_translator_floor_and_ceiling_to_one_table(study, predictions, tmp_path, monkeypatch):
    paths = [f"{target}={path}" for target, path in predictions.items()]
    floor = study.predictions("t2", {("ct02", "ct"): nothing, ("mr02", "t1"): same})
    real = study.predictions("t1", {("mr02", "t1"): nothing}, index.PREDICTIONS)
    options = {
        "targan": ["--synthetic", study.synthetic, "--predictions", *paths],
        "copy": ["--predictions", f"t2={floor}"],
        "real": ["--predictions", f"t1={real}"],
    }
    for method, own in options.items():
        where = ["--method", method, "--seed", 1, "--output", tmp_path / f"{method}.csv"]
        run(monkeypatch, score_translation.main, *study.arguments, *own, *where)
    files = [tmp_path / f"{method}.csv" for method in options]
    output = tmp_path / "translation.csv"
    run(monkeypatch, gather.main, *files, "--table", "translation", "--output", output)
    table = gather.read_scores(output, TABLES["translation"])
    assert list(table.columns) == score_translation.COLUMNS
    assert table["method"].value_counts().to_dict() == {"targan": 4, "copy": 2, "real": 1}
    expected = score_translation.score(study.scans, study.splits, study.synthetic, predictions, INTENSITY, IDENTITY)
    found = table[table["method"] == "targan"].set_index(["case", "source", "target"])
    expected = expected.set_index(["case", "source", "target"]).loc[found.index]
    pd.testing.assert_frame_equal(found, expected[list(found.columns)], check_exact=True)


def test_a_translator_needs_an_index_and_the_floor_none(study, predictions, monkeypatch, capsys, tmp_path):
    common = [
        *study.arguments,
        "--seed",
        0,
        "--output",
        tmp_path / "no.csv",
        "--predictions",
        f"t2={predictions['t2']}",
    ]
    for wrong in (["--method", "targan"], ["--method", "copy", "--synthetic", study.synthetic]):
        with pytest.raises(SystemExit):
            run(monkeypatch, score_translation.main, *common, *wrong)
        assert "--synthetic is for every method but copy and real" in capsys.readouterr().err
    assert not (tmp_path / "no.csv").exists()
