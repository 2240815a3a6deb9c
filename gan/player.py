"""A player of the game that training is: all that the trainer knows of a method."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from gan.batch import Batch


@dataclass(frozen=True)
class Player:
    """A network, the named terms that it lowers, the weight of each and how it steps.

    Progress is the share of the training that is done, in [0, 1).

    Attributes:
        name: in the log.
        network: what steps; networks that step from one backward pass are one player's.
        terms: (batch, the method's fakes of it) to the raw named terms, each a scalar; a player without any does not
            step.
        weights: of these terms and any others.
        learning_rate: of Adam.
        betas: of Adam.
        every: steps on every n-th batch.
        schedule: progress to the factor of the learning rate; at 0 the player rests.
        ramps: of some terms, progress to a factor of the weight.
        detached: its terms read the fakes without their graph, and it sees them so; where only such players step, the
            graph is not built.
        anew: before it steps, the fakes are made anew, without a graph, by the networks as the players before it left
            them; the players after it see these too.
        clamp: every parameter is kept within ± this; None, anywhere.
    """

    name: str
    network: nn.Module
    terms: Callable[[Batch, dict[str, Tensor]], dict[str, Tensor]]
    weights: Mapping[str, float]
    learning_rate: float
    betas: tuple[float, float]
    every: int = 1
    detached: bool = False
    schedule: Callable[[float], float] = lambda progress: 1.0  # noqa: ARG005
    ramps: Mapping[str, Callable[[float], float]] = field(default_factory=dict)
    anew: bool = False
    clamp: float | None = None

    def weight(self, term: str, progress: float) -> float:
        """Return the weight of a term at this progress."""
        factor = self.ramps[term](progress) if term in self.ramps else 1.0
        return self.weights[term] * factor


def cycle(players: Iterable[Player]) -> int:
    """Return the number of rounds after which the same players step again; every one that does not rest has stepped."""
    return math.lcm(*(player.every for player in players))
