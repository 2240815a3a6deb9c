"""Scans of any legal place in space, by whoever wrote them, keep the place and the value of every voxel."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel
import numpy as np
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from enrich import volume
from enrich.axial import AXIAL
from enrich.prepare import choose, write
from enrich.scan import Scan

LPS = np.diag([-1.0, -1, 1])  # times the world of NIfTI
SHAPE = (5, 6, 7)  # of axes that differ


@st.composite
def places(draw):
    """Draw spacing (3,), origin (3,) and axes (3, 3) in LPS: rotated, permuted and flipped."""
    angles = draw(st.one_of(st.just([0.0] * 3), st.lists(st.floats(-180, 180), min_size=3, max_size=3)))
    order, signs = draw(st.permutations(range(3))), draw(st.lists(st.sampled_from([-1, 1]), min_size=3, max_size=3))
    axes = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()[:, list(order)] * signs
    spacing = draw(st.lists(st.floats(0.2, 8), min_size=3, max_size=3))
    origin = draw(st.lists(st.floats(-500, 500), min_size=3, max_size=3))
    return np.array(spacing), np.array(origin), axes


def world(found, index):
    """Return where voxels lie: LPS in mm, (N, 3), of indices (x, y, z)."""
    axes = np.reshape(found.direction, (3, 3)) * found.spacing_mm
    return index @ axes.T + found.origin_mm


def read_with_label(path):
    read = volume.read(path)
    return read, read.with_array((read.array > 500).astype(np.uint8))


def by_nibabel(path, voxels, spacing, origin, axes, form):
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = LPS @ (axes * spacing), LPS @ origin
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, code=int(form != "qform"))
    image.set_qform(affine, code=int(form != "sform"))
    nibabel.save(image, path)


def by_sitk(path, voxels, spacing, origin, axes):
    image = sitk.GetImageFromArray(voxels.T)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(origin.tolist())
    image.SetDirection(axes.ravel().tolist())
    sitk.WriteImage(image, str(path))


@settings(max_examples=60, derandomize=True, database=None, deadline=None)
@given(places(), st.sampled_from(["sform", "qform", "both", "sitk", "mha"]))
def test_every_voxel_keeps_its_place_and_its_value(place, writer):
    spacing, origin, axes = place
    voxels = np.random.default_rng(0).integers(1, 1000, SHAPE).astype(np.int16)
    index = np.argwhere(voxels).astype(float)
    expected = index @ (axes * spacing).T + origin
    with TemporaryDirectory() as name:
        path = Path(name) / f"scan.{'mha' if writer == 'mha' else 'nii.gz'}"
        if writer in ("sitk", "mha"):
            by_sitk(path, voxels, spacing, origin, axes)
        else:
            by_nibabel(path, voxels, spacing, origin, axes, writer)
            assert np.allclose(
                nibabel.affines.apply_affine(nibabel.load(path).affine, index) @ LPS, expected, atol=1e-2
            )
        scan = Scan("a", "a", "t1", path, {"liver": (1,)}, partial(read_with_label, path))
        found, label = scan.read()
        assert np.array_equal(found.array, voxels.T)
        assert np.allclose(world(found, index), expected, atol=1e-2)
        write([scan], choose([scan], ["liver"]), Path(name) / "study" / "scans.csv")
        prepared = volume.read(Path(name) / "study" / "scans" / "a_t1.nii.gz")
        axial = volume.reorient(prepared, AXIAL)
        made = volume.reorient(
            axial.with_array(axial.array + np.int16(1)), prepared.orientation
        )  # as a synthetic scan is
        volume.write(prepared.with_array(made.array), Path(name) / "made.nii.gz")
        other = nibabel.load(Path(name) / "made.nii.gz")
        assert np.array_equal(np.asanyarray(other.dataobj), voxels + 1)
        assert np.allclose(nibabel.affines.apply_affine(other.affine, index) @ LPS, expected, atol=1e-2)
        assert axial.orientation == AXIAL
        distances, nearest = cKDTree(expected).query(world(axial, np.argwhere(axial.array.T).astype(float)))
        assert distances.max() < 1e-2
        assert np.array_equal(axial.array.T.ravel(), voxels.ravel()[nearest])
        assert np.array_equal(label.array, voxels.T > 500)
