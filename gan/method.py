"""What every method is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from gan.batch import Batch, Draw, Slices
from gan.errors import InputError
from gan.player import Player
from gan.scope import Scope
from gan.settings import Settings


class Published(NamedTuple):
    """What the authors trained on; a preset of its costs, not of a training."""

    modalities: int
    image_size: int


class Method(nn.Module, ABC):
    """The networks of a method, the terms that they lower, and how it translates or segments.

    A method never sees optimizers, devices, files or loggers. All that its training changes is in its state dict:
    networks as submodules, further state as buffers.
    """

    title: ClassVar[str]
    citation: ClassVar[str]
    labels_used: ClassVar[str]  # which target masks the training reads
    differences: ClassVar[str]  # between paper and public code, in one line
    scope: ClassVar[Scope] = Scope.ALL
    draw: ClassVar[Draw] = Draw.ANY
    translates: ClassVar[bool] = True
    segments: ClassVar[bool] = False
    pretrained: ClassVar[Mapping[str, str]] = {}  # a network of it → the method whose model it starts from
    published: ClassVar[Published]
    paper: ClassVar[Settings]  # the published settings
    official: ClassVar[Mapping[str, Any]]  # what the public code does otherwise

    settings: Settings
    generator: nn.Module
    watch_from: float = 0.0  # the share of the training after which early stopping looks at the watched patients
    dimensions: int = 2  # 3: images are volumes, (B, 1, D, H, W)

    def __init__(self, modalities: int, image_size: int, settings: Settings) -> None:  # noqa: ARG002
        """Build the networks for `modalities` modalities and (B, 1, `image_size`, `image_size`) images.

        Raises:
            InputError: fewer than two modalities, more than the method can take, or a size or width that the networks
                cannot have.
        """
        super().__init__()
        self.settings = settings
        self.modalities = modalities
        if self.scope in (Scope.PAIR, Scope.ONE_TO_ONE) and modalities != 2:
            raise InputError("modalities", modalities, "2")
        if modalities < 2 and self.translates:
            raise InputError("modalities", modalities, "at least 2")

    @property
    def model(self) -> nn.Module:
        """What translates and segments: its moving average is what is left after training."""
        return self.generator

    def view(self, slices: Slices) -> Slices:
        """Return what the batches are drawn from: the slices, or what a method makes of them."""
        return slices

    @abstractmethod
    def players(self) -> list[Player]:
        """Return the players in the order of their steps."""

    @abstractmethod
    def fakes(self, batch: Batch) -> dict[str, Tensor]:
        """Return what the players of a round share: computed once, before the first of them steps.

        With its graph only where a player steps through it (not `Player.detached`); computed again, without one, before
        a player that asks for it (`Player.anew`).
        """

    def translate(self, model: nn.Module, image: Tensor, source: Tensor, target: Tensor) -> Tensor:  # noqa: ARG002
        """Return `image` (B, 1, H, W) in [-1, 1] of modalities `source` (B,) as modalities `target` (B,).

        `model` is the method's own or its moving average; unless a method says otherwise it is not told the source.
        """
        translated: Tensor = model(image, target)
        return translated

    def segment(self, model: nn.Module, image: Tensor, source: Tensor) -> Tensor:
        """Return the probability of the target, (B, 1, H, W) in [0, 1], in `image` of modalities `source` (B,)."""
        raise NotImplementedError(f"{self.title} does not segment")

    def watched_loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Return what early stopping lowers on the watched patients: the cross-entropy of the segmentation."""
        p = self.segment(model, batch.image, batch.source).clamp(1e-6, 1 - 1e-6)
        y = batch.target_mask
        return -(y * p.log() + (1 - y) * (1 - p).log()).mean()
