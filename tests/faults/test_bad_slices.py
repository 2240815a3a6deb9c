"""DICOM series and PNG masks in CHAOS's layout: read as pydicom reads them, or refused."""

import io
import shutil
import struct
import zlib
from functools import partial

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from enrich.datasets import chaos, dicom, phantom_chaos
from enrich.datasets.table import read_image
from gan.errors import InputError
from tests.faults.mutations import cut_short, damages
from tests.faults.trials import INPUT, Trial, require_good

CT, T1 = "Train_Sets/CT/1", "Train_Sets/MR/1/T1DUAL"


@pytest.fixture(scope="module")
def abdomens(tmp_path_factory):
    folder = tmp_path_factory.mktemp("abdomens")
    phantom_chaos.write(phantom_chaos.Settings(ct_patients=1, mr_patients=1, slices=8, size=32), folder)
    return folder


def series(abdomens):
    """Return the paths of a CT, from the first to the last."""
    return sorted((abdomens / CT / "DICOM_anon").glob("*.dcm"))


def require_as_pydicom(folder):
    """Require a series to be read as each of its files says by itself."""
    found = read_image(folder)
    axes = np.reshape(found.direction, (3, 3)) * found.spacing_mm
    planes = {}
    for path in sorted(folder.iterdir()):
        data = pydicom.dcmread(path)
        x, y, z = np.linalg.solve(axes, np.array(data.ImagePositionPatient, float) - found.origin_mm)
        assert max(abs(x), abs(y)) < 0.6, (x, y)
        assert abs(z - round(z)) < 0.06, z
        row, column = np.reshape(np.array(data.ImageOrientationPatient, float), (2, 3))
        assert np.allclose(row * data.PixelSpacing[1], axes[:, 0], atol=1e-2)
        assert np.allclose(column * data.PixelSpacing[0], axes[:, 1], atol=1e-2)
        slope, intercept = data.get("RescaleSlope", 1), data.get("RescaleIntercept", 0)
        planes[round(z)] = data.pixel_array * float(slope) + float(intercept)
    assert np.allclose(found.array, [planes[z] for z in range(len(planes))], rtol=1e-5)


def with_file(abdomens, change, number=3):
    """Return what reads the series after one of its files was changed in place."""

    def attempt(folder):
        target = folder / INPUT / "series"
        shutil.copytree(abdomens / CT / "DICOM_anon", target)
        change(sorted(target.iterdir())[number])
        require_as_pydicom(target)

    return attempt


def with_tags(abdomens, number=3, **tags):
    """Return what reads the series after tags of one file were changed, or deleted where they are None."""

    def change(path):
        data = pydicom.dcmread(path)
        for name, value in tags.items():
            if value is None:
                delattr(data, name)
            else:
                setattr(data, name, value)
        data.save_as(path, enforce_file_format=False)

    return with_file(abdomens, change, number)


def written(content):
    return lambda path: path.write_bytes(content)


def test_bytes_of_dicom(abdomens, tmp_path, record_property):
    content = series(abdomens)[3].read_bytes()
    header = len(content) - 2 * 32 * 32
    trials = [
        Trial(name, with_file(abdomens, written(changed)))
        for name, changed in [*cut_short(content), *damages(content, 150, within=header)]
    ]
    require_good(trials, tmp_path, record_property)


TAGS = {
    "Rows": (0, 1, 31, 33, 65535, None),
    "Columns": (0, 65535, None),
    "BitsAllocated": (0, 1, 8, 12, 32, 64, None),
    "BitsStored": (0, 1, 12, 17, None),
    "PixelRepresentation": (1, 7, None),
    "SamplesPerPixel": (0, 3, 65535, None),
    "NumberOfFrames": ("0", "2", "-1", "1000000"),
    "PhotometricInterpretation": ("RGB", "PALETTE COLOR", "MONOCHROME1", "", None),
    "PixelSpacing": ([0, 1], [-10, 10], [1e30, 1e30], [1], [1, 2, 3], [1e-30, 1e-30], None),
    "ImagePositionPatient": ([0, 0, 0], [1e30, 0, 0], [1], [-1e300, 1, 1], None),
    "ImageOrientationPatient": ([0] * 6, [1, 0, 0, 1, 0, 0], [2, 0, 0, 0, 2, 0], [1, 0, 0], [0, 1, 0, 1, 0, 0], None),
    "RescaleSlope": ("0", "-1", "1e38", "1e300", "1e-45", None),
    "RescaleIntercept": ("1e300", "-1e38", "0.5", None),
    "WindowWidth": ("0", "-1", None),
    "SeriesInstanceUID": ("1.2.3", None),
    "PixelData": (b"", b"\0", bytes(1 << 20), None),
}


def test_tags_of_dicom(abdomens, tmp_path, record_property):
    trials = [
        Trial(f"{tag} {str(value)[:40]} {len(str(value))}", with_tags(abdomens, **{tag: value}))
        for tag, values in TAGS.items()
        for value in values
    ]
    require_good(trials, tmp_path, record_property)


@pytest.mark.parametrize(
    ("tags", "found"),
    [
        ({"Rows": 65535, "Columns": 65535}, "65535 × 65535 × 1 × 1 pixels"),
        ({"SamplesPerPixel": 3}, "32 × 32 × 1 × 3 pixels"),
        ({"NumberOfFrames": "2"}, "32 × 32 × 2 × 1 pixels"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "pixel spacing"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 2, 0]}, "pixel spacing"),
        ({"PixelSpacing": [-10, 10]}, "pixel spacing"),
        ({}, "a deflated file"),
    ],
)
def test_what_is_no_slice_is_said(abdomens, tmp_path, tags, found):
    data = pydicom.dcmread(series(abdomens)[3])
    for name, value in tags.items():
        setattr(data, name, value)
    if not tags:
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(tmp_path / "slice.dcm")
    with pytest.raises(InputError, match=f"found {found}"):
        dicom.read_slice(tmp_path / "slice.dcm")


@pytest.mark.parametrize("value", ["NAN", "INF", "1E400", "one", ""])
def test_numbers_of_dicom_that_are_none(abdomens, tmp_path, record_property, value):
    def change(path, tag):
        path.write_bytes(path.read_bytes().replace(*of[tag]))

    content = series(abdomens)[3].read_bytes()
    data = pydicom.dcmread(io.BytesIO(content))
    of = {}
    for tag in ("PixelSpacing", "ImagePositionPatient", "ImageOrientationPatient", "RescaleSlope", "RescaleIntercept"):
        element = data[tag]
        stored = "\\".join(map(str, element.value)) if element.VM > 1 else str(element.value)
        old = next(
            block for block in (stored.encode().ljust(n) for n in (len(stored) + len(stored) % 2,)) if block in content
        )
        of[tag] = old, value.encode().ljust(len(old))[: len(old)]
    trials = [Trial(tag, with_file(abdomens, partial(change, tag=tag))) for tag in of]
    require_good(trials, tmp_path, record_property)


def dicom_file(uid, body):
    """Return a DICOM file of a transfer syntax."""
    element = b"\x02\x00\x10\x00UI" + struct.pack("<H", len(uid) + len(uid) % 2) + uid.encode() + b"\0" * (len(uid) % 2)
    return b"\0" * 128 + b"DICM\x02\x00\x00\x00UL\x04\x00" + struct.pack("<I", len(element)) + element + body


def bomb():
    """Return a deflated data set that inflates to two gigabytes."""
    packer = zlib.compressobj(1, wbits=-15)
    body = [packer.compress(b"\x10\x00\x20\x40UT\0\0" + struct.pack("<I", 2 << 30))]
    body += [packer.compress(bytes(1 << 20)) for _ in range(2048)]
    return dicom_file(DeflatedExplicitVRLittleEndian, b"".join([*body, packer.flush()]))


def nested(depth):
    """Return a DICOM file whose sequences lie in each other."""
    start = b"\x08\x00\x15\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff"
    return dicom_file(ExplicitVRLittleEndian, start * depth)


def test_files_that_are_no_slice(abdomens, tmp_path, record_property):
    def syntax(path, uid):
        def element(uid):
            return b"\x10\x00UI" + struct.pack("<H", len(uid) + len(uid) % 2) + uid.encode() + b"\0" * (len(uid) % 2)

        path.write_bytes(path.read_bytes().replace(element(ExplicitVRLittleEndian), element(uid), 1))

    def big_endian(path):
        data = pydicom.dcmread(path)
        data.PixelData = data.pixel_array.byteswap().tobytes()
        data.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
        with path.open("wb") as stream:
            pydicom.dcmwrite(stream, data, implicit_vr=False, little_endian=False, enforce_file_format=False)

    def compressed(path, rows):
        data = pydicom.dcmread(path)
        data.compress(RLELossless)
        data.Rows = data.Columns = rows
        data.save_as(path)

    def exchanged(path):
        other = sorted(path.parent.iterdir())[5]
        first = path.read_bytes()
        path.write_bytes(other.read_bytes())
        other.write_bytes(first)

    changes = {
        "wrong syntax, implicit": partial(syntax, uid=ImplicitVRLittleEndian),
        "wrong syntax, big endian": partial(syntax, uid=ExplicitVRBigEndian),
        "wrong syntax, deflated": partial(syntax, uid=DeflatedExplicitVRLittleEndian),
        "wrong syntax, JPEG": partial(syntax, uid=JPEGBaseline8Bit),
        "wrong syntax, JPEG 2000": partial(syntax, uid=JPEG2000Lossless),
        "wrong syntax, RLE": partial(syntax, uid=RLELossless),
        "wrong syntax, none": partial(syntax, uid="1.2.3"),
        "big endian": big_endian,
        "run lengths": partial(compressed, rows=32),
        "run lengths of 65535": partial(compressed, rows=65535),
        "slices exchanged": exchanged,
        "twice": lambda path: shutil.copy(path, path.with_name("z.dcm")),
        "one missing": lambda path: path.unlink(),
        "a folder": lambda path: (path.unlink(), path.mkdir()),
        "a link to itself": lambda path: (path.unlink(), path.symlink_to(path)),
        "a note": lambda path: path.with_name("note.txt").write_text("note"),
        "a picture": lambda path: Image.new("L", (32, 32)).save(path, "png"),
        "a deflated bomb": written(bomb()),
        "sequences in sequences": written(nested(5000)),
        "empty": written(b""),
        "preamble alone": written(b"\0" * 128 + b"DICM"),
    }
    trials = [Trial(name, with_file(abdomens, change)) for name, change in changes.items()]
    found = require_good(trials, tmp_path, record_property)
    accepted = {"big endian", "run lengths", "slices exchanged"}
    assert accepted <= {outcome.name for outcome in found if outcome.kind == "accepted"}


def png(width, height, *, depth=8, colour=0, data=b"", more=b""):
    """Return a PNG file with a header of our own."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + more + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def picture(kind, mode="L"):
    stream = io.BytesIO()
    Image.new(mode, (32, 32)).save(stream, kind)
    return stream.getvalue()


def with_mask(abdomens, content, name="liver_GT_003.png"):
    def attempt(folder):
        shutil.copytree(abdomens, folder / INPUT / "chaos")
        path = folder / INPUT / "chaos" / CT / "Ground" / name
        path.write_bytes(content)
        (ct, *_) = chaos.scans(folder / INPUT / "chaos")
        image, label = ct.read()
        assert label.array.shape == image.array.shape
        rank = len(label.array) - 1 - 3  # files run against z
        with Image.open(path) as mask:
            assert mask.format == "PNG"
            assert np.array_equal(label.array[rank] > 0, np.asarray(mask) > 0)

    return attempt


def test_masks(abdomens, tmp_path, record_property):
    content = (abdomens / CT / "Ground" / "liver_GT_003.png").read_bytes()
    packer = zlib.compressobj(9)
    flood = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(512)), packer.flush()])
    text = b"zTXt" + b"Comment\0\0" + flood
    text = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    changes = {
        "a million": png(10**6, 10**6),
        "2³¹ − 1": png(2**31 - 1, 2**31 - 1),
        "wide": png(2**31 - 1, 1),
        "20000": png(20000, 20000, data=flood),
        "half a gigabyte of zeros": png(32, 32, data=flood),
        "half a gigabyte of text": png(32, 32, data=zlib.compress(bytes(33 * 32)), more=text),
        "no pixel": png(0, 0),
        "other size": png(31, 33, data=zlib.compress(bytes(33 * 33))),
        "sixteen bits": png(32, 32, depth=16, data=zlib.compress(bytes(65 * 32))),
        "a depth of 7": png(32, 32, depth=7),
        "colours": picture("png", "RGB"),
        "a palette": picture("png", "P"),
        "TIFF": picture("tiff"),
        "BMP": picture("bmp"),
        "PostScript": picture("eps"),
        "GIF": picture("gif"),
        "empty": b"",
    }
    trials = [Trial(name, with_mask(abdomens, changed)) for name, changed in changes.items()]
    trials += [
        Trial(name, with_mask(abdomens, changed)) for name, changed in [*cut_short(content), *damages(content, 60)]
    ]
    require_good(trials, tmp_path, record_property)


def test_names_of_files(abdomens, tmp_path, record_property):
    def attempt(folder, source, name):
        shutil.copytree(abdomens, folder / INPUT / "chaos")
        path = folder / INPUT / "chaos" / source
        path.rename(path.with_name(name))
        for scan in chaos.scans(folder / INPUT / "chaos"):
            scan.read()

    names = ["1 2", "a\nb", "-1", "¹", "²²", "٣", "0x1", "1e3", "001", "99999999999999999999", "DICOM_anon", " ", "1\n"]
    trials = [Trial(f"patient {name!r}", partial(attempt, source=CT, name=name)) for name in names]
    slices = series(abdomens)[3].relative_to(abdomens)
    sources = (slices, f"{CT}/Ground/liver_GT_003.png", f"{T1}/Ground/IMG-0004-00002.png", f"{CT}/Ground")
    others = ("x", "1.dcm", "9.png", "a\nb.dcm", "liver (1).png", "ü.png", ".a.dcm", "³.dcm", "9" * 200 + ".dcm")
    trials += [
        Trial(f"{source} as {name!r}", partial(attempt, source=source, name=name))
        for source in sources
        for name in others
    ]
    require_good(trials, tmp_path, record_property)


def test_windows(abdomens, tmp_path, record_property):
    def attempt(folder, **tags):
        path = folder / INPUT / "slice.dcm"
        data = pydicom.dcmread(series(abdomens)[0])
        for name, value in tags.items():
            setattr(data, name, value)
        data.save_as(path, enforce_file_format=False)
        low, high = dicom.window_hu(path)
        assert low < high
        assert np.isfinite([low, high]).all()

    trials = [
        Trial(f"{tag} {value}", partial(attempt, **{tag: value}))
        for tag in ("WindowCenter", "WindowWidth")
        for value in ("0", "-1", "1e300", "1e308", ["1", "2"])
    ]
    require_good(trials, tmp_path, record_property)
