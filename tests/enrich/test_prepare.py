import dataclasses

import numpy as np
import pytest

from enrich import index, structures, volume
from enrich.prepare import choose, prepare, select, write
from enrich.structures import parts
from gan.errors import InputError
from tests.enrich.conftest import make_scan
from tests.enrich.prepared import write_scans


def test_scans_keep_their_grid_and_become_image_and_mask(scans, tmp_path):
    write_scans(scans, tmp_path / "scans.csv")
    read = index.read(tmp_path / "scans.csv")
    assert len(read) == 6
    for scan, (_, row) in zip(scans, read.iterrows(), strict=True):
        image, label = scan.read()
        stored = volume.read(index.file_of(tmp_path / "scans.csv", row["image"], row["image_sha256"]))
        mask = volume.read(index.file_of(tmp_path / "scans.csv", row["label"], row["label_sha256"]))
        assert volume.same_grid(stored, image)
        assert volume.same_grid(mask, image)
        assert stored.array.dtype == np.int16
        np.testing.assert_array_equal(stored.array, image.array)
        np.testing.assert_array_equal(mask.array, label.array == 2)
        assert row["target_ml"] == pytest.approx((label.array == 2).sum() * 0.015)
        assert (row["z"], row["y"], row["x"]) == image.array.shape
        assert row["spacing_z_mm"] == 5.0
    assert read["window_low_hu"].tolist()[0] == -150
    assert read["window_low_hu"].isna().tolist() == [False, False, True, True, True, True]


def test_fractional_intensities_stay_exact(tmp_path):
    scan = make_scan("mr01", "t1")
    image, label = scan.read()
    scan = dataclasses.replace(scan, voxels=lambda: (image.with_array(image.array / 7), label))
    rows = prepare([scan], choose([scan], ["liver"]), tmp_path, workers=1)
    stored = volume.read(tmp_path / rows["image"][0].removeprefix("scans/"))
    np.testing.assert_array_equal(stored.array, image.array / 7)


def test_a_scan_without_label_is_legal(tmp_path):
    rows = prepare(
        [make_scan("mr01", "t1", label=False)],
        choose([make_scan("mr01", "t1", label=False)], ["liver"]),
        tmp_path,
        workers=1,
    )
    assert rows["label"].tolist() == [""]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda image, label: (image.with_array(np.where(label.array, np.nan, image.array)), label), "NaN"),
        (lambda image, label: (image.with_array(np.zeros_like(image.array)), label), "constant image"),
        (lambda image, label: (image, label.with_array(label.array * 3)), r"label values \[6\]"),
        (lambda image, label: (image, image), r"label values \[[^ ]*( [^ ]*){7}\], expected"),
        (lambda image, label: (image, dataclasses.replace(label, spacing_mm=(1.0, 1.0, 1.0))), "spacing"),
    ],
)
def test_a_bad_scan_is_refused_by_name(tmp_path, spoil, message):
    scan = make_scan("mr01", "t1")
    spoiled = dataclasses.replace(scan, voxels=lambda: spoil(*scan.voxels()))
    with pytest.raises(InputError, match=message) as caught:
        prepare([spoiled], choose([spoiled], ["liver"]), tmp_path, workers=1)
    assert "raw/mr01" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_target_must_be_a_structure_of_the_scan(tmp_path):
    with pytest.raises(InputError, match="target kidney"):
        choose([make_scan("mr01", "t1")], ["kidney"])


def test_select_wants_every_modality_and_no_scan_twice(scans, tmp_path):
    assert [scan.modality for scan in select(scans, ["t2", "ct"], tmp_path)] == ["ct", "ct", "t2", "t2"]
    with pytest.raises(InputError, match="modality flair"):
        select(scans, ["ct", "flair"], tmp_path)
    with pytest.raises(InputError, match="ct01 ct twice"):
        select([*scans, scans[0]], ["ct"], tmp_path)


def test_structures_that_share_voxels_are_divided_into_parts():
    tumour = {"whole": (1, 2, 3, 4), "core": (1, 3, 4), "enhancing": (4,)}
    assert parts(tumour, ["whole", "core", "enhancing"]) == (
        {1: 1, 2: 2, 3: 1, 4: 3},
        {"whole": (1, 2, 3), "core": (1, 3), "enhancing": (3,)},
    )
    assert parts(tumour, ["whole"]) == ({1: 1, 2: 1, 3: 1, 4: 1}, {"whole": (1,)})
    organs = {"liver": (1,), "right_kidney": (2,), "left_kidney": (3,), "spleen": (4,)}
    assert parts(organs, ["liver", "spleen"]) == ({1: 1, 4: 2}, {"liver": (1,), "spleen": (2,)})


def test_label_maps_hold_the_chosen_structures(tmp_path):
    scans = [make_scan("ct01", "ct")]
    for wanted, values in ((None, {1: 1, 2: 2}), (["liver"], {1: 0, 2: 1}), (["liver", "spleen"], {1: 1, 2: 2})):
        folder = tmp_path / "-".join(wanted or ["all"])
        write(scans, choose(scans, ["liver"], wanted), folder / "scans.csv")
        (row,) = index.read(folder / "scans.csv").to_dict("records")
        label = scans[0].read()[1].array
        stored = volume.read(folder / row["label"]).array
        assert all((stored[label == before] == after).all() for before, after in values.items())
        known = structures.read(folder / "scans.csv")
        assert np.array_equal(known.target_of("ct", stored), label == 2)
        assert row["target_ml"] == pytest.approx((label == 2).sum() * 0.015)
        assert list(known.of["ct"]) == (wanted or ["liver", "spleen"])


def test_a_structure_that_no_scan_has_is_refused():
    with pytest.raises(InputError, match="structures: found heart, expected some of liver, spleen"):
        choose([make_scan("ct01", "ct")], ["liver"], ["liver", "heart"])


def test_scans_of_a_modality_have_the_same_structures():
    scans = [make_scan("ct01", "ct"), dataclasses.replace(make_scan("ct02", "ct"), structures={"liver": (2,)})]
    with pytest.raises(InputError, match="found structures liver, expected liver, spleen as of other ct"):
        choose(scans, ["liver"])


def test_a_file_that_says_no_structures_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"structures\.json: found no such file"):
        structures.read(tmp_path / "scans.csv")


def test_a_modality_may_have_none_of_the_wanted_structures():
    ct = dataclasses.replace(make_scan("ct01", "ct"), structures={"liver": (2,)})
    assert choose([ct, make_scan("mr01", "t1")], ["liver"], ["spleen"]).of == {"ct": {}, "t1": {"spleen": (1,)}}
