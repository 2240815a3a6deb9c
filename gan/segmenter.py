"""Trained models that segment by themselves."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan.batch import Draw
from gan.errors import InputError
from gan.trained import Trained


class Segmenter:
    """One model, or one a pair of modalities; a modality's segmentation is the mean over the models that know it.

    Attributes:
        parts: the models.
        image_size: height and width of the slices in pixels.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Load models, `model.pt` or checkpoints.

        Raises:
            InputError: a file is missing, broken or of another kind, does not segment, or the sizes differ.
        """
        self.parts = [Trained(path) for path in paths]
        self.image_size = self.parts[0].image_size
        for path, part in zip(paths, self.parts, strict=True):
            if not part.method.segments:
                raise InputError(path, part.method.title, "a method that segments")
            if part.image_size != self.image_size:
                raise InputError(path, f"image_size {part.image_size}", self.image_size)

    def segment(
        self, images: NDArray[np.float32], modality: str, batch_size: int = 16, slice_over_pixel: float = 1.0
    ) -> NDArray[np.float32]:
        """Return the probability of the target in slices, (N, S, S) in [0, 1].

        Args:
            images: (N, C, S, S) in [-1, 1], C being 1, or the channels that the model was trained on; for a method of
                volumes, all of a scan in order.
            modality: of the first channel.
            batch_size: slices at once.
            slice_over_pixel: distance of the slices over the edge of a pixel, for a method of volumes.

        Raises:
            InputError: a modality that no model knows, or slices of another size.
        """
        parts = [part for part in self.parts if modality in part.modalities]
        if not parts:
            known = sorted({name for part in self.parts for name in part.modalities})
            raise InputError("modality", modality, f"one of {', '.join(known)}")
        for part in parts:
            channels = part.modalities if part.method.draw is Draw.STACKED else [modality]
            if images.shape[1] != len(channels) or modality != channels[0]:
                found = f"{images.shape[1]} channels, the first {modality}"
                raise InputError("slices", found, f"{len(channels)}: {', '.join(channels)}")
        if images.shape[2:] != (self.image_size, self.image_size):
            raise InputError("slices", f"shape {images.shape}", f"(N, C, {self.image_size}, {self.image_size})")
        probability = np.zeros((len(images), self.image_size, self.image_size), np.float32)
        for part in parts:
            work = partial(part.segment, source=modality)
            probability += part.on_slices(work, images, batch_size, slice_over_pixel)[:, 0] / len(parts)
        return probability
