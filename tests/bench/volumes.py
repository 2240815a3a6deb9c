"""What the stages around the networks cost on scans of CHAOS's size: `python -m tests.bench.volumes --output FOLDER`.

Procedural CTs are prepared and sliced by 1 and by 2 processes, of a few patients and of four times as many; memory is
the most that their processes held together. Then the many are translated to two modalities by a StarGAN of random
weights, which costs what a trained one does: step by step, and with reading and writing overlapped, its network on one
core. Prints JSON.
"""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import psutil
import torch

from enrich import index
from enrich.crossfit import Fits
from enrich.datasets import phantom_chaos
from enrich.intensity import Intensity
from enrich.splits import Splits
from enrich.synthesize import Synthesis, write_synthetic
from gan import checkpoint, stopwatch
from gan.files import publish_json, seal
from gan.methods import METHODS
from gan.settings import resolve
from gan.trainer import Trainer

MODALITIES = ["ct", "t1", "t2"]
INTENSITY = "{}"


def measured(*command: object) -> dict[str, float]:
    """Run a program; return its seconds, and the most memory that it and its processes held together."""
    start, most = time.perf_counter(), 0
    process = psutil.Popen([sys.executable, "-m", *map(str, command)], stderr=subprocess.DEVNULL)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            most = max(most, sum(one.memory_info().rss for one in (process, *process.children(recursive=True))))
        time.sleep(0.05)
    assert process.returncode == 0, command
    return {"seconds": round(time.perf_counter() - start, 1), "memory_gb": round(most / 1e9, 2)}


def prepared_and_sliced(folder: Path, size: int, workers: int) -> dict[str, dict[str, float]]:
    """Prepare and slice the patients in a folder."""
    scans = folder / "scans.csv"
    options = ["--modalities", "ct", "--workers", workers, "--output"]
    correction = ["--correction", "{}", "--target", "liver", "--reader", "chaos", "--folder", folder / "raw"]
    prepare = measured("enrich.prepare", *correction, *options, scans)
    everyone = sorted(set(index.read(scans)["patient"]))
    publish_json(folder / "splits.json", {"train": everyone})
    split = ["--scans", scans, "--splits", folder / "splits.json", "--image-size", size, "--intensity", INTENSITY]
    return {"prepare": prepare, "slices": measured("enrich.slices", *split, *options, folder / "slices" / "index.csv")}


def random_model(path: Path, image_size: int, width: int) -> None:
    """Write a StarGAN of random weights."""
    stargan = METHODS["stargan"]
    settings = resolve(stargan.paper, stargan.official, {"width": width, "rounds": 1}, "stargan")
    trainer = Trainer(stargan(len(MODALITIES), image_size, settings), settings, 1)
    config = {
        "method": "stargan",
        "settings": {"width": width, "rounds": 1},
        "modalities": MODALITIES,
        "image_size": image_size,
        "depth": 1,
    }
    checkpoint.save(path, {"config": config, "log": "", "gpu_memory_gb": None} | trainer.state())
    seal(path)


def synthesized(folder: Path, size: int, width: int, workers: int) -> dict[str, float]:
    """Translate the scans of a folder, step by step and overlapped."""
    torch.set_num_threads(1)
    random_model(folder / "model.pt", size, width)
    fits = Fits({"all": [folder / "model.pt"]}, Splits())
    steps = Synthesis(folder / "scans.csv", fits, Intensity(), folder / "synthetic")
    steps.folder.mkdir(exist_ok=True)
    spent: Counter[str] = Counter()
    network = stopwatch.seconds()
    for _, scan in index.read(folder / "scans.csv", index.SCANS).iterrows():
        found: object = scan
        for step in (steps.read, steps.translate, steps.write):
            start = time.perf_counter()
            found = step(found)  # type: ignore[operator]
            spent[step.__name__] += time.perf_counter() - start
    spent["network"] = stopwatch.seconds() - network
    network, start = stopwatch.seconds(), time.perf_counter()
    write_synthetic(steps.scans_csv, fits, steps.intensity, steps.folder, workers=workers)
    spent["overlapped"] = time.perf_counter() - start
    spent["network, overlapped"] = stopwatch.seconds() - network
    return {name: round(seconds, 1) for name, seconds in spent.items()}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.volumes", description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=1)
    parser.add_argument("--slices", type=int, default=90)
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a CT")
    parser.add_argument("--image-size", type=int, default=256)
    parser.add_argument("--width", type=int, default=8, help="of StarGAN")
    arguments = parser.parse_args()
    told = {}
    for patients in (arguments.patients, 4 * arguments.patients):
        folder = arguments.output / str(patients)
        if not (folder / "raw").is_dir():  # each patient a copy of one, whose shapes take minutes to draw
            phantom_chaos.write(phantom_chaos.Settings(1, 0, arguments.slices, arguments.size), folder / "raw")
            first = folder / "raw" / "Train_Sets" / "CT" / "1"
            for number in range(2, patients + 1):
                shutil.copytree(first, first.with_name(str(number)))
        for workers in (1, 2):
            told[f"{patients} patients, {workers}"] = prepared_and_sliced(folder, arguments.image_size, workers)
    many = arguments.output / str(4 * arguments.patients)
    told["synthesis"] = synthesized(many, arguments.image_size, arguments.width, 1)
    print(json.dumps(told, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
