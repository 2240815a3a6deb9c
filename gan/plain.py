"""The same game, written straightforwardly: what the trainer's speed is a ratio to, and its results are checked by."""

import copy

import torch
from torch import Tensor

from gan.batch import Batch
from gan.method import Method
from gan.settings import Settings


class Plain:
    """The players of a method, in float32 and op by op.

    Every player makes the fakes again, with their graph, while those who made them have not moved; its loss is led back
    to whatever it came from; Adam goes through the parameters one by one, and so does the moving average.
    """

    def __init__(self, method: Method, settings: Settings, rounds: int) -> None:
        """Take the arguments of `Trainer`; the method is on its device."""
        self.method, self.settings = method, settings
        self.players = method.players()
        self.optimizers = [
            torch.optim.Adam(p.network.parameters(), lr=p.learning_rate, betas=p.betas, foreach=False, fused=False)
            for p in self.players
        ]
        self.averaged = copy.deepcopy(method.model)
        self.rounds = rounds
        self.round = 0
        self.begun = False  # the average: it begins as the model after the first round here

    def step(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """Play a round on `batch`, as `Trainer.step` does."""
        progress = self.round / self.rounds
        self.round += 1
        start, moved = torch.get_rng_state(), False
        fakes = self.method.fakes(batch)
        played: dict[str, dict[str, Tensor]] = {}
        for player, optimizer in zip(self.players, self.optimizers, strict=True):
            rate = player.learning_rate * player.schedule(progress)
            if self.round % player.every or not rate:
                continue
            if player.anew:
                fakes = self.method.fakes(batch)
            elif played and not moved:
                with torch.random.fork_rng(devices=[]):
                    torch.set_rng_state(start)
                    fakes = self.method.fakes(batch)
            terms = player.terms(batch, {n: f.detach() for n, f in fakes.items()} if player.detached else fakes)
            if not terms:
                continue
            loss = torch.stack([player.weight(name, progress) * term for name, term in terms.items()]).sum()
            self.method.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.param_groups[0]["lr"] = rate
            optimizer.step()
            if player.clamp is not None:
                for parameter in player.network.parameters():
                    parameter.data.clamp_(-player.clamp, player.clamp)
            played[player.name] = {name: term.detach() for name, term in terms.items()}
            moved |= not player.detached
        decay = self.settings.ema_decay if self.begun else 0.0
        self.begun = True
        for average, parameter in zip(self.averaged.parameters(), self.method.model.parameters(), strict=True):
            average.data.lerp_(parameter.data, 1 - decay)
        return played
