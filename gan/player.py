"""A player of the game that training is: all that the trainer knows of a method."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from gan.batch import Batch


@dataclass(frozen=True)
class Player:
    """A network, the named terms that it lowers, the weight of each and how it steps.

    Attributes:
        name: in the log.
        network: what steps; networks that step from one backward pass are one player's.
        terms: (batch, the method's fakes of it) to the raw named terms, each a scalar; a player without any does not
            step.
        weights: of these terms and any others.
        learning_rate: of Adam.
        betas: of Adam.
        every: steps on every n-th batch.
        schedule: the share of the training that is done, in [0, 1), to the factor of the learning rate.
    """

    name: str
    network: nn.Module
    terms: Callable[[Batch, dict[str, Tensor]], dict[str, Tensor]]
    weights: Mapping[str, float]
    learning_rate: float
    betas: tuple[float, float]
    every: int = 1
    schedule: Callable[[float], float] = lambda progress: 1.0  # noqa: ARG005
