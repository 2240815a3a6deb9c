"""A trained generator, ready to translate slices."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim.swa_utils import AveragedModel

from gan import checkpoint
from gan.errors import InputError
from gan.methods import METHODS


class Translator:
    """The moving average of a trained generator, on the GPU if there is one.

    Attributes:
        config: with what the training was done: method, settings, seed, hashes.
        modalities: names of the modalities between which it translates.
        image_size: height and width of the slices in pixels.
    """

    def __init__(self, config: Mapping[str, Any], averaged: Mapping[str, Any]) -> None:
        """Take a checkpoint's `config` and the state of its `averaged` generator."""
        self.config = config
        self.modalities: list[str] = config["modalities"]
        self.image_size: int = config["image_size"]
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        kind = METHODS[config["method"]]
        with torch.device("meta"):  # the weights come from the checkpoint
            self._method = kind(len(self.modalities), self.image_size, replace(kind.paper, **config["settings"]))
            model = AveragedModel(self._method.generator)
        model.load_state_dict(averaged, assign=True)
        self._generator = model.module.to(self._device).eval()

    def translate(
        self, images: NDArray[np.float32], source: str, target: str, batch_size: int = 16
    ) -> NDArray[np.float32]:
        """Translate slices of modality `source` to modality `target`.

        Args:
            images: (N, 1, S, S) in [-1, 1].
            source: a name of `modalities`.
            target: a name of `modalities`.
            batch_size: slices at once.

        Returns:
            (N, 1, S, S) in [-1, 1].

        Raises:
            InputError: a modality that the generator does not know, or slices of another size.
        """
        for name in (source, target):
            if name not in self.modalities:
                raise InputError("modality", name, f"one of {', '.join(self.modalities)}")
        if images.shape[1:] != (1, self.image_size, self.image_size):
            raise InputError("slices", f"shape {images.shape}", f"(N, 1, {self.image_size}, {self.image_size})")
        translated = np.empty_like(images, dtype=np.float32)
        with torch.inference_mode():
            for start in range(0, len(images), batch_size):
                image = torch.from_numpy(images[start : start + batch_size]).to(self._device, torch.float32)
                kinds = (
                    torch.full((len(image),), self.modalities.index(name), device=self._device)
                    for name in (source, target)
                )
                translated[start : start + batch_size] = self._method.translate(self._generator, image, *kinds).cpu()
        return translated


def load(path: Path) -> Translator:
    """Load a trained model, `model.pt` or a checkpoint.

    Raises:
        InputError: the file is missing, broken or of another kind.
    """
    state = checkpoint.load(path)
    try:
        return Translator(state["config"], state["averaged"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(path, "a model of another version", "one that this version trained") from error
