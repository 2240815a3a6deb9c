"""What is written beside a segmentation, and what becomes of a batch in which a case fails."""

import numpy as np
import pandas as pd
import pytest

from enrich import fill, index, predict, volume
from enrich.volume import Volume
from gan.errors import InputError

WHOLE = Volume(np.zeros((2, 4, 6), np.int16), (1.0, 1.0, 3.0), (5.0, 6.0, 7.0))
PART = volume.crop(WHOLE, (slice(None), slice(1, 3), slice(2, 5)))


def index_of(folder, rows):
    folder.mkdir(exist_ok=True)
    for *_, name, value in rows:
        volume.write(PART.with_array(np.full(PART.array.shape, value, np.int16)), folder / name)
    return folder / "index.csv"


def test_channels_lie_on_the_grid_of_the_scan_as_it_came(tmp_path):
    rows = [("case", "ct", "t1", "t1.nii.gz", 700), ("case", "t2", "ct", "ct.nii.gz", 1064)]
    path = index_of(tmp_path / "synthetic", rows)
    named = [(*row[:4], "sha") for row in rows]
    index.write(pd.DataFrame(named, columns=["case", "source", "target", "image", "sha256"]), path)
    predict.write_channels(path, {"ct": WHOLE, "t2": WHOLE}, tmp_path)
    for name, inside, outside in (("ct_to_t1", 700, 0), ("t2_to_ct", 40, -1024)):
        found = volume.read(tmp_path / f"{name}.nii.gz")
        assert volume.same_grid(found, WHOLE)
        expected = np.full(WHOLE.array.shape, outside)
        expected[:, 1:3, 2:5] = inside
        assert np.array_equal(found.array, expected)


def test_of_a_case_with_several_scans_what_the_segmenter_was_given_is_written(tmp_path):
    rows = [
        ("flair", "flair", "real", "flair.nii.gz", 1),
        ("flair", "t1", "real", "t1.nii.gz", 2),
        ("flair", "t2", "flair+t1", "mean.nii.gz", 3),
        ("flair", "t1ce", "flair", "own.nii.gz", 4),
        ("t1", "t1ce", "flair", "other.nii.gz", 5),
    ]
    path = index_of(tmp_path / "filled", rows)
    named = [("case", source, target, image, "sha", of, "sha") for source, target, of, image, _ in rows]
    index.write(pd.DataFrame(named, columns=fill.COLUMNS), path)
    out = tmp_path / "out"
    out.mkdir()
    predict.write_channels(path, {"flair": WHOLE, "t1": WHOLE}, out)
    values = {each.name.removesuffix(".nii.gz"): volume.read(each).array.max() for each in out.iterdir()}
    assert values == {"flair+t1_to_t2_for_flair": 3, "flair_to_t1ce": 4, "flair_to_t1ce_for_t1": 5}


@pytest.mark.parametrize("error", [InputError("b.nii.gz", "NaN", "numbers"), RuntimeError("out of\nmemory")])
def test_a_case_that_fails_is_skipped_and_the_others_go_on(tmp_path, monkeypatch, capsys, error):
    def segment(predictor, scans, folder, reference, as_dicom):
        (folder / "made").touch()
        if scans == ["b"]:
            raise error
        return pd.DataFrame({"case": scans})

    monkeypatch.setattr(predict, "predict", segment)
    scores, failed = predict.predict_all(None, {name: [name] for name in "abc"}, tmp_path / "out", True, False)
    assert list(pd.concat(scores)["case"]) == ["a", "c"]
    assert failed == {"b": " ".join(str(error).split())}
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "c"]
    assert f"skipped: case b: {failed['b']}" in capsys.readouterr().err
