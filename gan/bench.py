"""How fast a method trains, beside the same game written straightforwardly.

`python -m gan.bench --method NAME --size PIXELS --batch SLICES [--settings JSON] [--modalities N] [--cycles N]
[--plain]` prints JSON: the median seconds of a round, slices a second, the most memory, arithmetic done a second, its
share of what a product of matrices reaches there, and how many times faster than plain it is.
"""

import argparse
import json
import math
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

from gan.batch import Batch
from gan.cost import cost
from gan.errors import InputError, run
from gan.method import Method
from gan.methods import METHODS
from gan.noise import random_batch
from gan.plain import Plain
from gan.settings import Settings, resolve
from gan.trainer import Trainer

WARM_UP = 2  # cycles that are not timed
MATRIX = {"cpu": 2048, "cuda": 8192}  # rows and columns of the product by which a device's peak is measured
DTYPE = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass
class Game:
    """A trainer at play on random slices.

    Attributes:
        trainer: who plays.
        cycle: the rounds in which every player steps once at least.
        seconds: of each cycle after those that warm up.
        terms: of each cycle, the last value of every term.
    """

    trainer: Trainer | Plain
    cycle: int
    seconds: list[float] = field(default_factory=list)
    terms: list[dict[str, float]] = field(default_factory=list)
    random: torch.Tensor = field(default_factory=torch.get_rng_state)

    def play(self, batch: Batch) -> None:
        """Play a cycle of rounds on `batch`; random draws are the game's own."""
        torch.set_rng_state(self.random)
        last: dict[str, torch.Tensor] = {}
        begin = now(batch)
        for _ in range(self.cycle):
            for terms in self.trainer.step(batch).values():
                last |= terms
        if len(self.terms) >= WARM_UP:
            self.seconds.append(now(batch) - begin)
        self.terms.append({name: value.item() for name, value in last.items()})
        self.random = torch.get_rng_state()

    @property
    def seconds_per_round(self) -> float:
        """Median over the cycles."""
        return median(self.seconds) / self.cycle


def now(batch: Batch) -> float:
    """Return the time in seconds, once the device has done what it was told."""
    if batch.image.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def start(
    kind: Callable[[Method, Settings, int], Trainer | Plain], name: str, settings: Settings, modalities: int, size: int
) -> Game:
    """Return a game that is about to begin, from one seed."""
    torch.manual_seed(0)
    method = METHODS[name](modalities, size, settings)
    if kind is Plain and torch.cuda.is_available():
        method.cuda()
    trainer = kind(method, settings, 10**9)
    return Game(trainer, math.lcm(*(player.every for player in trainer.players)))


def matmul_tflops(device: torch.device, dtype: torch.dtype) -> float:
    """Return the most that the device was seen to do in a product of square matrices, 10¹² operations a second."""
    size = MATRIX[device.type]
    a, b = (torch.rand(size, size, device=device).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(10):
        if device.type == "cuda":
            torch.cuda.synchronize()
        begin = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - begin)
    return 2 * size**3 / min(seconds) / 1e12


def peak_memory_gb() -> float:
    """Return the most memory that this process has held, on the GPU where there is one, 10⁹ bytes."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def measure(name: str, settings: Settings, modalities: int, size: int, cycles: int, plain: bool) -> dict[str, Any]:
    """Return the figures of a method.

    Args:
        name: of the method.
        settings: its settings.
        modalities: how many.
        size: height and width of a slice in pixels.
        cycles: how many are timed; a cycle has as many rounds as its rarest player needs to step.
        plain: play the straightforward game alone; otherwise both, in turns, so that a noisy machine disturbs both.
    """
    games = [start(Plain if plain else Trainer, name, settings, modalities, size)]
    batch = random_batch(games[0].trainer.method, size)
    for _ in range(WARM_UP):
        games[0].play(batch)
    memory = peak_memory_gb()
    if not plain:
        games.append(start(Plain, name, settings, modalities, size))
        for _ in range(WARM_UP):
            games[1].play(batch)
    for _ in range(cycles):
        for game in games:
            game.play(batch)
    rounds = [game.seconds_per_round for game in games]
    tflops = 2 * cost(METHODS[name], modalities, size, settings).multiply_adds / rounds[0] / 1e12
    device, precision = batch.image.device, "fp32" if plain else settings.precision
    peak = matmul_tflops(device, DTYPE[precision])
    return {
        "method": name,
        "size": size,
        "batch": settings.batch_size,
        "width": settings.width,
        "modalities": modalities,
        "plain": plain,
        "precision": precision,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "rounds": cycles * games[0].cycle,
        "seconds_per_round": rounds[0],
        "slices_per_second": settings.batch_size / rounds[0],
        "peak_memory_gb": memory,
        "tflops": tflops,
        "matmul_tflops": peak,
        "share_of_matmul": tflops / peak,
        **({} if plain else {"plain_seconds_per_round": rounds[1], "ratio_to_plain": rounds[1] / rounds[0]}),
        **({} if plain else {"difference_of_terms": difference(*games)}),
    }


def difference(one: Game, other: Game) -> float:
    """Return the largest difference of a term between two games after `WARM_UP` cycles, of the term's size or of 1."""
    pairs = [(value, other.terms[WARM_UP - 1][name]) for name, value in one.terms[WARM_UP - 1].items()]
    return max(abs(a - b) / max(1, abs(b)) for a, b in pairs)


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m gan.bench", description="Measure how fast a method trains.")
    parser.add_argument("--method", required=True, help=" or ".join(METHODS))
    parser.add_argument("--size", type=int, required=True, help="height and width of a slice in pixels")
    parser.add_argument("--batch", type=int, required=True, help="slices")
    parser.add_argument("--settings", type=json.loads, default={}, help="other keys of the method, as JSON")
    parser.add_argument("--modalities", type=int, help="default: as published")
    parser.add_argument("--cycles", type=int, default=15, help="timed, of as many rounds as every player needs to step")
    parser.add_argument("--plain", action="store_true", help="measure the straightforward game alone")
    arguments = parser.parse_args()
    if arguments.method not in METHODS:
        raise InputError("--method", arguments.method, " or ".join(METHODS))
    kind = METHODS[arguments.method]
    entry = {**arguments.settings, "batch_size": arguments.batch}
    settings = resolve(kind.paper, kind.official, entry, arguments.method)
    modalities = arguments.modalities or kind.published.modalities
    figures = measure(arguments.method, settings, modalities, arguments.size, arguments.cycles, arguments.plain)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
