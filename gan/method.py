"""What every translation method is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from gan.batch import Batch
from gan.errors import InputError
from gan.player import Player
from gan.settings import Settings


class Method(nn.Module, ABC):
    """The networks of a method, the terms that they lower and how its generator translates.

    A method never sees optimizers, devices, files or loggers. All that its training changes is in its state dict:
    networks as submodules, further state as buffers.
    """

    title: ClassVar[str]
    citation: ClassVar[str]
    labels_used: ClassVar[str]  # which target masks the training reads; tables print it
    paper: ClassVar[Settings]  # the published settings
    official: ClassVar[Mapping[str, Any]]  # what the public code does otherwise

    settings: Settings
    generator: nn.Module  # its moving average is what is left after training
    needs_target: bool = False  # whether the training slices must show the target

    def __init__(self, modalities: int, image_size: int, settings: Settings) -> None:  # noqa: ARG002
        """Build the networks for `modalities` modalities and (B, 1, `image_size`, `image_size`) images.

        Raises:
            InputError: fewer than two modalities, or a size or width that the networks cannot have.
        """
        super().__init__()
        self.settings = settings
        if modalities < 2:
            raise InputError("modalities", modalities, "at least 2")

    @abstractmethod
    def players(self) -> list[Player]:
        """Return the players in the order of their steps."""

    @abstractmethod
    def fakes(self, batch: Batch) -> dict[str, Tensor]:
        """Return what the players of a round share: computed once, with its graph, before the first of them steps."""

    def translate(self, generator: nn.Module, image: Tensor, source: Tensor, target: Tensor) -> Tensor:  # noqa: ARG002
        """Return `image` (B, 1, H, W) in [-1, 1] of modalities `source` (B,) as modalities `target` (B,).

        `generator` is the method's own or its moving average; unless a method says otherwise it is not told the source.
        """
        translated: Tensor = generator(image, target)
        return translated
