"""How fast a method trains in the middle of its training, beside the same game written straightforwardly.

`python -m gan.bench --method NAME --size PIXELS --batch SLICES [--settings JSON] [--modalities N] [--cycles N]
[--plain]` prints JSON: the median seconds of a round, slices a second, the most memory, arithmetic done a second, its
share of what a product of matrices reaches there, and how many times faster than plain it is. The arithmetic is that of
`gan.cost`, which the trainer does; plain does more in a round, but `tflops` counts the same under `--plain`. `tf32`:
whether float32 is multiplied as TensorFloat-32, in convolutions and in that product.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch

from gan.batch_size import fitting
from gan.cost import cost
from gan.errors import InputError, run
from gan.lease import lease
from gan.methods import METHODS
from gan.noise import random_batch
from gan.plain import Plain
from gan.player import cycle
from gan.settings import Settings, from_json, resolve
from gan.trainer import Trainer

ROUNDS = 10**9  # of the training in whose middle the games are: nobody rests, and no ramp is at 0
WARM_UP = 2  # cycles that are not timed
MATRIX = {"cpu": 2048, "cuda": 8192}  # rows and columns of the product by which a device's peak is measured
DTYPE = {"fp32": torch.float32, "bf16": torch.bfloat16}


@dataclass
class Record:
    """What was seen of a game.

    Attributes:
        rounds: of a cycle.
        seconds: of each cycle after those that warm up.
        terms: of each cycle, the last value of every term.
        memory_gb: the most that the process had held when the warm-up was over, 10⁹ bytes.
    """

    rounds: int
    seconds: list[float] = field(default_factory=list)
    terms: list[dict[str, float]] = field(default_factory=list)
    memory_gb: float = 0.0

    @property
    def seconds_per_round(self) -> float:
        """Median over the cycles."""
        return median(self.seconds) / self.rounds


class Game:
    """A trainer at play on random slices, in the middle of a training.

    Attributes:
        trainer: who plays.
        batch: of every round.
        record: what was seen; a cycle are the rounds in which every player steps once at least.
        rng_state: of torch, after the last cycle; the games have the same draws, whoever plays in between.
    """

    def __init__(self, kind: type[Trainer | Plain], name: str, settings: Settings, modalities: int, size: int) -> None:
        """Begin from one seed with slices of `size` pixels, and warm up."""
        torch.manual_seed(0)
        method = METHODS[name](modalities, size, settings)
        if kind is Plain and torch.cuda.is_available():
            method.cuda()
        self.trainer = kind(method, settings, ROUNDS)
        self.trainer.round = ROUNDS // 2
        self.batch = random_batch(method, size)
        self.record = Record(cycle(self.trainer.players))
        self.rng_state = torch.get_rng_state()
        for _ in range(WARM_UP):
            self.play()
        self.record.seconds.clear()
        self.record.memory_gb = peak_memory_gb()

    def play(self) -> None:
        """Play a cycle."""
        torch.set_rng_state(self.rng_state)
        last: dict[str, torch.Tensor] = {}
        begin = self._now()
        for _ in range(self.record.rounds):
            for terms in self.trainer.step(self.batch).values():
                last |= terms
        self.record.seconds.append(self._now() - begin)
        self.record.terms.append({name: value.item() for name, value in last.items()})
        self.rng_state = torch.get_rng_state()

    def _now(self) -> float:
        """Return the time in seconds, once the device has done what it was told."""
        if self.batch.image.is_cuda:
            torch.cuda.synchronize()
        return time.perf_counter()


def played(games: Sequence[Game], cycles: int) -> list[Record]:
    """Play so many cycles of each game, in turns, so that a noisy machine disturbs all, and return what was seen."""
    for _ in range(cycles):
        for game in games:
            game.play()
    return [game.record for game in games]


def beside_plain(begin: Callable[[type[Trainer | Plain]], Game], cycles: int, together: bool) -> list[Record]:
    """Return what was seen of the trainer and of plain, or of the trainer alone where memory is too little for plain.

    They play in turns if both are to be in memory together, otherwise one after the other.
    """
    if together:
        return played([begin(Trainer), begin(Plain)], cycles)
    records = played([begin(Trainer)], cycles)
    with suppress(torch.OutOfMemoryError):
        records += played([begin(Plain)], cycles)
    return records


def matmul_tflops(device: torch.device, dtype: torch.dtype) -> float:
    """Return the most that the device was seen to do in a product of square matrices, 10¹² operations a second.

    In the arithmetic of convolutions, which by default is TensorFloat-32 where products of float32 are not.
    """
    size, products = MATRIX[device.type], torch.backends.cuda.matmul
    before, products.allow_tf32 = products.allow_tf32, torch.backends.cudnn.allow_tf32
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
    products.allow_tf32 = before
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
        plain: play the straightforward game alone; otherwise both, on a GPU one after the other.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def begin(kind: type[Trainer | Plain]) -> Game:
        return Game(kind, name, settings, modalities, size)

    together = device.type == "cpu"
    with fitting("--batch", settings.batch_size, str(settings.batch_size), device, "a smaller one"):
        records = played([begin(Plain)], cycles) if plain else beside_plain(begin, cycles, together)
    one = records[0]
    tflops = 2 * cost(METHODS[name], modalities, size, settings).multiply_adds / one.seconds_per_round / 1e12
    precision = "fp32" if plain else settings.precision
    peak = matmul_tflops(device, DTYPE[precision])
    return {
        "method": name,
        "size": size,
        "batch": settings.batch_size,
        "width": settings.width,
        "modalities": modalities,
        "plain": plain,
        "precision": precision,
        "tf32": device.type == "cuda" and precision == "fp32" and torch.backends.cudnn.allow_tf32,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "rounds": cycles * one.rounds,
        "seconds_per_round": one.seconds_per_round,
        "slices_per_second": settings.batch_size / one.seconds_per_round,
        "peak_memory_gb": one.memory_gb,
        "tflops": tflops,
        "matmul_tflops": peak,
        "share_of_matmul": tflops / peak,
        **({} if plain else ratio(*records)),
    }


def ratio(one: Record, plain: Record | None = None) -> dict[str, Any]:
    """Return the figures beside plain; they are None where it ran out of memory.

    `difference_of_terms` is the largest after `WARM_UP` cycles, of the term's size or of 1.
    """
    seconds = times = apart = None
    if plain is not None:
        seconds = plain.seconds_per_round
        times = seconds / one.seconds_per_round
        pairs = [(value, plain.terms[WARM_UP - 1][name]) for name, value in one.terms[WARM_UP - 1].items()]
        apart = max(abs(a - b) / max(1, abs(b)) for a, b in pairs)
    return {
        "plain_out_of_memory": plain is None,
        "plain_seconds_per_round": seconds,
        "ratio_to_plain": times,
        "difference_of_terms": apart,
    }


def main() -> None:
    """Parse the command line and print the figures."""
    parser = argparse.ArgumentParser(prog="python -m gan.bench", description="Measure how fast a method trains.")
    parser.add_argument("--method", required=True, help=" or ".join(METHODS))
    parser.add_argument("--size", type=int, required=True, help="height and width of a slice in pixels")
    parser.add_argument("--batch", type=int, required=True, help="slices")
    parser.add_argument("--settings", default="{}", help="other keys of the method, as JSON")
    parser.add_argument("--modalities", type=int, help="default: as published")
    parser.add_argument("--cycles", type=int, default=15, help="timed, of as many rounds as every player needs to step")
    parser.add_argument("--plain", action="store_true", help="measure the straightforward game alone")
    arguments = parser.parse_args()
    if arguments.method not in METHODS:
        raise InputError("--method", arguments.method, " or ".join(METHODS))
    if arguments.cycles < 1:
        raise InputError("--cycles", arguments.cycles, "at least 1")
    kind = METHODS[arguments.method]
    entry = {**from_json(arguments.settings), "batch_size": arguments.batch}
    settings = resolve(kind.paper, kind.official, entry, arguments.method)
    if settings.devices > 1:
        raise InputError("--settings: devices", settings.devices, "1: it measures one process")
    lease()
    modalities = arguments.modalities or kind.published.modalities
    figures = measure(arguments.method, settings, modalities, arguments.size, arguments.cycles, arguments.plain)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    run(main)
