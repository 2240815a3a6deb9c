import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from enrich.datasets import dicom
from gan.errors import InputError

AXIAL = [1, 0, 0, 0, 1, 0]
CORONAL = [1, 0, 0, 0, 0, -1]
TILTED = [1, 0, 0, 0, np.cos(0.3), np.sin(0.3)]


def write_slice(path, pixels, position, orientation=AXIAL, **tags):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.ImagePositionPatient, data.ImageOrientationPatient = [f"{value:.8f}" for value in position], orientation
    data.PixelSpacing = [2.0, 0.5]  # between rows, between columns
    data.Rows, data.Columns = pixels.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def read(paths):
    return dicom.stack([dicom.read_slice(path) for path in paths])


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, TILTED])
@pytest.mark.parametrize("step", [3.0, -3.0])
def test_every_voxel_lies_where_dicom_says(tmp_path, orientation, step):
    """Against the formula of DICOM PS3.3 C.7.6.2.1.1, for files that run with and against the normal."""
    row, column = np.reshape(orientation, (2, 3))
    start = np.array([-20.0, 11.0, 500.0])
    paths = []
    for index in range(5):
        pixels = np.zeros((4, 6), np.int16)
        pixels[1, 4] = index + 1
        position = start + index * step * np.cross(row, column)
        paths.append(write_slice(tmp_path / f"{index}.dcm", pixels, position, orientation))
    volume, order = read(paths)
    assert volume.array.shape == (5, 4, 6)
    assert volume.spacing_mm == pytest.approx((0.5, 2.0, 3.0))
    assert order == (list(range(5)) if step > 0 else list(range(5))[::-1])
    for index in range(5):
        (place,) = np.argwhere(volume.array == index + 1)
        ours = np.array(volume.origin_mm) + np.reshape(volume.direction, (3, 3)) @ (place[::-1] * volume.spacing_mm)
        theirs = start + index * step * np.cross(row, column) + row * 0.5 * 4 + column * 2.0 * 1
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_intensities_are_rescaled_per_file_and_stay_exact(tmp_path):
    stored = np.array([[0, 100], [2000, 4095]])
    paths = [
        write_slice(tmp_path / "0.dcm", stored.astype(np.uint16), (0, 0, 0), RescaleSlope=1, RescaleIntercept=-1024),
        write_slice(
            tmp_path / "1.dcm", stored.astype(np.int16) - 2048, (0, 0, 1), RescaleSlope=2, RescaleIntercept=-10
        ),
        write_slice(tmp_path / "2.dcm", stored.astype(np.uint16), (0, 0, 2)),
    ]
    voxels = read(paths)[0].array
    assert voxels.dtype == np.int16
    assert np.array_equal(voxels, np.stack([stored - 1024, 2 * (stored - 2048) - 10, stored]))


@pytest.mark.parametrize(("slope", "stored"), [(0.5, 3), (1, 51024)])
def test_what_int16_cannot_hold_is_kept_as_float(tmp_path, slope, stored):
    pixels = np.array([[stored, 0]], np.uint16)
    tags = {"RescaleSlope": slope, "RescaleIntercept": -1024}
    voxels = read([write_slice(tmp_path / f"{z}.dcm", pixels, (0, 0, z), **tags) for z in range(2)])[0].array
    assert voxels.dtype == np.float32
    assert voxels[0, 0, 0] == stored * slope - 1024


def test_slice_thickness_and_instance_number_are_ignored(tmp_path):
    pixels = np.arange(4, dtype=np.int16).reshape(2, 2)
    paths = [
        write_slice(tmp_path / f"{z}.dcm", pixels + z, (0, 0, -z * 2.0), SliceThickness=3.2, InstanceNumber=z)
        for z in range(3)
    ]
    volume, order = read(paths)
    assert volume.spacing_mm[2] == 2.0
    assert order == [2, 1, 0]
    assert volume.array[:, 0, 0].tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("place", "name", "found"),
    [
        ((0, 0, 8.0), "3.dcm", "found 0 mm from 2.dcm"),
        ((0, 0, 13.0), "3.dcm", "found 5 mm from 2.dcm"),
        ((3.0, 0, 12.0), "3.dcm", "found 3 mm beside 0.dcm"),
    ],
)
def test_uneven_slices_are_refused(tmp_path, place, name, found):
    pixels = np.arange(4, dtype=np.int16).reshape(2, 2)
    places = [(0, 0, 0), (0, 0, 4.0), (0, 0, 8.0), place]
    paths = [write_slice(tmp_path / f"{index}.dcm", pixels, at) for index, at in enumerate(places)]
    with pytest.raises(InputError, match=found) as error:
        read(paths)
    assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize("end", [0, 60, 200, 500, -1, -5])
def test_truncated_file_is_refused(tmp_path, end):
    path = write_slice(tmp_path / "0.dcm", np.arange(64, dtype=np.int16).reshape(8, 8), (0, 0, 0))
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(InputError, match=r"0\.dcm: found an unreadable or truncated file"):
        dicom.read_slice(path)


@pytest.mark.parametrize(
    "tag", ["PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "PixelData", "Rows"]
)
def test_missing_tag_is_refused(tmp_path, tag):
    path = write_slice(tmp_path / "0.dcm", np.zeros((8, 8), np.int16), (0, 0, 0))
    data = pydicom.dcmread(path)
    delattr(data, tag)
    data.save_as(path)
    with pytest.raises(InputError, match=r"0\.dcm"):
        dicom.read_slice(path)


@pytest.mark.parametrize(
    ("tags", "window"),
    [
        ({}, None),
        ({"WindowCenter": 50, "WindowWidth": 400}, (-150, 250)),
        ({"WindowCenter": [50, 600], "WindowWidth": [350, 1600]}, (-125, 225)),
        ({"WindowCenter": None, "WindowWidth": None}, None),
        ({"WindowCenter": 50}, None),
        ({"WindowCenter": None, "WindowWidth": 400}, None),
    ],
)
def test_the_first_display_window(tmp_path, tags, window):
    path = write_slice(tmp_path / "0.dcm", np.zeros((8, 8), np.int16), (0, 0, 0), **tags)
    assert dicom.window_hu(path) == window


@pytest.mark.parametrize("width", ["none", "0", "-1"])
def test_a_broken_display_window_is_refused(tmp_path, width):
    path = write_slice(tmp_path / "0.dcm", np.zeros((8, 8), np.int16), (0, 0, 0), WindowCenter=50, WindowWidth=1234)
    path.write_bytes(path.read_bytes().replace(b"1234.0", width.ljust(6).encode()))
    with pytest.raises(InputError, match=r"0\.dcm: found a broken display window, expected a WindowCenter and"):
        dicom.window_hu(path)


def test_a_single_slice_is_no_volume(tmp_path):
    with pytest.raises(InputError, match="found a single slice"):
        read([write_slice(tmp_path / "0.dcm", np.eye(2, dtype=np.int16), (0, 0, 0))])
