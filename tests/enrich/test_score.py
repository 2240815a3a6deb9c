import sys

import numpy as np
import pandas as pd
import pytest

from enrich import gather, index, score, volume
from enrich.columns import METRICS
from gan.errors import InputError
from gan.files import seal, sha256
from tests.enrich.prepared import write_scans

IDENTITY = {"modality": "ct", "method": "targan", "seed": 0, "structure": "liver"}


@pytest.fixture
def scans_csv(tmp_path, scans):
    write_scans(scans, tmp_path / "scans.csv")
    return tmp_path / "scans.csv"


@pytest.fixture
def predict(tmp_path, scans_csv):
    """Write each reference after a change as that case's prediction; return the index."""

    def write(**changes):
        rows = []
        for case, change in changes.items():
            reference = volume.read(tmp_path / "scans" / f"{case}_ct_label.nii.gz")
            path = tmp_path / "predictions" / f"{case}.nii.gz"
            volume.write(reference.with_array(change(reference.array)), path)
            rows.append((case, path.name, sha256(path)))
        index.write(pd.DataFrame(rows, columns=["case", "image", "sha256"]), tmp_path / "predictions" / "index.csv")
        return tmp_path / "predictions" / "index.csv"

    return write


def example(**changes):
    row = dict.fromkeys(METRICS, 90.0) | {"reference_ml": 1.0, "prediction_ml": 1.0, "note": ""}
    return row | IDENTITY | {"patient": "p1", "case": "p1"} | changes


def write_scores(path, *rows):
    index.write(pd.DataFrame(rows, columns=score.COLUMNS), path)
    return path


def test_a_row_per_case(scans_csv, predict):
    predictions = predict(ct01=lambda mask: mask, ct02=lambda mask: 0 * mask)
    same, lost = score.score(scans_csv, predictions, IDENTITY).to_dict("records")
    assert list(same) == score.COLUMNS
    assert {name: same[name] for name in IDENTITY} == IDENTITY
    assert (same["case"], same["dice_percent"], same["ravd_percent"], same["mssd_mm"], same["note"]) == (
        "ct01", 100, 0, 0, "",
    )  # fmt: skip
    assert same["reference_ml"] == same["prediction_ml"] == pytest.approx(index.read(scans_csv)["target_ml"].iloc[0])
    assert (lost["dice_percent"], lost["ravd_percent"], lost["note"]) == (0, 100, "empty prediction")
    assert lost["prediction_ml"] == 0
    assert np.isnan(lost["hd95_mm"])


def test_distances_follow_the_spacing_of_each_axis(scans_csv, predict):
    def cut(mask):
        columns = np.flatnonzero(mask.any(axis=(0, 1)))
        kept = mask.copy()
        kept[:, :, columns[-1]] = 0
        return kept

    found = score.score(scans_csv, predict(ct01=cut), IDENTITY)
    assert found["mssd_mm"].iloc[0] == pytest.approx(1.5)  # one voxel along x, where spacing is 1.5, 2 and 5 mm


def test_slices_that_the_scan_fills_enter_the_dice_by_slice():
    image = np.zeros((3, 240, 240), np.int16)
    image[1].flat[:2000] = 1
    image[2].flat[:2001] = -7
    assert score.counted_slices(image).tolist() == [False, False, True]


def test_dice_by_slice_is_of_axial_slices(scans_csv, predict):
    """Of a scan whose file has slices of another direction, and air that is not 0: every slice counts."""
    found = score.score(scans_csv, predict(ct02=lambda mask: 0 * mask), IDENTITY)
    label = volume.reorient(volume.read(scans_csv.parent / "scans" / "ct02_ct_label.nii.gz"), "LPS").array
    expected = np.mean([1 / (plane.sum() + 1) for plane in label])
    assert len(label) == 40
    assert found["slice_dice_percent"].iloc[0] == pytest.approx(100 * expected)
    assert found["chaos_score"].iloc[0] == 0


def test_slices_that_the_scan_does_not_fill_are_left_out(scans_csv, predict):
    rows = index.read(scans_csv, index.SCANS)
    path = scans_csv.parent / rows["image"][0]
    image = volume.read(path)
    image.array[0] = 0
    volume.write(image, path)
    rows.loc[0, "image_sha256"] = sha256(path)
    index.write(rows, scans_csv)
    found = score.score(scans_csv, predict(ct01=lambda mask: 0 * mask), IDENTITY)
    label = volume.read(scans_csv.parent / rows["label"][0]).array
    expected = np.mean([1 / (plane.sum() + 1) for plane in label[1:]])
    assert found["slice_dice_percent"].iloc[0] == pytest.approx(100 * expected)


def test_what_was_changed_after_it_was_indexed_is_refused(scans_csv, predict):
    predictions = predict(ct01=lambda mask: mask)
    other = volume.read(predictions.parent / "ct01.nii.gz")
    volume.write(other.with_array(0 * other.array), predictions.parent / "ct01.nii.gz")
    with pytest.raises(InputError, match=r"ct01\.nii\.gz: found sha256"):
        score.score(scans_csv, predictions, IDENTITY)


def test_a_changed_reference_is_refused(scans_csv, predict):
    predictions = predict(ct01=lambda mask: mask)
    path = scans_csv.parent / "scans" / "ct01_ct_label.nii.gz"
    reference = volume.read(path)
    volume.write(reference.with_array(0 * reference.array), path)
    with pytest.raises(InputError, match=r"ct01_ct_label\.nii\.gz: found sha256"):
        score.score(scans_csv, predictions, IDENTITY)


def test_a_case_without_reference_is_refused(scans_csv, predict):
    predictions = predict(ct01=lambda mask: mask)
    with pytest.raises(InputError, match="ct01, expected a labelled t1 scan"):
        score.score(scans_csv, predictions, IDENTITY | {"modality": "t1"})


def test_no_prediction_or_the_same_case_twice_is_refused(scans_csv, predict):
    with pytest.raises(InputError, match="no prediction"):
        score.score(scans_csv, predict(), IDENTITY)
    predictions = predict(ct01=lambda mask: mask)
    rows = index.read(predictions)
    index.write(pd.concat([rows, rows]), predictions)
    with pytest.raises(InputError, match="ct01 twice"):
        score.score(scans_csv, predictions, IDENTITY)


def test_command_lines_from_predictions_to_gathered_scores(scans_csv, predict, tmp_path, monkeypatch):
    predictions = predict(ct01=lambda mask: mask, ct02=lambda mask: np.roll(mask, 1, axis=2))
    options = [f"--{name}={value}" for name, value in IDENTITY.items()]
    output = tmp_path / "scores.csv"
    monkeypatch.setattr(
        sys, "argv", ["score", f"--scans={scans_csv}", f"--predictions={predictions}", *options, f"--output={output}"]
    )
    score.main()
    monkeypatch.setattr(sys, "argv", ["gather", str(output), "--output", str(tmp_path / "all.csv")])
    gather.main()
    expected = score.score(scans_csv, predictions, IDENTITY)
    pd.testing.assert_frame_equal(gather.read_scores(tmp_path / "all.csv"), expected, check_exact=True)


def test_gathering_sorts_and_keeps_every_bit(tmp_path):
    values = np.random.default_rng(0).uniform(80, 100, 4)
    rows = [example(case=f"000{k}", patient=f"000{k}", dice_percent=value) for k, value in enumerate(values)]
    rows[2]["assd_mm"] = np.nan
    first = write_scores(tmp_path / "1.csv", rows[3], rows[1])
    second = write_scores(tmp_path / "2.csv", rows[2], rows[0])
    found = gather.gather([first, second])
    assert list(found["patient"]) == ["0000", "0001", "0002", "0003"]
    assert list(found["dice_percent"]) == list(values)
    assert list(found["assd_mm"].isna()) == [False, False, True, False]
    pd.testing.assert_frame_equal(found, gather.gather([second, first]))


def test_gathering_the_same_score_twice_is_refused(tmp_path):
    path = write_scores(tmp_path / "1.csv", example())
    with pytest.raises(InputError, match="p1 p1 ct targan 0 liver twice"):
        gather.gather([path, path])


def test_other_tables_are_refused(tmp_path):
    (tmp_path / "other.csv").write_text("case,dice\n1,90\n")
    seal(tmp_path / "other.csv")
    with pytest.raises(InputError, match="found columns case, dice"):
        gather.read_scores(tmp_path / "other.csv")
    with pytest.raises(InputError, match="no score"):
        gather.read_scores(write_scores(tmp_path / "empty.csv"))
    path = write_scores(tmp_path / "words.csv", example())
    path.write_text(path.read_text().replace(",0,", ",zero,", 1))
    seal(path)
    with pytest.raises(InputError, match=r"words\.csv: found an unreadable file .*zero"):
        gather.read_scores(path)


def test_patients_are_averaged_over_seeds():
    rows = [
        example(patient="a", case="a", seed=0, dice_percent=80.0, assd_mm=1.0),
        example(patient="a", case="a", seed=1, dice_percent=90.0, assd_mm=np.nan, note="empty prediction"),
        example(patient="b", case="b", seed=0, dice_percent=70.0),
    ]
    found = gather.per_patient(pd.DataFrame(rows)).set_index("patient")
    assert found["dice_percent"].to_dict() == {"a": 85, "b": 70}
    assert np.isnan(found.loc["a", "assd_mm"])
    assert found["failed"].to_dict() == {"a": True, "b": False}
