"""The trainings of a study's methods: how many rounds, at what pace."""

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context

import torch

from enrich.config import PRECOMPUTED, Config, facts, method_of
from enrich.entries import settings_of, settings_of_network
from enrich.forecast.rounds import Pace, measure
from gan.batch import Draw
from gan.methods import METHODS
from gan.scope import Scope
from gan.settings import Settings

Key = tuple[str, str]
"""An entry of `methods`, and the network that it starts from, or nothing."""


@dataclass(frozen=True)
class Training:
    """What an entry trains, or a network that it starts from."""

    method: str
    settings: Settings
    modalities: Mapping[str, tuple[str, ...]]  # of every training

    def rounds(self, scans: Mapping[str, int], depth: Mapping[str, float]) -> int:
        """Return the rounds of one training on so many scans of each modality; a volume of csgan's is one image."""
        flat = getattr(self.settings, "dimensions", 2) == 2
        sizes = [number * (depth[name] if flat else 1) for name, number in scans.items()]
        share, draw = self.settings.patient_fraction, METHODS[self.method].draw
        total = {Draw.ANY: sum(sizes), Draw.BALANCED: max(sizes) * len(sizes)}.get(draw, min(sizes))
        return self.settings.total_rounds(max(1, int(share * total) // self.settings.batch_size))

    @property
    def on_one_device(self) -> Settings:
        """The settings of what one of its devices does: on a GPU its share of a batch, else all processes' batches."""
        shares = self.settings.devices if torch.cuda.is_available() else 1
        return replace(self.settings, devices=1, batch_size=self.settings.batch_size // shares)


def trainings(config: Config) -> dict[Key, Training]:
    """Return what is trained for every entry."""
    found = {}
    for name, entry in config["methods"].items():
        if (method := method_of(name, entry)) == PRECOMPUTED:
            continue
        of = Scope(facts(method)["scope"]).trainings(config["modalities"])
        found[name, ""] = Training(method, settings_of(name, entry), of)
        for network, trainer in facts(method).get("pretrained", {}).items():
            found[name, network] = Training(trainer, settings_of_network(name, entry, network), of)
    return found


def paces(planned: Mapping[Key, Training], image_size: int, threads: int, cores: int) -> dict[Key, Pace]:
    """Measure every training's pace in a process of its own, as many at once as the study would run."""
    at_once = 1 if torch.cuda.is_available() else max(1, cores // threads)
    with ProcessPoolExecutor(at_once, get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = {
            key: pool.submit(
                measure, own.method, own.on_one_device, len(next(iter(own.modalities.values()))), image_size, threads
            )
            for key, own in planned.items()
        }
        return {key: future.result() for key, future in waiting.items()}
