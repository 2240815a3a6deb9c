"""Who a scan is of, planted into the headers of raw scans, and looked for in everything that a study leaves behind."""

import base64
import gzip
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import blosc2
import nibabel
import numpy as np
import pydicom
from PIL import Image

NAME = "zqxperson"  # part of every text that is planted
TEXTS = (
    *("PatientName", "PatientID", "OtherPatientIDs", "PatientAddress", "PatientComments", "AccessionNumber", "StudyID"),
    *("InstitutionName", "InstitutionAddress", "ReferringPhysicianName", "PerformingPhysicianName", "OperatorsName"),
    *("StationName", "DeviceSerialNumber", "StudyDescription", "SeriesDescription", "ProtocolName", "ImageComments"),
)
SHORT = {"AccessionNumber", "StudyID", "StationName"}  # 16 characters
DATES = {
    name: f"1899{10 + k % 3}{11 + k}"
    for k, name in enumerate(
        ("PatientBirthDate", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate")
    )
}
UID = "1.2.999.97531864."
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID")
DATE = re.compile(rb"(?<![\d.])1899[-./]?1[012][-./]?1[1-6](?!\d)")  # a longer number may hold the same digits
HIDDEN = [  # in small letters
    *(NAME.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be")),
    NAME.encode().hex().encode(),
    *(  # in base64, wherever in a longer text it begins
        base64.b64encode(b"\0" * shift + NAME.encode())[-(-shift * 4 // 3) : -4].lower() for shift in range(3)
    ),
    UID.encode(),
]
DATA_URI = re.compile(rb"data:image/\w+;base64,([A-Za-z0-9+/=]+)")


def into_dicom(folder: Path) -> None:
    """Plant names, ids and dates into every `.dcm` file below a folder, and into a private tag."""
    for path in folder.rglob("*.dcm"):
        data = pydicom.dcmread(path)
        for name in TEXTS:
            setattr(data, name, NAME if name in SHORT else f"{NAME} {name}")
        for name, value in DATES.items():
            setattr(data, name, value)
        for name in UIDS:
            setattr(data, name, UID + str(data[name].value).rpartition(".")[2][-20:].lstrip("0"))
        data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
        data.private_block(0x0099, NAME, create=True).add_new(0x01, "LO", NAME)
        data.save_as(path)


def into_nifti(folder: Path) -> None:
    """Plant names into every free text of the headers of every `.nii.gz` file below a folder, and into an extension."""
    for path in folder.rglob("*.nii.gz"):
        if path.is_symlink():
            continue
        image = nibabel.load(path)
        image = nibabel.Nifti1Image(np.asanyarray(image.dataobj), image.affine, image.header)
        for name in ("descrip", "aux_file", "intent_name"):
            image.header[name] = NAME
        image.header["db_name"] = NAME
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", f"{NAME} comment".encode()))
        nibabel.save(image, path)


def found_below(folder: Path) -> dict[str, str]:
    """Return the files below a folder in which something is found that was planted, and what."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): what for path in files if (what := found_in(path))}


def found_in(path: Path) -> str:
    """Return what is found in a file, or in what it holds compressed; nothing, if nothing is."""
    for content in (path.name.encode(), *_contents(path.name, path.read_bytes())):
        small = content.lower()
        places = [small.find(text) for text in HIDDEN if text in small]
        if b"1899" in content and (date := DATE.search(content)):
            places.append(date.start())
        if places:
            return repr(content[max(places[0] - 40, 0) : places[0] + 40])
    return ""


def _contents(name: str, content: bytes) -> Iterator[bytes]:
    """Yield a file's bytes, and those that it holds compressed."""
    yield content
    if name.endswith(".gz"):
        yield gzip.decompress(content)
    elif name.endswith(".b2nd"):
        array = blosc2.ndarray_from_cframe(content)
        yield array[...].tobytes() + repr(dict(array.schunk.vlmeta.getall())).encode()
    elif name.endswith((".png", ".webp")):
        with Image.open(io.BytesIO(content)) as picture:
            picture.load()
            yield repr(picture.info).encode()
    elif zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                if member.compress_type != zipfile.ZIP_STORED:  # as torch stores its own
                    yield from _contents(member.filename, archive.read(member))
    elif name.endswith(".html"):
        for uri in DATA_URI.findall(content):
            with Image.open(io.BytesIO(base64.b64decode(uri))) as picture:
                picture.load()
                yield repr(picture.info).encode()
