"""The game of a method's players on a device: knows players, not methods."""

import copy
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from gan.batch import Batch, Draw
from gan.errors import InputError
from gan.method import Method
from gan.processes import average_gradients, launch
from gan.settings import Settings

PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


class Trainer:
    """A method in training, on the GPU if there is one.

    Attributes:
        averaged: the moving average of the method's model.
        round: the number of rounds done.
        stale: checks on the watched patients since the best.
        device: where it computes.
    """

    def __init__(self, method: Method, settings: Settings, rounds: int) -> None:
        """Take `method` to the device and prepare `rounds` rounds."""
        self.fabric = launch(settings.devices, PRECISIONS[settings.precision])
        self.device = self.fabric.device
        self.method: Method = self.fabric.to_device(method)
        self.players = method.players()
        self.optimizers = [
            torch.optim.Adam(p.network.parameters(), lr=p.learning_rate, betas=p.betas, fused=True)
            for p in self.players
        ]
        average = get_ema_multi_avg_fn(settings.ema_decay)  # type: ignore[no-untyped-call]
        self.averaged = AveragedModel(method.model, multi_avg_fn=average).eval()
        self.rounds = rounds
        self.round = 0
        self.stale = 0
        self._least: float = math.inf
        self._best: dict[str, Any] = {}

    def step(self, batch: Batch) -> dict[str, dict[str, Tensor]]:
        """Play a round on `batch`, of which each process takes its own part: every player whose turn it is steps once.

        Returns:
            the terms of each player that stepped, of the whole batch, before its step; a player without terms for this
            batch does not step.

        Raises:
            InputError: a loss is not finite.
        """
        kinds = self.method.modalities if self.method.draw is Draw.BALANCED else 1
        batch = batch.part(self.fabric.global_rank, self.fabric.world_size, kinds).to(self.device)
        progress = self.round / self.rounds
        self.round += 1
        rates = [player.learning_rate * player.schedule(progress) for player in self.players]
        stepping = [
            (player, optimizer, rate)
            for player, optimizer, rate in zip(self.players, self.optimizers, rates, strict=True)
            if self.round % player.every == 0 and rate
        ]
        fakes = self._fakes(batch, graph=not all(player.detached for player, _, _ in stepping))
        played: dict[str, dict[str, Tensor]] = {}
        for player, optimizer, rate in stepping:
            if player.anew:
                fakes = self._fakes(batch, graph=False)
            seen = {name: fake.detach() for name, fake in fakes.items()} if player.detached else fakes
            with self.fabric.autocast():
                terms = player.terms(batch, seen)
            if not terms:
                continue
            loss = torch.stack([player.weight(name, progress) * term for name, term in terms.items()]).sum()
            optimizer.zero_grad(set_to_none=True)
            self.fabric.backward(loss, inputs=list(player.network.parameters()))
            values = average_gradients(player.network, torch.stack([term.detach() for term in terms.values()]))
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            if player.clamp is not None:
                with torch.no_grad():
                    for parameter in player.network.parameters():
                        parameter.clamp_(-player.clamp, player.clamp)
            played[player.name] = dict(zip(terms, values, strict=True))
        for name, terms in played.items():
            if not torch.stack(list(terms.values())).isfinite().all():
                found = ", ".join(f"{term} {value.item():g}" for term, value in terms.items())
                raise InputError(f"round {self.round}, {name}", found, "finite losses")
        self.averaged.update_parameters(self.method.model)
        return played

    def _fakes(self, batch: Batch, graph: bool) -> dict[str, Tensor]:
        with torch.set_grad_enabled(graph), self.fabric.autocast():
            return self.method.fakes(batch)

    def translate(self, image: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """Translate as `Method.translate` with the averaged model; tensors on any device, the result on the CPU."""
        image, source, target = (tensor.to(self.device) for tensor in (image, source, target))
        with torch.inference_mode(), self.fabric.autocast():
            return self.method.translate(self.averaged.module, image, source, target).cpu()

    def segment(self, image: Tensor, source: Tensor) -> Tensor:
        """Segment as `Method.segment` with the averaged model; tensors on any device, the result on the CPU."""
        image, source = image.to(self.device), source.to(self.device)
        with torch.inference_mode(), self.fabric.autocast():
            return self.method.segment(self.averaged.module, image, source).cpu()

    def watch(self, batches: Iterable[Batch]) -> float:
        """Return the model's loss on the watched patients; remember the model that has the least.

        Raises:
            InputError: the loss is not finite.
        """
        losses = []
        with torch.inference_mode(), self.fabric.autocast():
            for batch in batches:
                loss = self.method.watched_loss(self.averaged.module, batch.to(self.device))
                losses += [loss.item()] * len(batch.source)
        found: float = self.fabric.broadcast(sum(losses) / len(losses))  # batch norm's statistics are a process's own
        if not math.isfinite(found):
            raise InputError(f"round {self.round}, watched patients", f"a loss of {found}", "a finite one")
        self.stale += 1
        if found < self._least:
            self.stale, self._least = 0, found
            self._best = copy.deepcopy(self.averaged.state_dict())
        return found

    def keep_best(self) -> None:
        """Put the best model that `watch` saw, if it ever did, in the place of the last."""
        if self._best:
            self.averaged.load_state_dict(self._best)
            self._best = {}

    def state(self) -> dict[str, Any]:
        """Return all that the rest of the training depends on."""
        return {
            "round": self.round,
            "method": self.method.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "random": torch.get_rng_state(),
            "watched": {"stale": self.stale, "least": self._least, "best": self._best},
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` returned."""
        self.round = state["round"]
        self.method.load_state_dict(state["method"])
        self.averaged.load_state_dict(state["averaged"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        torch.set_rng_state(state["random"])
        watched = state["watched"]
        self.stale, self._least, self._best = watched["stale"], watched["least"], watched["best"]
