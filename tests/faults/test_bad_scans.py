"""NIfTI files of all sorts: read as nibabel reads them, or refused."""

import gzip
import math
import struct
import zlib
from functools import partial
from itertools import product

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from enrich import volume
from gan.errors import InputError
from tests.faults.mutations import cut_short, damages, replaced
from tests.faults.trials import INPUT, Trial, require_good

SHAPE = (12, 10, 6)  # x, y, z
OBLIQUE = np.array([[1.2, 0.3, -0.4, 7], [-0.35, 1.1, 1.5, -20], [0.3, -0.5, 3.6, 4], [0, 0, 0, 1.0]])
FLIPS = np.diag([-1.0, -1, 1, 1])  # between nibabel's frame, RAS, and ours, LPS

FIELDS = {  # of NIfTI-1: where, and as what
    "sizeof_hdr": (0, "i"),
    "dim[0]": (40, "h"),
    "dim[1]": (42, "h"),
    "dim[3]": (46, "h"),
    "dim[4]": (48, "h"),
    "datatype": (70, "h"),
    "bitpix": (72, "h"),
    "qfac": (76, "f"),
    "pixdim[1]": (80, "f"),
    "pixdim[3]": (88, "f"),
    "vox_offset": (108, "f"),
    "scl_slope": (112, "f"),
    "scl_inter": (116, "f"),
    "xyzt_units": (123, "b"),
    "qform_code": (252, "h"),
    "sform_code": (254, "h"),
    "quatern_b": (256, "f"),
    "qoffset_x": (268, "f"),
    "srow_x[0]": (280, "f"),
    "srow_x[3]": (292, "f"),
    "srow_z[2]": (320, "f"),
    "magic": (344, "i"),
}
EXTREME = {
    "b": (0, 1, 3, 127, -128),
    "h": (0, 1, -1, 2, 3, 5, 7, 255, 32767, -32768),
    "i": (0, -1, 540, 0x7FFFFFFF, 0x6931),
    "f": (0.0, -1.0, 1e-30, 1e38, 353.5, float("nan"), float("inf"), -float("inf")),
}
DATATYPES = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1536, 1792, 2048, 2304, 9999)


def orthogonal(affine):
    """Return the affine with the nearest orthogonal axes."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    u, _, v = np.linalg.svd(affine[:3, :3] / spacing)
    nearest = affine.copy()
    nearest[:3, :3] = u @ v * spacing
    return nearest


def voxels(kind=np.int16):
    return np.random.default_rng(0).integers(0, 100, SHAPE).astype(kind)


def nifti(kind=np.int16, *, order="<", form="sform"):
    """Return a NIfTI file; its place in space is said by `form`, or by both."""
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(kind).newbyteorder(order))
    made = nibabel.Nifti1Image(voxels(kind), orthogonal(OBLIQUE), header)
    made.set_sform(made.affine, code=0 if form == "qform" else 1)
    made.set_qform(made.affine, code=0 if form == "sform" else 1)
    return made.to_bytes()


def require_as_nibabel(path):
    """Require what we read to be where nibabel, if it reads the file at all, puts it."""
    found = volume.read(path)
    assert np.isfinite([*found.spacing_mm, *found.origin_mm, *found.direction]).all()
    assert min(found.spacing_mm) > 0
    turned = np.reshape(found.direction, (3, 3))
    assert np.allclose(turned.T @ turned, np.eye(3), atol=1e-3)
    try:
        other = nibabel.load(path)
        values, header = other.get_fdata(), other.header
    except Exception:  # what nibabel does not know it cannot vouch for
        return
    forms = {"sform_code": other.get_sform, "qform_code": other.get_qform}
    affines = [FLIPS @ form() for code, form in forms.items() if header[code]]
    if header["sform_code"] <= 0 and header["qform_code"] <= 0:  # then nobody knows where it lies
        affines = [np.diag([*header.get_zooms()[:3], 1])]
    n = 4 if values.ndim > 2 else 2  # a plane has its place in itself alone
    unit = {1: 1000.0, 3: 0.001}.get(int(header["xyzt_units"]) & 7, 1.0)  # nibabel leaves metres as they are
    ours = np.eye(4)
    ours[:3, :3], ours[:3, 3] = turned * found.spacing_mm / unit, np.divide(found.origin_mm, unit)
    assert found.array.shape == (*values.shape, 1, 1)[2::-1], (found.array.shape, values.shape)
    assert any(np.allclose(ours[:n, :n], affine[:n, :n], atol=1e-2, rtol=1e-4) for affine in affines), (ours, affines)
    assert np.allclose(found.array, values.reshape(found.array.shape[::-1]).T, rtol=1e-5), "other values"


def of(content, name="scan.nii"):
    def attempt(folder):
        path = folder / INPUT / name
        path.write_bytes(content)
        require_as_nibabel(path)

    return attempt


def test_sound_files_of_all_kinds_are_accepted(tmp_path, record_property):
    kinds = ("u1", "i2", "u2", "i4", "f4", "f8")
    trials = []
    for kind, order, form in product(kinds, "<>", ("sform", "qform", "both")):
        name, content = f"{kind} {order} {form}", nifti(kind, order=order, form=form)
        trials += [Trial(name, of(content)), Trial(f"{name} gz", of(gzip.compress(content, 1), "ä b.nii.gz"))]
    unscaled = struct.pack("<2f", math.nan, math.nan)  # as some programs say that voxels are not scaled
    trials.append(Trial("no scaling", of(replaced(nifti(), 112, unscaled))))
    assert {outcome.kind for outcome in require_good(trials, tmp_path, record_property)} == {"accepted"}


@pytest.mark.parametrize("scale", [(0, 5), (math.nan, 5), (2, math.nan), (math.inf, 0), (1e-30, 0)])
def test_a_scaling_that_readers_take_differently_is_refused(tmp_path, scale):
    path = tmp_path / "scan.nii"
    path.write_bytes(replaced(nifti(), 112, struct.pack("<2f", *scale)))
    with pytest.raises(InputError, match="found slope and intercept"):
        volume.read(path)


def test_headers_of_nifti(tmp_path, record_property):
    trials = []
    for form in ("sform", "qform", "both"):
        content = nifti(form=form)
        trials += [
            Trial(f"{form}: {name} {value}", of(replaced(content, place, struct.pack("<" + kind, value))))
            for name, (place, kind) in FIELDS.items()
            for value in EXTREME[kind]
        ]
    trials += [
        Trial(f"datatype {code} of {bits} bits", of(replaced(content, 70, struct.pack("<hh", code, bits))))
        for code, bits in product(DATATYPES, (8, 16, 32, 64))
    ]
    require_good(trials, tmp_path, record_property)


def of_size(x, y, z, *, bits=16):
    """Return a NIfTI file that claims to be of some size."""
    kind = struct.pack("<hh", {16: 4, 64: 64}[bits], bits)
    return replaced(replaced(nifti(), 40, struct.pack("<4h", 3, x, y, z)), 70, kind)


def of_million(kind):
    """Return a header of a million times a million voxels, in a format that can say so."""
    if kind == "nii":
        made = nibabel.Nifti2Image(voxels(), np.eye(4)).to_bytes()
        return replaced(made, 16, struct.pack("<8q", 3, 10**6, 10**6, 1, 1, 1, 1, 1))
    if kind == "mha":
        size = b"NDims = 2\nDimSize = 1000000 1000000\n"
        return b"ObjectType = Image\n" + size + b"ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    if kind == "nrrd":
        return b"NRRD0004\ntype: short\ndimension: 2\nsizes: 1000000 1000000\nencoding: raw\nendian: little\n\n"
    header = b"IHDR" + struct.pack(">IIBBBBB", 10**6, 10**6, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


def test_sizes_that_no_scan_has(tmp_path, record_property):
    sizes = [(32767, 32767, 32767), (1000, 1000, 1000), (32767, 32767, 1), (20000, 20000, 2), (-1, 10, 6), (0, 10, 6)]
    trials = []
    for size, bits in product([*sizes, (13, 10, 6)], (16, 64)):
        name, content = f"{size} of {bits} bits", of_size(*size, bits=bits)
        trials += [Trial(name, of(content)), Trial(f"{name} gz", of(gzip.compress(content, 1), "scan.nii.gz"))]
    trials += [
        Trial(f"a million, {kind}", of(of_million(kind), f"scan.{kind}")) for kind in ("nii", "mha", "nrrd", "png")
    ]
    found = require_good(trials, tmp_path, record_property)
    assert {outcome.kind for outcome in found} == {"refused"}
    assert max(outcome.megabytes for outcome in found) < 100


@pytest.fixture(scope="module")
def bomb():
    """Return two gigabytes of zeros after a sound scan, in two megabytes."""
    packer = zlib.compressobj(1, wbits=31)
    return b"".join([packer.compress(nifti()), *(packer.compress(bytes(1 << 20)) for _ in range(2048)), packer.flush()])


def test_what_inflates_beyond_its_header(tmp_path, record_property, bomb):
    content = gzip.compress(nifti(), 1)
    trials = [
        Trial("two gigabytes of zeros", of(bomb, "scan.nii.gz")),
        Trial("a member more", of(content + gzip.compress(bytes(5000)), "scan.nii.gz")),
        Trial("twice packed", of(gzip.compress(content), "scan.nii.gz")),
        Trial("garbage behind it", of(content + b"garbage", "scan.nii.gz")),
        Trial("not packed", of(nifti(), "scan.nii.gz")),
        Trial("packed, by its name not", of(content, "scan.nii")),
        Trial("slices that the header leaves out", of(nifti() + bytes(5000))),
    ]
    found = require_good(trials, tmp_path, record_property)
    assert {outcome.kind for outcome in found} == {"refused"}
    assert max(outcome.megabytes for outcome in found) < 100


def test_bytes_of_nifti(tmp_path, record_property):
    content = nifti(form="both")
    packed = gzip.compress(content, mtime=0)
    trials = [Trial(name, of(changed)) for name, changed in [*cut_short(content), *damages(content, 120, within=352)]]
    trials += [
        Trial(f"gz, {name}", of(changed, "scan.nii.gz")) for name, changed in [*cut_short(packed), *damages(packed, 60)]
    ]
    found = require_good(trials, tmp_path, record_property)
    assert all(outcome.kind == "refused" for outcome in found if "cut to" in outcome.name)


@pytest.mark.parametrize("ending", ["mha", "nrrd", "png", "tif"])
def test_bytes_of_other_formats(tmp_path, record_property, ending):
    path = tmp_path / f"scan.{ending}"
    image = sitk.GetImageFromArray(voxels("u1").T if ending != "png" else voxels("u1").T[0])
    sitk.WriteImage(image, str(path))
    content, whole = path.read_bytes(), volume.read(path)

    def attempt(folder, changed, short):
        path = folder / INPUT / f"scan.{ending}"
        path.write_bytes(changed)
        found = volume.read(path)
        assert math.prod(found.array.shape) <= 2 * whole.array.size  # no voxels out of nothing
        assert not short or np.array_equal(found.array, whole.array)

    trials = [Trial(name, partial(attempt, changed=changed, short=True)) for name, changed in cut_short(content)]
    trials += [Trial(name, partial(attempt, changed=changed, short=False)) for name, changed in damages(content, 60)]
    require_good(trials, tmp_path, record_property)
