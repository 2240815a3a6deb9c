from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from gan.errors import InputError
from gan.methods import METHODS
from gan.settings import Settings, resolve


@dataclass(frozen=True, kw_only=True)
class Paper(Settings):
    width: int = 64
    batch_size: int = 4
    epochs: int | None = 50
    weights: dict[str, float] = field(default_factory=lambda: {"one": 1.0, "two": 10.0})
    kind: Literal["softmax", "bce"] = "softmax"
    stream: bool = True


OFFICIAL = {"kind": "bce"}


def settings(**entry: Any) -> Paper:
    return resolve(Paper(), OFFICIAL, entry, "method")


def test_defaults_are_the_paper():
    assert settings() == settings(preset="paper") == Paper()


def test_official_preset_then_the_user():
    assert settings(preset="official").kind == "bce"
    assert settings(preset="official", kind="softmax").kind == "softmax"


def test_weights_override_single_terms():
    assert settings(weights={"two": 0}).weights == {"one": 1, "two": 0}
    assert Paper().weights == {"one": 1, "two": 10}


def test_a_preset_may_set_weights_and_the_length_of_the_training():
    paper = METHODS["targan"].paper
    settings = resolve(paper, {"weights": {"crossing": 7.0}, "rounds": 10}, {"preset": "official"}, "targan")
    assert settings.weights == {**paper.weights, "crossing": 7.0}
    assert (settings.rounds, settings.epochs) == (10, None)


def test_rounds_take_the_place_of_epochs():
    assert settings().total_rounds(rounds_per_epoch=7) == 350
    assert settings(epochs=2).total_rounds(rounds_per_epoch=7) == 14
    assert settings(rounds=30).total_rounds(rounds_per_epoch=7) == 30
    assert settings(rounds=30).epochs is None


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"widht": 8}, "method: widht: found an unknown key, expected one of preset, width"),
        ({"preset": "mine"}, "method: preset: found mine, expected paper or official"),
        ({"weights": {"three": 1}}, "method: weights: three: found an unknown term, expected one of one, two"),
        ({"weights": {"one": "much"}}, "method: weights: one: found 'much', expected a number of at least 0"),
        ({"weights": [1]}, r"method: weights: found \[1\], expected a table"),
        ({"width": 0}, "method: width: found 0, expected a whole number of at least 1"),
        ({"width": 8.0}, "method: width: found 8.0, expected a whole number"),
        ({"width": True}, "method: width: found True, expected a whole number"),
        ({"rounds": None}, "method: rounds: found None, expected a whole number"),
        ({"epochs": 1, "rounds": 1}, "method: epochs, rounds: found both, expected one of the two"),
        ({"ema_decay": -0.1}, "method: ema_decay: found -0.1, expected a number of at least 0"),
        ({"ema_decay": 1.5}, "method: ema_decay: found 1.5, expected at most 1"),
        ({"ema_decay": float("nan")}, "method: ema_decay: found nan"),
        ({"kind": "hinge"}, "method: kind: found 'hinge', expected softmax or bce"),
        ({"kind": ["softmax"]}, "method: kind"),
        ({"stream": "yes"}, "method: stream: found 'yes', expected true or false"),
        ({"precision": "fp16"}, "method: precision: found 'fp16', expected fp32 or bf16"),
    ],
)
def test_errors_name_the_key(entry, message):
    with pytest.raises(InputError, match=message):
        settings(**entry)
