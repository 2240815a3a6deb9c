"""Segmentations as DICOM SEG, on the slices of the series that was segmented; needs `pip install 'nnenrich[dicom]'`."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pydicom

from enrich.datasets import dicom
from enrich.scan import Structures
from enrich.volume import Volume, require_same_grid
from gan.errors import InputError

NEEDED = ("FrameOfReferenceUID", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
)
"""What a DICOM file must name, though it may be empty, and anonymized files often lack."""


def write_seg(segmentation: Volume, structures: Structures, series: Path, output: Path) -> None:
    """Write a segment for each structure.

    Args:
        segmentation: a label map on the grid of the series.
        structures: its values.
        series: folder of the files that were segmented.
        output: a `.dcm` file.

    Raises:
        InputError: highdicom is not installed, an unreadable series, or one on another grid.
    """
    try:
        import highdicom as hd
        from pydicom.sr.codedict import codes
    except ImportError as error:
        raise InputError("--dicom-seg", "no highdicom", "it: pip install 'nnenrich[dicom]'") from error
    files = dicom.files_of(series)
    image, order = dicom.stack([dicom.read_slice(path) for path in files])
    require_same_grid(series, segmentation, image)
    known = {
        "liver": (codes.SCT.Organ, codes.SCT.Liver),
        "spleen": (codes.SCT.Organ, codes.SCT.Spleen),
        "right_kidney": (codes.SCT.Organ, codes.SCT.Kidney),
        "left_kidney": (codes.SCT.Organ, codes.SCT.Kidney),
    }
    made_by = hd.AlgorithmIdentificationSequence(
        name="nnEnrich", version=version("nnenrich"), family=codes.cid7162.ArtificialIntelligence
    )
    segments = []
    for number, name in enumerate(structures, 1):
        category, kind = known.get(name, (codes.SCT.Tissue, codes.SCT.Tissue))
        automatic = hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC
        segments.append(hd.seg.SegmentDescription(number, name, category, kind, automatic, made_by))
    sources = [pydicom.dcmread(files[place]) for place in order]
    for path, source in zip([files[place] for place in order], sources, strict=True):
        if missing := [name for name in NEEDED if not source.get(name)]:
            raise InputError(path, f"no {', '.join(missing)}", "what DICOM SEG must refer to")
        for name in MAY_BE_EMPTY:
            setattr(source, name, source.get(name, ""))
    masks = np.stack([np.isin(segmentation.array, values) for values in structures.values()], axis=-1)
    found = hd.seg.Segmentation(
        source_images=sources,
        pixel_array=masks.astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=segments,
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
