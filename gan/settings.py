"""The settings of a method: published values by default, what the public code does by preset, the user's on top."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from gan.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What every method can be told; a method's own settings inherit from it and set the published values.

    Whole numbers are at least 1, real numbers finite and at least 0. One of `epochs` and `rounds` is None.
    """

    width: int  # channels of the first layer
    patient_fraction: float = 1.0  # of each modality's training patients
    batch_size: int  # slices
    auto_find_batch_size: bool = False  # one that does not fit into memory is halved, and the training starts afresh
    epochs: int | None = None  # passes over the training slices
    rounds: int | None = None  # batches
    weights: dict[str, float]  # of every named term
    ema_decay: float = 0.0  # of the generator's moving average, per round; 0: the generator as it is
    precision: Literal["fp32", "bf16"] = "fp32"
    devices: int = 1  # GPUs that share each batch, of which it is a multiple
    log_every: int = 50  # rounds between two logged values of a term, rounded down to the player's steps
    samples_every: int = 1000  # rounds between two grids of watched slices, and between two checks of early stopping
    checkpoint_every: int = 1000  # rounds between two checkpoints
    patience: int | None = None  # checks on the watched patients without a better one, after which the best is left

    @property
    def reads_target(self) -> bool:
        """Whether the training reads the slices' targets, so that scans without a label cannot train it."""
        return False

    def total_rounds(self, rounds_per_epoch: int) -> int:
        """Return the length of the training in rounds."""
        return self.rounds or (self.epochs or 0) * rounds_per_epoch


S = TypeVar("S", bound=Settings)


def from_json(text: str) -> dict[str, Any]:
    """Return the config entry that the option --settings of a program gives.

    Raises:
        InputError: no JSON, or not an object.
    """
    try:
        entry = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError("--settings", text, f"JSON ({error})") from error
    if not isinstance(entry, dict):
        raise InputError("--settings", text, "a JSON object")
    return entry


def resolve(paper: S, official: Mapping[str, Any], entry: Mapping[str, Any], where: str) -> S:
    """Return the settings that a config `entry` asks for.

    Args:
        paper: the published settings.
        official: what the preset `official` changes in them.
        entry: the user's keys, with `preset` ("paper" or "official") among them; `weights` overrides single terms.
        where: the name that an error gives for the entry.

    Raises:
        InputError: an unknown key, term or preset, or a value of the wrong type or range; names the key.
    """
    hints = get_type_hints(type(paper))
    values = dict(entry)
    presets: dict[object, Mapping[str, Any]] = {"paper": {}, "official": official}
    preset = str(values.pop("preset", "paper"))
    if preset not in presets:
        raise InputError(f"{where}: preset", preset, "paper or official")
    for key, value in values.items():
        if key not in hints:
            raise InputError(f"{where}: {key}", "an unknown key", f"one of {', '.join(['preset', *hints])}")
        _check(f"{where}: {key}", hints[key], value)
    if {"epochs", "rounds"} <= values.keys():
        raise InputError(f"{where}: epochs, rounds", "both", "one of the two")

    for term in values.get("weights", {}):
        if term not in paper.weights:
            raise InputError(f"{where}: weights: {term}", "an unknown term", f"one of {', '.join(paper.weights)}")
    settings = _changed(_changed(paper, presets[preset]), values)
    if settings.batch_size < 2:
        raise InputError(f"{where}: batch_size", settings.batch_size, "at least 2, to translate one slice like another")
    if settings.ema_decay > 1:
        raise InputError(f"{where}: ema_decay", settings.ema_decay, "at most 1")
    if not 0 < settings.patient_fraction <= 1:
        raise InputError(f"{where}: patient_fraction", settings.patient_fraction, "above 0, at most 1")
    return settings


def _changed(settings: S, values: Mapping[str, Any]) -> S:
    """Return settings with some values replaced, single weights among them, and one length in place of the other."""
    length = {"epochs": None, "rounds": None} if {"epochs", "rounds"} & values.keys() else {}
    weights = {**settings.weights, **values.get("weights", {})}
    return replace(settings, **{**length, **values, "weights": weights})


def _check(where: str, hint: Any, value: object) -> None:
    """Raise an InputError if `value` is not what the type `hint` of a settings key allows."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    if get_origin(hint) is Literal:
        fits, expected = value in get_args(hint), " or ".join(get_args(hint))
    elif hint is bool:
        fits, expected = isinstance(value, bool), "true or false"
    elif hint is float:
        fits, expected = number, "a number of at least 0"
    elif hint == dict[str, float]:
        fits, expected = isinstance(value, Mapping), "a table of terms and their weights"
        for term, weight in value.items() if isinstance(value, Mapping) else ():
            _check(f"{where}: {term}", float, weight)
    else:
        fits, expected = number and isinstance(value, int) and value >= 1, "a whole number of at least 1"
    if not fits:
        raise InputError(where, repr(value), expected)
