import tarfile

import numpy as np
import pydicom
import pytest
from PIL import Image

from enrich.datasets import chaos
from enrich.volume import same_grid
from gan.errors import InputError
from tests.real import real


def by_name(folder):
    return {(scan.case, scan.modality): scan for scan in chaos.scans(folder)}


def mean_and_deviation(image, label, value=1):
    inside = image.array[label.array == value].astype(float)
    return inside.mean(), inside.std()


def centre_x(image, label, value):
    return image.origin_mm[0] + np.nonzero(label.array == value)[2].mean() * image.spacing_mm[0]


def test_real_patient_gives_the_published_figures(tmp_path):
    with tarfile.open(real("chaos_ct3.tar.xz")) as archive:
        archive.extractall(tmp_path, filter="data")
    (scan,) = chaos.scans(tmp_path)
    image, label = scan.read()
    assert (scan.case, scan.patient, scan.modality, scan.window_hu) == ("ct03", "ct03", "ct", (-150.0, 250.0))
    assert image.array.shape == (78, 512, 512)
    assert image.array.dtype == np.int16
    assert image.spacing_mm == (0.7265625, 0.7265625, 2.0)
    assert image.orientation == "LPS"
    assert mean_and_deviation(image, label) == pytest.approx((141.0, 34.1), abs=0.05)
    assert np.count_nonzero(label.array) * image.voxel_ml == pytest.approx(1417.5, abs=0.05)
    assert np.count_nonzero(label.array) == 1342595
    slices = np.nonzero(label.array.any(axis=(1, 2)))[0]
    assert (slices.min(), slices.max()) == (0, 70)  # 77 and 7 in file order, which runs against z


def test_every_scan_is_listed_in_order(abdomens):
    assert list(by_name(abdomens)) == [*((f"ct{n:02d}", "ct") for n in range(1, 5)), ("mr01", "t1"), ("mr01", "t2")]
    assert {scan.patient for scan in chaos.scans(abdomens)} == {"ct01", "ct02", "ct03", "ct04", "mr01"}
    assert list(by_name(abdomens / "Train_Sets")) == list(by_name(abdomens))


@pytest.mark.parametrize(
    ("case", "window"), [("ct01", (-150, 250)), ("ct02", (-150, 250)), ("ct03", (-130, 250)), ("ct04", (-135, 215))]
)
def test_ct_of_every_scanner_is_in_hounsfield_units_under_its_mask(abdomens, case, window):
    """Each phantom scanner has its own slope, intercept, signedness and window; the liver is drawn at 105 HU ± 4 %."""
    scan = by_name(abdomens)[case, "ct"]
    image, label = scan.read()
    mean, deviation = mean_and_deviation(image, label)
    assert scan.window_hu == window
    assert mean == pytest.approx(98, abs=12)
    assert deviation < 50
    assert np.percentile(image.array, 25) < -900
    assert image.array.min() == (-2048 if case == "ct02" else pytest.approx(-1010, abs=30))


def test_liver_reaches_the_lungs_and_not_the_pelvis(abdomens):
    """What is z-mirrored in the mask shows here even where intensities do not tell: lungs are above the liver."""
    image, label = by_name(abdomens)["ct01", "ct"].read()
    slices = np.nonzero(label.array.any(axis=(1, 2)))[0]
    dark = (image.array[:, 14:34, 14:34] < -500).mean(axis=(1, 2))
    assert image.direction[8] == 1
    assert dark[-1] > 0.25 > 0.1 > dark[0]
    assert slices.max() >= 10
    assert slices.min() >= 1


def test_organs_of_a_patient_lie_on_their_sides_in_both_sequences(abdomens):
    for modality in ("t1", "t2"):
        scan = by_name(abdomens)["mr01", modality]
        image, label = scan.read()
        assert sorted(np.unique(label.array)) == [0, 1, 2, 3, 4]
        liver, right, left, spleen = (centre_x(image, label, value) for value in (1, 2, 3, 4))
        assert max(liver, right) < 0 < left < spleen
        assert 800 < np.count_nonzero(label.array == 1) * image.voxel_ml < 2000


def test_sequences_of_a_patient_have_their_own_grids(abdomens):
    (t1, _), (t2, _) = (by_name(abdomens)["mr01", modality].read() for modality in ("t1", "t2"))
    assert not same_grid(t1, t2)
    assert t1.array.shape != t2.array.shape


def test_t1_is_the_in_phase_image(abdomens):
    image, _ = by_name(abdomens)["mr01", "t1"].read()
    first = pydicom.dcmread(abdomens / "Train_Sets/MR/1/T1DUAL/DICOM_anon/InPhase/IMG-0004-00002.dcm")
    assert np.array_equal(image.array[0], first.pixel_array)


def test_without_ground_there_is_no_label_map(chaos_folder):
    grounds = sorted(chaos_folder.rglob("Ground"))
    grounds[0].rename(grounds[0].with_name("elsewhere"))
    with pytest.raises(InputError, match="CT/1/Ground: found no such folder, expected masks of every patient"):
        by_name(chaos_folder)
    for ground in grounds[1:]:
        ground.rename(ground.with_name("elsewhere"))
    scans = by_name(chaos_folder)
    for key in (("ct01", "ct"), ("mr01", "t1"), ("mr01", "t2")):
        image, label = scans[key].read()
        assert label is None
        assert not scans[key].labelled
        assert image.array.std() > 0


def test_listing_reads_no_pixels(chaos_folder):
    for path in chaos_folder.rglob("*.dcm"):
        path.write_bytes(path.read_bytes()[:-100])
    assert len(by_name(chaos_folder)) == 6


@pytest.mark.parametrize("edge", [55, 70])
def test_label_ranges_include_their_ends(chaos_folder, edge):
    for path in (chaos_folder / "Train_Sets/MR/1/T2SPIR/Ground").glob("*.png"):
        grey = np.array(Image.open(path))
        Image.fromarray(np.where(grey == 63, edge, grey).astype(np.uint8)).save(path)
    _, label = by_name(chaos_folder)["mr01", "t2"].read()
    assert np.count_nonzero(label.array == 1) > 100


@pytest.mark.parametrize("values", [(0, 1), (0, 255)])
def test_ct_masks_may_be_eight_bit(chaos_folder, values):
    expected = by_name(chaos_folder)["ct01", "ct"].read()[1]
    for path in (chaos_folder / "Train_Sets/CT/1/Ground").glob("*.png"):
        grey = np.where(np.array(Image.open(path)), values[1], values[0]).astype(np.uint8)
        Image.fromarray(grey).save(path)
    _, label = by_name(chaos_folder)["ct01", "ct"].read()
    assert np.array_equal(label.array, expected.array)


def test_masks_in_the_order_of_z_are_refused(chaos_folder):
    """The classic mistake, made in the files: every mask gets the name of its mirror image in z."""
    ground = chaos_folder / "Train_Sets/CT/1/Ground"
    masks = [path.read_bytes() for path in sorted(ground.glob("*.png"))]
    for path, content in zip(sorted(ground.glob("*.png")), reversed(masks), strict=True):
        path.write_bytes(content)
    with pytest.raises(InputError, match="do images and masks belong together"):
        by_name(chaos_folder)["ct01", "ct"].read()


@pytest.mark.parametrize("sequence", ["T1DUAL", "T2SPIR"])
def test_a_liver_on_the_left_is_refused(chaos_folder, sequence):
    for path in (chaos_folder / "Train_Sets/MR/1" / sequence / "Ground").glob("*.png"):
        Image.fromarray(np.array(Image.open(path))[:, ::-1]).save(path)
    with pytest.raises(InputError, match="expected one on the patient's right"):
        by_name(chaos_folder)["mr01", {"T1DUAL": "t1", "T2SPIR": "t2"}[sequence]].read()
