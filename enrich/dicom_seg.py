"""Segmentations as DICOM SEG, on the slices of the series that was segmented; needs `pip install 'nnenrich[dicom]'`."""

import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from enrich.datasets import dicom
from enrich.scan import Structures
from enrich.volume import Volume, require_same_grid
from gan.errors import InputError

NEEDED = ("FrameOfReferenceUID", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
OF_A_SLICE = ("SOPInstanceUID",)
MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
)
"""What a DICOM file must name, though it may be empty, and anonymized files often lack."""
SIDES = {"left": "Left", "right": "Right"}


def require_series(series: Path) -> None:
    """Require what `write_seg` needs, as far as headers tell it: highdicom, and the files of one series.

    Raises:
        InputError: highdicom is not installed, or something else than the folder of a series that can be referred to.
    """
    if find_spec("highdicom") is None:
        raise InputError("--dicom-seg", "no highdicom", "it: pip install 'nnenrich[dicom]'")
    if not series.is_dir():
        raise InputError(series, "a file", "the folder of a DICOM series, for --dicom-seg")
    files = dicom.files_of(series)
    headers = [dicom.read_header(path) for path in files]
    for path, header in zip(files, headers, strict=True):
        if missing := [name for name in NEEDED if not header.get(name)]:
            raise InputError(path, f"no {', '.join(missing)}", "what DICOM SEG must refer to")
    for name in NEEDED:
        count, wanted = len({header[name].value for header in headers}), len(files) if name in OF_A_SLICE else 1
        if count != wanted:
            raise InputError(series, f"{count} different {name} in {len(files)} files", wanted)


def write_seg(segmentation: Volume, structures: Structures, series: Path, output: Path) -> None:
    """Write a segment for each structure.

    Args:
        segmentation: a label map on the grid of the series.
        structures: its values.
        series: folder of the files that were segmented.
        output: a `.dcm` file.

    Raises:
        InputError: an unreadable series, one on another grid, or one that highdicom cannot refer to.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes

    files = dicom.files_of(series)
    image, order = dicom.stack([dicom.read_slice(path) for path in files])
    require_same_grid(series, segmentation, image)
    made_by = hd.AlgorithmIdentificationSequence(
        name="nnEnrich", version=version("nnenrich"), family=codes.cid7162.ArtificialIntelligence
    )
    masks = np.stack([np.isin(segmentation.array, values) for values in structures.values()], axis=-1)
    try:
        with warnings.catch_warnings(action="ignore"):  # they quote names and dates
            sources = [pydicom.dcmread(files[place]) for place in order]
            for source in sources:
                for name in MAY_BE_EMPTY:
                    setattr(source, name, source.get(name, ""))
                source.SliceThickness = source.get("SliceThickness") or image.spacing_mm[2]
            found = hd.seg.Segmentation(
                source_images=sources,
                pixel_array=masks.astype(np.uint8),
                segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
                segment_descriptions=[_segment(number, name, made_by) for number, name in enumerate(structures, 1)],
                series_instance_uid=hd.UID(),
                series_number=1000,
                sop_instance_uid=hd.UID(),
                instance_number=1,
                manufacturer="nnEnrich",
                manufacturer_model_name="nnEnrich",
                software_versions=version("nnenrich"),
                device_serial_number="0",
            )
            found.save_as(output)
    except Exception as error:  # whatever highdicom makes of a header
        found_there = f"what highdicom cannot refer to ({type(error).__name__})"  # its message may quote a header
        raise InputError(series, found_there, "the headers of a whole series") from error


def _segment(number: int, name: str, made_by: Any) -> Any:
    """Return the description of a segment; of a structure that there is on both sides, with its side."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    side, _, rest = name.partition("_")
    organ = {"liver": codes.SCT.Liver, "spleen": codes.SCT.Spleen, "kidney": codes.SCT.Kidney}.get(
        rest if side in SIDES else name
    )
    category, kind = (codes.SCT.Tissue, codes.SCT.Tissue) if organ is None else (codes.SCT.Organ, organ)
    automatic = hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC
    segment = hd.seg.SegmentDescription(number, name, category, kind, automatic, made_by)
    if side in SIDES:
        modifier = hd.sr.CodedConcept.from_code(getattr(codes.cid244, SIDES[side]))
        segment.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    return segment
