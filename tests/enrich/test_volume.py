import gzip
import resource
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch

from enrich import volume
from enrich.volume import Volume
from gan import checkpoint
from gan.errors import InputError
from tests.gan.test_memory import begin, finish

OBLIQUE = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


@pytest.fixture
def sample():
    voxels = np.random.default_rng(0).integers(-500, 1500, (5, 7, 9)).astype(np.int16)
    return Volume(voxels, (0.75, 1.5, 4.0), (-10.0, 20.0, 30.5), OBLIQUE)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [np.int16, np.uint8, np.float32])
def test_write_then_read_gives_voxels_and_grid_back(sample, tmp_path, name, kind):
    sample = sample.with_array(sample.array.astype(kind))
    volume.write(sample, tmp_path / name)
    found = volume.read(tmp_path / name)
    assert np.array_equal(found.array, sample.array)
    assert found.array.dtype == kind
    assert volume.same_grid(found, sample)
    assert volume.same_grid(volume.read_grid(tmp_path / name), found)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_nibabel_sees_the_same_place_in_space(sample, tmp_path):
    """NIfTI counts RAS, we LPS: the first two coordinates change sign."""
    volume.write(sample, tmp_path / "a.nii.gz")
    affine = nibabel.load(tmp_path / "a.nii.gz").affine
    index = np.array([3, 2, 4])
    ours = np.array(sample.origin_mm) + np.reshape(sample.direction, (3, 3)) @ (index * sample.spacing_mm)
    np.testing.assert_allclose((affine @ [*index, 1])[:3], ours * [-1, -1, 1], atol=1e-4)


def test_reorient_moves_voxels_with_their_place(sample):
    assert sample.orientation == "PIL"
    turned = volume.reorient(sample, "LPS")
    assert turned.orientation == "LPS"
    assert turned.array.shape == (7, 9, 5)
    assert np.array_equal(volume.reorient(turned, "PIL").array, sample.array)
    assert volume.same_grid(volume.reorient(turned, "PIL"), sample)


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.99, "all but a byte"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_truncated_file_is_refused(sample, tmp_path, name, share):
    path = tmp_path / name
    volume.write(sample, path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if isinstance(share, str) else whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=f"{name}: found"):
        volume.read(path)


def test_damaged_compressed_file_is_refused(sample, tmp_path):
    path = tmp_path / "a.nii.gz"
    volume.write(sample, path)
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 255  # in the checksum
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"a\.nii\.gz: found"):
        volume.read(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("kind", [">f4", "<f4", ">f8", "<f8"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_voxels_that_are_not_finite_are_refused(tmp_path, name, kind, value):
    """SimpleITK reads them as 0."""
    voxels = np.ones((4, 5, 6), kind)
    header = nibabel.Nifti1Header(endianness=kind[0])
    header.set_data_dtype(kind)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4), header), tmp_path / name)
    assert (volume.read(tmp_path / name).array == 1).all()
    voxels[1, 2, 3] = value
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4), header), tmp_path / name)
    with pytest.raises(InputError, match=f"{name}: found NaN or infinite voxels"):
        volume.read(tmp_path / name)


def test_the_compressed_file_is_not_mistaken_for_its_neighbour(sample, tmp_path):
    """SimpleITK, asked for a.nii.gz, opens a.nii."""
    volume.write(sample, tmp_path / "a.nii.gz")
    volume.write(sample.with_array(sample.array + np.int16(1)), tmp_path / "a.nii")
    with pytest.raises(InputError, match=r"a\.nii\.gz: found a\.nii beside it"):
        volume.read(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no such file"),
        (b"not an image", "an unreadable header"),
        (gzip.compress(b"nor this", mtime=0), "an unreadable header"),
    ],
)
def test_what_is_no_nifti_file_is_refused(tmp_path, content, found):
    path = tmp_path / "a.nii.gz"
    if content:
        path.write_bytes(content)
    with pytest.raises(InputError, match=found):
        volume.read(path)


def test_four_dimensions_are_refused(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4, 2), np.int16), np.eye(4)), tmp_path / "a.nii.gz")
    with pytest.raises(InputError, match="found 4 dimensions and 1 channels"):
        volume.read(tmp_path / "a.nii.gz")


@pytest.mark.parametrize(
    "change",
    [
        {"spacing_mm": (0.75, 1.5, 4.1)},
        {"origin_mm": (-10.0, 20.0, 30.6)},
        {"direction": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)},
        {"array": np.zeros((5, 7, 8))},
    ],
)
def test_another_grid_is_refused_and_described(sample, tmp_path, change):
    volume.require_same_grid(tmp_path / "a", replace(sample, origin_mm=(-10.0, 20.0, 30.5 + 1e-6)), sample)
    with pytest.raises(InputError, match=r"a: found a grid of shape .* expected shape \(5, 7, 9\)"):
        volume.require_same_grid(tmp_path / "a", replace(sample, **change), sample)


def test_array_of_another_shape_is_no_volume_on_the_grid(sample):
    with pytest.raises(ValueError, match="shape"):
        sample.with_array(np.zeros((7, 5, 9)))


def test_voxel_volume(sample):
    assert sample.voxel_ml == pytest.approx(0.75 * 1.5 * 4.0 / 1000)


def test_what_itk_could_not_write_whole_is_not_published(sample, tmp_path):
    """It says nothing of a full disk: a file may have no more bytes here."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, before[1]))
    try:
        with pytest.raises(OSError, match=r"(truncated|damaged) file after it was written: '.*a\.nii\.gz'"):
            volume.write(sample, tmp_path / "a.nii.gz")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


SHORT = """
import resource, sys
from importlib import import_module
from pathlib import Path
import psutil
from gan.errors import run

read = getattr(import_module(sys.argv[1]), sys.argv[2])
limit = psutil.Process().memory_info().vms + 10**8
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
run(lambda: read(Path(sys.argv[3])))
"""


def test_a_file_that_memory_does_not_hold_is_not_called_broken(tmp_path):
    large = np.zeros((100, 1000, 1000), np.int16)
    volume.write(Volume(large, (1.0, 1.0, 1.0)), tmp_path / "a.nii.gz")
    checkpoint.save(tmp_path / "a.pt", dict.fromkeys(checkpoint.KEYS) | {"averaged": torch.from_numpy(large)})
    for module, function, name in (("enrich.volume", "read", "a.nii.gz"), ("gan.checkpoint", "read", "a.pt")):
        process = begin("-c", SHORT, module, function, tmp_path / name)
        said = finish(process)
        assert process.returncode == 1
        assert said[-1].startswith("error: memory: found too little"), said
