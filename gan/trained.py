"""A trained model, read from its checkpoint."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from gan import checkpoint, stopwatch
from gan.batch_size import Parts
from gan.errors import InputError
from gan.methods import METHODS
from gan.volumes import through_volume

OTHER = "a model of another version"


class Trained:
    """The moving average of a trained model, on the GPU if there is one.

    Attributes:
        config: with what the training was done: method, settings, seed, patients, hashes.
        method: the method, of which only the moving average has weights.
        modalities: names of the modalities that it was trained on, in order.
        image_size: height and width of the slices in pixels.
        device: where it computes.
    """

    def __init__(self, path: Path) -> None:
        """Load `model.pt`, or the weights of a bundle.

        Raises:
            InputError: the file is missing, broken or of another kind.
        """
        self.config, weights = checkpoint.load_weights(path)
        try:
            self.modalities: list[str] = self.config["modalities"]
            self.image_size: int = self.config["image_size"]
            self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
            kind = METHODS[self.config["method"]]
            with torch.device("meta"):  # the weights come from the checkpoint
                self.method = kind(
                    len(self.modalities), self.image_size, replace(kind.paper, **self.config["settings"])
                )
                model = AveragedModel(self.method.model)
            model.load_state_dict(weights, assign=True)
        except (ArithmeticError, AttributeError, KeyError, TypeError, RuntimeError, ValueError) as error:
            raise InputError(path, OTHER, "one that this version trained") from error
        if not all(value.isfinite().all() for value in model.state_dict().values()):
            raise InputError(path, "weights that are not finite", "a trained model")
        self._model = model.module.to(self.device).eval()
        self._parts = Parts()

    @property
    def directions(self) -> list[tuple[str, str]]:
        """The (source, target) modalities between which it translates."""
        return self.method.scope.directions(self.modalities) if self.method.translates else []

    def translate(self, image: Tensor, source: str, target: str) -> Tensor:
        """Translate slices (B, 1, S, S), or volumes (B, 1, D, S, S), in [-1, 1]; the result is on the CPU."""
        kinds = (self._kind(image, name) for name in (source, target))
        with torch.inference_mode(), stopwatch.inside():
            return self.method.translate(self._model, image.to(self.device, torch.float32), *kinds).cpu()

    def segment(self, image: Tensor, source: str) -> Tensor:
        """Segment slices (B, C, S, S), or volumes (B, 1, D, S, S), in [-1, 1]: probabilities, on the CPU."""
        with torch.inference_mode(), stopwatch.inside():
            kind = self._kind(image, source)
            return self.method.segment(self._model, image.to(self.device, torch.float32), kind).cpu()

    def on_slices(
        self, work: Callable[[Tensor], Tensor], images: NDArray[np.float32], batch_size: int, slice_over_pixel: float
    ) -> NDArray[np.float32]:
        """Return what `work`, a direction of `translate` or `segment`, makes of a stack of slices.

        A method of volumes works on the whole stack at once, as one volume.

        Args:
            work: (B, C, S, S) to (B, 1, S, S), or (1, 1, D, S, S) to the same shape.
            images: (N, C, S, S), a scan's in order.
            batch_size: slices at once, or fewer where these do not fit into memory.
            slice_over_pixel: distance of the slices over the edge of a pixel.

        Returns:
            (N, 1, S, S).

        Raises:
            InputError: a single slice, or the volume, does not fit into memory.
        """
        least = 1
        if self.method.dimensions == 3:
            depth = self.config["depth"]  # norms look at a whole volume: as much background as in training
            work, batch_size = partial(through_volume, work, slice_over_pixel, depth), max(1, len(images))
            least = batch_size
        made = np.empty((len(images), 1, *images.shape[2:]), np.float32)
        for part, found in self._parts.through(work, torch.from_numpy(images), batch_size, self.device, least):
            made[part] = found.numpy()
        return made

    def _kind(self, image: Tensor, name: str) -> Tensor:
        return torch.full((len(image),), self.modalities.index(name), device=self.device)


def load_model(path: Path, method: str, modalities: list[str], into: nn.Module) -> None:
    """Fill a network with the model that the training of `method` on `modalities` left in a checkpoint.

    Raises:
        InputError: the file is missing, broken, of another kind, method or modalities, or of networks of another size.
    """
    state = checkpoint.load(path)
    for key, wanted in (("method", method), ("modalities", modalities)):
        if (found := state["config"][key]) != wanted:
            raise InputError(path, f"a model of {found}", f"one of {wanted}")
    prefix = "module."
    weights = {name[len(prefix) :]: value for name, value in state["averaged"].items() if name.startswith(prefix)}
    try:
        into.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(path, "networks of another size", "the width that this training expects") from error
