"""How long a method's round takes, and what its training holds: a few real rounds on random images."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from gan.batch_size import fitting
from gan.lease import lease
from gan.methods import METHODS
from gan.noise import random_batch
from gan.player import cycle
from gan.settings import Settings
from gan.trainer import Trainer

SECONDS = 8.0
ROUNDS = 1000  # of the training that is played at a few places
PHASES = 50  # rounds between two places at which players may begin or cease to rest


@dataclass(frozen=True)
class Pace:
    """Of one method at one size.

    Attributes:
        round_s: seconds of a round, the mean over a training in which players rest, or step on every n-th round.
        image_s: seconds of translating one slice; 0 for a method that does not translate.
        memory_gb: the most that the process held, 10⁹ bytes.
        model_gb: a checkpoint.
    """

    round_s: float
    image_s: float
    memory_gb: float
    model_gb: float


def measure(
    name: str, settings: Settings, modalities: int, image_size: int, threads: int, least_s: float = SECONDS
) -> Pace:
    """Play rounds of method `name` for `least_s`, at least one cycle of its players; for a process of its own.

    The first cycle counts only where it took all the time. A GPU is leased, as by every training.
    """
    lease()
    torch.set_num_threads(threads)
    method = METHODS[name](modalities, image_size, settings)
    trainer = Trainer(method, settings, ROUNDS)
    batch = random_batch(method, getattr(settings, "patch", None) or image_size)
    length = cycle(trainer.players)
    phases: dict[tuple[bool, ...], list[int]] = {}  # rounds by the players that do not rest
    for k in range(PHASES // 2, ROUNDS, PHASES):
        phases.setdefault(tuple(player.schedule(k / ROUNDS) > 0 for player in trainer.players), []).append(k)

    def play(first: int) -> None:
        trainer.round = first - first % length
        for _ in range(length):
            trainer.step(batch)

    with fitting(f"{name}: batch_size", settings.batch_size, str(settings.batch_size), trainer.device, "a smaller one"):
        times = [(_seconds(partial(play, found[0]), least_s) / length, len(found)) for found in phases.values()]
    round_s = sum(seconds * share for seconds, share in times) / sum(share for _, share in times)
    size = len(batch.source) * (image_size if method.dimensions == 3 else 1)
    translate = partial(trainer.translate, batch.image, batch.source, batch.target)
    image_s = _seconds(translate, least_s) / size if method.translates else 0.0
    return Pace(round_s, image_s, _peak_gb(), _bytes(trainer.state()) / 1e9)


def _seconds(play: Callable[[], object], least_s: float) -> float:
    """Return the mean seconds of a call, without the first if there is time for more."""
    times: list[float] = []
    for _ in range(21):
        start = time.perf_counter()
        play()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
        if sum(times) > least_s:
            break
    return fmean(times[1:] or times)


def _peak_gb() -> float:
    """Return the most memory that this process held, 10⁹ bytes; `getrusage` would begin at what its parent held."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024 / 1e9


def _bytes(value: object) -> int:
    match value:
        case Tensor():
            return value.nbytes
        case dict():
            return sum(map(_bytes, value.values()))
        case list() | tuple():
            return sum(map(_bytes, value))
    return 0
