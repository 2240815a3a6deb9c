"""The fast trainer and the straightforward one play the same game."""

import pytest
import torch

from gan.batch import Batch
from gan.method import Method
from gan.methods import METHODS
from gan.plain import Plain
from gan.trainer import Trainer
from tests.gan.tiny import batch_for, build

CLOSE = {"rtol": 1e-8, "atol": 1e-8}  # sums in another order round otherwise, and the game doubles it and doubles it


@pytest.fixture
def float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def in_float64(batch: Batch) -> Batch:
    return batch.map(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)


def made(method: Method, model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """Return what a model makes of a batch: weights before a norm that takes them away again are nobody's."""
    with torch.no_grad():
        if method.translates:
            return method.translate(model, batch.image, batch.source, batch.target)
        return model(batch.image, batch.target) if not method.segments else model(batch.image)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("name", METHODS)
def test_fast_and_plain_play_the_same_game(name):
    """The terms of rounds in which everybody steps, and what the last model and its moving average make.

    They begin in the middle of a training, as the benchmark does.
    """
    played, results = [], []
    for kind in (Trainer, Plain):
        method = build(name, ema_decay=0.5)
        batch = in_float64(batch_for(method))
        torch.manual_seed(3)
        game = kind(method, method.settings, rounds=16)
        game.round = 4
        rounds = max(3, 1 + max(player.every for player in game.players))
        played.append([game.step(batch) for _ in range(rounds)])
        average = game.averaged.module if kind is Trainer else game.averaged
        results += [[made(method, model.train(), batch) for model in (method.model, average)]]
    for fast, plain in zip(*played, strict=True):
        assert fast.keys() == plain.keys()
        for player in fast:
            assert fast[player].keys() == plain[player].keys()
            for term, value in fast[player].items():
                torch.testing.assert_close(value, plain[player][term], **CLOSE)
    for fast, plain in zip(*results, strict=True):
        assert fast.dtype is torch.float64
        torch.testing.assert_close(fast, plain, **CLOSE)
