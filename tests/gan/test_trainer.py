"""What the trainer does with players of any method: order, fakes, rests, ramps, clamps, early stopping."""

import math

import pytest
import torch
from torch import nn

from gan.batch import Batch
from gan.errors import InputError
from gan.method import Method
from gan.methods import METHODS
from gan.player import Player
from gan.trainer import Trainer

ADAM = {"learning_rate": 0.1, "betas": (0.5, 0.999)}
NOTHING = torch.zeros(1, dtype=torch.long)
BATCH = Batch(torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1), NOTHING, NOTHING)


class Toy(Method):
    """Numbers in place of networks; remembers the fakes that each player saw."""

    settings = METHODS["stargan"].paper

    def __init__(self, *described: dict) -> None:
        super().__init__(2, 64, self.settings)
        self.described = described
        self.numbers = nn.ModuleDict({about["name"]: nn.Linear(1, 1, bias=False) for about in described})
        for layer in self.numbers.values():
            nn.init.constant_(layer.weight, 1)
        self.seen: list[tuple[str, float, bool]] = []

    @property
    def model(self):
        return self.numbers

    def players(self):
        return [
            Player(
                about["name"],
                self.numbers[about["name"]],
                self.terms_of(about["name"]),
                {"term": 1.0},
                **ADAM | about["more"],
            )
            for about in self.described
        ]

    def terms_of(self, name):
        def terms(batch, fakes):
            self.seen.append((name, fakes["image"].item(), fakes["image"].requires_grad))
            return {"term": self.numbers[name].weight.sum()}

        return terms

    def fakes(self, batch):
        return {"image": sum(layer.weight for layer in self.numbers.values()).sum()}


def play(*described, rounds=1, of=1):
    method = Toy(*({"name": name, "more": more} for name, more in described))
    trainer = Trainer(method, method.settings, rounds=of)
    played = [trainer.step(BATCH) for _ in range(rounds)]
    return method, trainer, played


def test_players_share_the_fakes_of_the_round_whatever_has_stepped_since():
    method, _, _ = play(("g", {}), ("d", {}))
    assert method.seen == [("g", 2.0, True), ("d", 2.0, True)]


def test_a_player_that_asks_for_it_sees_fakes_of_the_networks_that_have_stepped_and_so_do_the_next():
    method, _, _ = play(("g", {}), ("s", {"anew": True}), ("d", {}))
    name, value, graph = zip(*method.seen, strict=True)
    assert name == ("g", "s", "d")
    assert value == pytest.approx((3.0, 2.9, 2.9))  # Adam's first step is the learning rate
    assert graph == (True, False, False)


def test_a_player_whose_rate_is_zero_rests():
    method, trainer, played = play(("g", {"schedule": lambda p: float(p >= 0.5)}), ("d", {}), rounds=4, of=4)
    assert [list(names) for names in played] == [["d"], ["d"], ["g", "d"], ["g", "d"]]
    assert trainer.optimizers[0].state[method.numbers["g"].weight]["step"] == 2


def test_a_ramp_scales_a_terms_weight_and_leaves_the_term_as_it_is():
    player = Player(
        "g", nn.Linear(1, 1), lambda batch, fakes: {}, {"a": 4.0, "b": 2.0}, **ADAM, ramps={"a": lambda p: p}
    )
    assert [player.weight("a", progress) for progress in (0, 0.25, 1)] == [0, 1, 4]
    assert player.weight("b", 0) == 2
    method, _, played = play(("g", {"ramps": {"term": lambda p: 0.0}}))
    assert played[0]["g"]["term"] == 1
    assert method.numbers["g"].weight == 1


def test_a_clamp_holds_after_every_step():
    method, _, _ = play(("g", {"clamp": 0.05}), ("d", {}))
    assert method.numbers["g"].weight.item() == pytest.approx(0.05)
    assert method.numbers["d"].weight.item() == pytest.approx(0.9)


def test_the_best_model_on_the_watched_patients_is_kept(monkeypatch):
    losses = iter([3.0, 1.0, 2.0, 4.0])
    monkeypatch.setattr(Toy, "watched_loss", lambda self, model, batch: torch.tensor(next(losses)))
    method, trainer, _ = play(("g", {}))
    kept = []
    for _ in range(4):
        trainer.step(BATCH)
        kept.append(trainer.averaged.module["g"].weight.item())
        trainer.watch([BATCH])
    assert trainer.stale == 2
    restored = Trainer(Toy({"name": "g", "more": {}}), method.settings, rounds=1)
    restored.restore(trainer.state())
    for one in (trainer, restored):
        one.keep_best()
        assert one.averaged.module["g"].weight.item() == kept[1]


def test_a_loss_on_the_watched_patients_that_is_not_finite(monkeypatch):
    monkeypatch.setattr(Toy, "watched_loss", lambda self, model, batch: torch.tensor(math.nan))
    _, trainer, _ = play(("g", {}))
    with pytest.raises(InputError, match="round 1, watched patients: found a loss of nan"):
        trainer.watch([BATCH])


def test_fakes_have_no_graph_for_players_that_read_them_without():
    method, _, _ = play(("d", {"detached": True}), ("g", {}), ("s", {"detached": True}))
    assert [(name, graph) for name, _, graph in method.seen] == [("d", False), ("g", True), ("s", False)]


def test_fakes_have_a_graph_only_where_a_player_steps_through_them(monkeypatch):
    built = []
    original = Toy.fakes
    monkeypatch.setattr(
        Toy, "fakes", lambda self, batch: built.append(torch.is_grad_enabled()) or original(self, batch)
    )
    play(("d", {"detached": True}), ("g", {"every": 2}), rounds=4)
    assert built == [False, True, False, True]
