"""Synthetic scans that were made elsewhere."""

import json
import shutil

import numpy as np
import pytest

from enrich import index, volume
from enrich.intensity import Intensity, stored_range
from enrich.precomputed import write_precomputed
from gan.errors import InputError
from gan.files import sha256
from tests.enrich.prepared import write_scans

NAMES = ["ct", "t1"]


@pytest.fixture
def scans_csv(scans, tmp_path):
    """Two CTs, one in another orientation, and two T1."""
    write_scans([scan for scan in scans if scan.modality in NAMES], tmp_path / "scans.csv")
    return tmp_path / "scans.csv"


@pytest.fixture
def given(scans_csv, tmp_path):
    """Every scan's translation: the scan itself, on a scale as of the other modality."""
    folder = tmp_path / "given"
    folder.mkdir()
    for row in index.read(scans_csv, index.SCANS).to_dict("records"):
        scan = volume.read(scans_csv.parent / row["image"])
        target, values = (
            ("t1", (scan.array + 1000.0) * 3) if row["modality"] == "ct" else ("ct", scan.array * 2.5 - 1000)
        )
        path = folder / f"{row['case']}_{row['modality']}_to_{target}.nii.gz"
        volume.write(scan.with_array(values.astype(np.float32)), path)
    return folder


def written(scans_csv, given, tmp_path, dropped=None):
    folder = tmp_path / "synthetic"
    folder.mkdir(exist_ok=True)
    return write_precomputed(scans_csv, NAMES, given, Intensity(), folder, dropped), folder


def test_every_translation_is_taken_over_on_the_grid_of_its_source(scans_csv, given, tmp_path):
    rows, folder = written(scans_csv, given, tmp_path)
    scans = index.read(scans_csv, index.SCANS).set_index("case")
    assert len(rows) == 4
    assert set(rows["fit"]) == {"all"}
    for row in rows.to_dict("records"):
        path = folder / row["image"]
        assert sha256(path) == row["sha256"]
        source = scans_csv.parent / scans["image"][row["case"]]
        assert volume.same_grid(volume.read_grid(path), volume.read_grid(source))
        told = json.loads(path.with_name(path.name.replace(".nii.gz", ".json")).read_text())
        assert told["source_sha256"] == scans["image_sha256"][row["case"]]
        assert told["precomputed_sha256"] == sha256(given / row["image"])
        assert told["models_sha256"] == []
        assert told["range"] == list(stored_range(row["target"], Intensity()))


def test_intensities_are_stored_as_those_of_synthetic_scans(scans_csv, given, tmp_path):
    rows, folder = written(scans_csv, given, tmp_path)
    for row in rows.to_dict("records"):
        stored, told = (volume.read(where / row["image"]).array for where in (folder, given))
        source = volume.read(scans_csv.parent / "scans" / f"{row['case']}_{row['source']}.nii.gz").array
        inside = source != 0
        assert not stored[~inside].any()
        if row["target"] == "ct":
            assert np.array_equal(stored[inside], np.rint(np.clip(told, -160, 240) + 1024)[inside])
        else:
            assert stored.max() == 1000
            flesh = (source > -300) & (source < 80)
            assert np.corrcoef(stored[flesh], told[flesh])[0, 1] > 0.99


def test_a_translation_that_is_not_there(scans_csv, given, tmp_path):
    (given / "ct01_ct_to_t1.nii.gz").unlink()
    with pytest.raises(InputError, match=r"given: found no ct01_ct_to_t1.nii.gz, 1 of 4 are not there"):
        written(scans_csv, given, tmp_path)
    with pytest.raises(InputError, match="4 of 4 are not there"):
        written(scans_csv, tmp_path / "nowhere", tmp_path)


def test_a_file_of_no_scan(scans_csv, given, tmp_path):
    shutil.copy(given / "ct01_ct_to_t1.nii.gz", given / "ct09_ct_to_t1.nii.gz")
    with pytest.raises(InputError, match=r"ct09_ct_to_t1.nii.gz: found a file for no scan of the study"):
        written(scans_csv, given, tmp_path)


def test_another_grid(scans_csv, given, tmp_path):
    path = given / "ct01_ct_to_t1.nii.gz"
    found = volume.read(path)
    volume.write(volume.Volume(found.array, (9.0, *found.spacing_mm[1:]), found.origin_mm, found.direction), path)
    with pytest.raises(InputError, match=r"ct01_ct_to_t1.nii.gz: found a grid of .* spacing \[9.0, 2.0, 5.0\]"):
        written(scans_csv, given, tmp_path)


def test_what_is_made_of_a_dropped_scan_is_not_read(scans_csv, given, tmp_path):
    scans = index.read(scans_csv, index.SCANS)
    gone = scans["case"] == "ct01"
    index.write(scans[gone], tmp_path / "dropped.csv")
    index.write(scans[~gone], scans_csv)
    (given / "ct01_ct_to_t1.nii.gz").write_bytes(b"")
    rows, _ = written(scans_csv, given, tmp_path, tmp_path / "dropped.csv")
    assert len(rows) == 3
    with pytest.raises(InputError, match=r"ct01_ct_to_t1.nii.gz: found a file for no scan of the study"):
        written(scans_csv, given, tmp_path)
