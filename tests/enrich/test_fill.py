"""The channels of cases that lack different modalities."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from enrich import fill, index, volume
from enrich.fill import Known, made_of
from enrich.intensity import Intensity
from enrich.volume import Volume
from gan.errors import InputError
from gan.files import seal, sha256
from tests.enrich.conftest import make_scan
from tests.enrich.prepared import write_scans

NAMES = ["flair", "t1", "t2"]
SHIFTED = {"spacing_mm": (1.5, 2.0, 5.0), "origin_mm": (-10.0, 4.0, 9.5)}  # half a slice higher


def with_values(scan, image, **grid):
    """Return a scan of other voxels, on another grid without its label map."""
    return dataclasses.replace(scan, voxels=lambda: (Volume(image, **grid), None))


@pytest.fixture
def scans_csv(tmp_path):
    """Case a has all three modalities, b lacks t2, c has t2 alone."""
    has = {"a": NAMES, "b": ["flair", "t1"], "c": ["t2"]}
    scans = [make_scan(case, name, seed=number) for case, names in has.items() for number, name in enumerate(names)]
    write_scans(scans, tmp_path / "scans.csv")
    return tmp_path / "scans.csv"


def write_synthetic(scans_csv, folder, change=lambda grid: grid):
    """Write a volume for every direction, of the value 10 × source + target; return the index."""
    folder.mkdir(parents=True)
    rows = []
    for row in index.read(scans_csv, index.SCANS).to_dict("records"):
        grid = volume.read_grid(scans_csv.parent / row["image"])
        for target in (name for name in NAMES if name != row["modality"]):
            value = 10 * NAMES.index(row["modality"]) + NAMES.index(target)
            path = folder / f"{row['case']}_{row['modality']}_to_{target}.nii.gz"
            volume.write(change(grid.with_array(np.full(grid.array.shape, value, np.int16))), path)
            rows.append((row["case"], row["modality"], target, path.name, sha256(path)))
    index.write(pd.DataFrame(rows, columns=index.SYNTHETIC), folder / "index.csv")
    return folder / "index.csv"


def filled(scans_csv, tmp_path, order, synthetic=None, **more):
    """Return the rows of the index by case, reference and target, and the folder."""
    home = tmp_path / "filled"
    home.mkdir()
    synthetic = synthetic or write_synthetic(scans_csv, tmp_path / "synthetic")
    rows = fill.fill(Known(scans_csv, synthetic), NAMES, order, Intensity(), home, home, **more)
    table = pd.DataFrame(rows, columns=fill.COLUMNS)
    return {(row["case"], row["source"], row["target"]): row for row in table.to_dict("records")}, home


def value_of(home, row):
    (value,) = np.unique(volume.read(home / row["image"]).array)
    return value


@pytest.mark.parametrize(
    ("order", "expected"),
    [([], "t1"), (["t2", "flair"], "flair"), (["t2"], "t1"), ("mean", "flair+t1")],
)
def test_what_a_missing_modality_is_made_of(order, expected):
    assert made_of(order, ["flair", "t1"], "t1", "t2") == expected
    assert made_of(order, ["flair", "t1"], "t1", "flair") == "real"


def test_a_case_keeps_its_scans_and_gets_what_it_lacks(scans_csv, tmp_path):
    rows, home = filled(scans_csv, tmp_path, ["t1", "flair"])
    assert len(rows) == 6 * 3
    assert {row["of"] for key, row in rows.items() if key[0] == "a"} == {"real"}
    assert {key[2]: row["of"] for key, row in rows.items() if key[:2] == ("b", "flair")} == {
        "flair": "real",
        "t1": "real",
        "t2": "t1",
    }
    assert value_of(home, rows["b", "flair", "t2"]) == 12
    assert value_of(home, rows["c", "t2", "flair"]) == 20
    hashes = index.read(scans_csv, index.SCANS).set_index(["case", "modality"])["image_sha256"]
    assert all(row["sha256"] == hashes[key[0], key[2]] for key, row in rows.items() if row["of"] == "real")
    assert not list(home.iterdir())  # nothing is copied


def test_the_mean_over_all_sources(scans_csv, tmp_path):
    rows, home = filled(scans_csv, tmp_path, "mean")
    assert rows["b", "t1", "t2"]["of"] == "flair+t1"
    assert value_of(home, rows["b", "t1", "t2"]) == round((2 + 12) / 2)
    assert rows["b", "t1", "t2"]["sha256"] == sha256(home / rows["b", "t1", "t2"]["image"])


def test_without_an_order_only_the_scan_itself_is_kept(scans_csv, tmp_path):
    rows, home = filled(scans_csv, tmp_path, None)
    for (case, reference, target), row in rows.items():
        assert row["of"] == ("real" if target == reference else reference), (case, reference, target)
    assert value_of(home, rows["a", "t2", "t1"]) == 21


def test_another_grid_is_resampled_and_nothing_is_registered(scans_csv, tmp_path):
    scans = [make_scan("a", name, seed=1, shape=(12, 40, 30)) for name in ("flair", "t1")]
    slope = 10 * np.arange(12, dtype=np.float32)[:, None, None] * np.ones((12, 40, 30), np.float32)
    scans[1] = with_values(scans[1], slope, **SHIFTED)
    write_scans(scans, tmp_path / "two.csv")
    rows, home = filled(tmp_path / "two.csv", tmp_path, [])
    found = volume.read(home / rows["a", "flair", "t1"]["image"])
    assert volume.same_grid(found, volume.read_grid(tmp_path / "scans" / "a_flair.nii.gz"))
    assert found.array[1:11].mean(axis=(1, 2)) == pytest.approx(10 * np.arange(1, 11) - 5)
    assert volume.same_grid(
        volume.read_grid(home / rows["a", "t1", "t1"]["image"]), volume.read_grid(tmp_path / "scans" / "a_t1.nii.gz")
    )


def test_a_misfit_is_an_error(tmp_path):
    scans = [make_scan("a", name) for name in ("flair", "t1")]
    far = SHIFTED | {"origin_mm": (-10.0, 4.0, 19.0)}
    scans[1] = with_values(scans[1], scans[1].read()[0].array, **far)
    write_scans(scans, tmp_path / "scans.csv")
    message = r"a_t1.nii.gz: found 67% of the grid of its case's reference covered, expected at least 90%"
    with pytest.raises(InputError, match=message):
        filled(tmp_path / "scans.csv", tmp_path, [])


def test_real_ct_is_stored_as_synthetic_ct_is(scans, tmp_path):
    write_scans(scans[:1], tmp_path / "scans.csv")
    (tmp_path / "synthetic.csv").write_text("case,source,target,image,sha256\n")
    seal(tmp_path / "synthetic.csv")
    known = Known(tmp_path / "scans.csv", tmp_path / "synthetic.csv")
    (row,) = fill.fill(known, ["ct"], [], Intensity(ct_window_hu=(-100, 60)), tmp_path, tmp_path)
    hu, stored = (volume.read(path).array for path in (tmp_path / "scans/ct01_ct.nii.gz", tmp_path / row[3]))
    assert np.array_equal(stored, np.clip(hu, -100, 60) + 1024)


def test_an_oracle_fills_with_real_scans(scans_csv, tmp_path):
    rows, _ = filled(scans_csv, tmp_path, None, real=True)
    assert {row["of"] for row in rows.values()} == {"real"}


def test_no_image_for_what_is_missing(scans_csv, tmp_path):
    synthetic = write_synthetic(scans_csv, tmp_path / "synthetic")
    rows = index.read(synthetic, index.SYNTHETIC)
    index.write(rows[rows["case"] != "c"], synthetic)
    with pytest.raises(InputError, match="no image of c t2 to flair"):
        filled(scans_csv, tmp_path, [], synthetic)
