"""Trained translators, composed to cover every direction between some modalities."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan.errors import InputError
from gan.trained import Trained


class Translator:
    """One model, or one a pair or direction, that translate slices.

    Attributes:
        parts: the models.
        directions: (source, target) modalities to the model that learned to translate between them.
        image_size: height and width of the slices in pixels.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        """Load models, `model.pt` or checkpoints.

        Raises:
            InputError: a file is missing, broken or of another kind, the sizes differ, or two learned one direction.
        """
        self.parts = [Trained(path) for path in paths]
        self.directions: dict[tuple[str, str], Trained] = {}
        for path, part in zip(paths, self.parts, strict=True):
            for direction in part.directions:
                if self.directions.setdefault(direction, part) is not part:
                    raise InputError(path, f"a second model of {' to '.join(direction)}", "one of each direction")
        self.image_size = self.parts[0].image_size
        for path, part in zip(paths, self.parts, strict=True):
            if part.image_size != self.image_size:
                raise InputError(path, f"image_size {part.image_size}", self.image_size)

    def translate(
        self,
        images: NDArray[np.float32],
        source: str,
        target: str,
        batch_size: int = 16,
        slice_over_pixel: float = 1.0,
    ) -> NDArray[np.float32]:
        """Translate slices of modality `source` to modality `target`.

        Args:
            images: (N, 1, S, S) in [-1, 1]; for a method of volumes, all of a scan in order.
            source: a modality.
            target: a modality.
            batch_size: slices at once.
            slice_over_pixel: distance of the slices over the edge of a pixel, for a method of volumes.

        Returns:
            (N, 1, S, S) in [-1, 1].

        Raises:
            InputError: a direction that no model has learned, or slices of another size.
        """
        if (source, target) not in self.directions:
            known = ", ".join(f"{a} to {b}" for a, b in self.directions) or "none"
            raise InputError("direction", f"{source} to {target}", f"one of {known}")
        if images.shape[1:] != (1, self.image_size, self.image_size):
            raise InputError("slices", f"shape {images.shape}", f"(N, 1, {self.image_size}, {self.image_size})")
        part = self.directions[source, target]
        work = partial(part.translate, source=source, target=target)
        return part.on_slices(work, images, batch_size, slice_over_pixel)
