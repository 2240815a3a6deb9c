from pathlib import Path

import numpy as np
import pytest

from enrich import index, volume
from enrich.correction import Correction, correct
from enrich.prepare import choose, write
from enrich.volume import Volume
from gan.errors import InputError
from tests.enrich.conftest import OBLIQUE, make_scan

HERE = Path("raw")


def test_n4_flattens_a_bias_field_and_leaves_the_background():
    _, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (12, 48, 48)), indexing="ij")
    body = x**2 + y**2 < 0.8
    flat = np.where(body, 300.0 + 60 * (x * y > 0), 0)
    biased = Volume((flat * np.exp(0.5 * x + 0.3 * y)).astype(np.float32), (2.0, 2.0, 4.0))
    corrected, label = correct(biased, None, "t1", Correction(n4=True), HERE)
    assert label is None
    assert volume.same_grid(corrected, biased)
    assert (corrected.array[~body] == 0).all()

    def unevenness(image):
        ratio = np.log(image[body] / flat[body])
        return ratio.std()

    assert unevenness(corrected.array) < unevenness(biased.array) / 3


def test_ct_is_left_alone_by_n4_and_mr_by_the_field_of_view():
    for modality, correction in (("ct", Correction(n4=True)), ("t1", Correction(ct_field_of_view_mm=20))):
        image, label = make_scan("a", modality).read()
        assert correct(image, label, modality, correction, HERE) == (image, label)


@pytest.mark.parametrize("direction", [None, OBLIQUE])
def test_a_ct_is_cropped_in_plane_around_its_body_and_stays_where_it_is(direction):
    image, label = make_scan("a", "ct", direction=direction).read()
    cropped, mask = correct(image, label, "ct", Correction(ct_field_of_view_mm=30), HERE)
    assert volume.same_grid(cropped, mask)
    extent = {
        letter: n * s
        for letter, n, s in zip(image.orientation, cropped.array.shape[::-1], cropped.spacing_mm, strict=True)
    }
    (through,) = set(image.orientation) & set("SI")
    assert (
        extent.pop(through)
        == dict(zip(image.orientation, np.multiply(image.array.shape[::-1], image.spacing_mm), strict=True))[through]
    )
    assert all(abs(edge - 30) <= 2.5 for edge in extent.values())
    # every voxel of the crop lies in the patient where it lay before
    matrix, origin = np.array(image.direction).reshape(3, 3) * image.spacing_mm, np.array(image.origin_mm)
    start = np.rint(np.linalg.solve(matrix, np.array(cropped.origin_mm) - origin)).astype(int)[::-1]
    box = tuple(slice(a, a + n) for a, n in zip(start, cropped.array.shape, strict=True))
    assert (image.array[box] == cropped.array).all()
    assert (label.array[box] == mask.array).all()


def test_a_field_larger_than_the_slice_changes_nothing():
    image, label = make_scan("a", "ct").read()
    cropped, _ = correct(image, label, "ct", Correction(ct_field_of_view_mm=500), HERE)
    assert volume.same_grid(cropped, image)


def test_a_ct_of_air_is_refused():
    air = Volume(np.full((4, 8, 8), -1000, np.int16), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match="found no body"):
        correct(air, None, "ct", Correction(ct_field_of_view_mm=5), HERE)


def test_prepared_scans_are_corrected(tmp_path):
    scans = [make_scan("ct01", "ct"), make_scan("ct02", "ct")]
    write(scans, choose(scans, ["liver"]), tmp_path / "scans.csv", correction=Correction(False, 30))
    rows = index.read(tmp_path / "scans.csv")
    assert set(rows["x"]) == {20}
    assert set(rows["y"]) == {15}
    image = volume.read(tmp_path / rows["image"][0])
    assert volume.same_grid(image, volume.read(tmp_path / rows["label"][0]))
