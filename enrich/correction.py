"""What is done to scans once, before anything reads them: bias correction of MR, a smaller field of view of CT.

Both are what Hiasa et al. (SASHIMI 2018) did to bring MR and CT of the hip together; neither looks at a label.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from enrich import volume
from enrich.intensity import body_mask
from enrich.modality import is_ct
from enrich.volume import Volume
from gan.errors import InputError

N4_SHRINK = 4


@dataclass(frozen=True)
class Correction:
    """The config's key `correction`.

    Attributes:
        n4: correct the bias field of every MR scan.
        ct_field_of_view_mm: edge of the square, around the centre of the body's bounding box, that CT slices are
            cropped to; None for whole slices. Target that is cropped away is in no reference: `scans.csv` says how
            much, `target_cropped_ml`.
    """

    n4: bool = False
    ct_field_of_view_mm: float | None = None


def correct(
    image: Volume, label: Volume | None, modality: str, correction: Correction, where: Path
) -> tuple[Volume, Volume | None]:
    """Return a scan and its label map, corrected.

    Raises:
        InputError: a CT without a body to crop to; names `where`.
    """
    if not is_ct(modality):
        if not correction.n4:
            return image, label
        return volume.n4(
            image, (image.array > 0) & body_mask(image.array.astype(np.float32), modality), N4_SHRINK
        ), label
    if correction.ct_field_of_view_mm is None:
        return image, label
    body = np.argwhere(body_mask(image.array.astype(np.float32), modality))
    if not len(body):
        raise InputError(where, "no body", "one, to crop the field of view to")
    middle = (body.min(axis=0) + body.max(axis=0) + 1) / 2
    box = [slice(None)] * 3
    for number, (letter, spacing) in enumerate(zip(image.orientation, image.spacing_mm, strict=True)):
        if letter in "SI":
            continue
        axis = 2 - number
        size = image.array.shape[axis]
        edge = min(size, round(correction.ct_field_of_view_mm / spacing))
        start = min(max(0, round(float(middle[axis]) - edge / 2)), size - edge)
        box[axis] = slice(start, start + edge)
    return volume.crop(image, tuple(box)), None if label is None else volume.crop(label, tuple(box))
