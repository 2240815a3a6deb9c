"""Train a translation method on a slice cache.

`python -m gan.train --slices DIR [--modalities NAME ...] --method NAME --settings JSON --seed N [--held-out N]
[--pretrained NETWORK=MODEL ...] --output DIR [--resume]` writes into the output folder `log.csv` (round, player, term,
value) and `samples/round_*.png` as training goes, `checkpoint.pt` now and then, and in the end `model.pt` in its place.
At SIGTERM it writes `checkpoint.pt` after the round that it is in and ends with exit code 75.
"""

import argparse
import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from gan import checkpoint, preemption, stopwatch
from gan.batch import Draw, Slices, cache_digests
from gan.batch_size import TooLargeError, fitting, free, smaller
from gan.errors import InputError, run
from gan.feed import batches
from gan.files import publish, rename_sealed, sha256
from gan.holding import held
from gan.lease import lease
from gan.methods import METHODS
from gan.processes import end_all
from gan.samples import save_grid
from gan.settings import Settings, from_json, resolve
from gan.sources import ROOT, training_sources
from gan.trained import load_model
from gan.trainer import Trainer

HEADER = "round,player,term,value\n"

logger = logging.getLogger(__name__)


def train(
    slices: Slices,
    name: str,
    settings: Settings,
    seed: int,
    output: Path,
    pretrained: Mapping[str, Path],
    resume: bool,
) -> None:
    """Train method `name` on `slices`; with `resume`, go on from the checkpoint in `output`.

    A batch that does not fit into memory is halved, if the settings allow that and there is one process, and the
    training starts afresh: it is then that of the smaller batch. A checkpoint says which one it was made with.

    A checkpoint counts only if settings, seed, slices, pretrained models and the sources that the training runs are the
    same. A resumed training ends, on a CPU and with as many threads, with the very bits of an uninterrupted one.

    Raises:
        InputError: slices or sizes that the method cannot take, a network that is not pretrained though the method
            wants it, a loss that is not finite, or sources or slices that changed meanwhile, so that nobody takes the
            model for one of theirs; or a batch that does not fit into memory.
    """
    size: int | None = None
    while True:
        try:
            _train(slices, name, settings, size, seed, output, pretrained, resume)
            return
        except TooLargeError as error:
            if settings.devices > 1:
                end_all(error)
            kinds = len(slices.modalities) if METHODS[name].draw is Draw.BALANCED else 1
            size, failed = smaller(error.size, kinds), error.size
            if size is None or not settings.auto_find_batch_size:
                raise
        free()
        logger.warning("%s: batch_size: %d did not fit into memory: starting afresh with %d", name, failed, size)
        resume = False


def _train(
    slices: Slices,
    name: str,
    settings: Settings,
    size: int | None,
    seed: int,
    output: Path,
    pretrained: Mapping[str, Path],
    resume: bool,
) -> None:
    """Train with a batch of `size`; None: with that of the checkpoint, or else of the settings."""
    torch.manual_seed(seed)
    method = METHODS[name](len(slices.modalities), slices.image_size, settings)
    if settings.reads_target and not slices.has_target():
        raise InputError(slices.folder / "targets.npy", "no target in any training slice", f"some, for {method.title}")
    if settings.patience:
        if not method.segments or method.watch_from >= 1:
            raise InputError(f"{name}: patience", settings.patience, "none, since it never segments what is watched")
        if not any(slices.watch_batches(1, method.draw)):
            raise InputError(slices.folder / "index.csv", "no watched patient", "some, to stop early by")
    if pretrained.keys() != method.pretrained.keys():
        found, expected = (", ".join(names) or "none" for names in (pretrained, method.pretrained))
        raise InputError("--pretrained", found, f"{expected}, for {method.title}")
    for network, path in pretrained.items():
        load_model(path, method.pretrained[network], slices.modalities, method.get_submodule(network))
    data = method.view(slices)
    config = resolved(data, name, settings, seed, pretrained)
    unfinished, log = output / "checkpoint.pt", HEADER
    saved = _fitting(unfinished, config) if resume else None
    size = size or (saved["config"]["batch_size"] if saved else settings.batch_size)
    per_epoch = data.rounds_per_epoch(size, method.draw)
    if not per_epoch:
        expected = f"at least one batch of {size}"
        raise InputError(slices.folder / "index.csv", f"{len(slices.train)} training slices", expected)
    share = settings.devices * (method.modalities if method.draw is Draw.BALANCED else 1)
    if settings.devices > 1 and settings.batch_size % share:
        raise InputError("batch_size", settings.batch_size, f"a multiple of {share}, for {settings.devices} devices")
    trainer = Trainer(method, settings, settings.total_rounds(per_epoch))
    if saved:
        trainer.restore(saved)
        log = saved["log"]
        logger.info("%s: going on after round %d", unfinished, trainer.round)
    trainer.fabric.barrier()
    halved = settings.auto_find_batch_size or settings.devices > 1  # there is no more to be done by that
    expected = "a smaller one" if halved else "a smaller one, or auto_find_batch_size: true"
    told: list[bool] = []  # no Event, whose lock a second signal would wait for
    alone = held(output, "training", output / ".running")  # though a snakemake was killed that left one behind
    with alone if trainer.fabric.is_global_zero else nullcontext():
        with (
            preemption.heeded(lambda: told.append(True), first=trainer.fabric.is_global_zero),
            fitting(f"{name}: batch_size", size, str(size), trainer.device, expected),
        ):
            play(trainer, data, config | {"batch_size": size}, output, log, told)
        now = resolved(data, name, settings, seed, pretrained) | {"slices": cache_digests(data.folder)}
        if changed := [key for key in config if now[key] != config[key]]:
            raise InputError(output, f"{' and '.join(changed)} that changed during the training", "a new training")
        if trainer.fabric.is_global_zero:
            with publish(output / "log.csv", sealed=True) as temporary:
                shutil.copyfile(output / "log.csv", temporary)
            rename_sealed(unfinished, output / "model.pt")


def _fitting(path: Path, config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a checkpoint that was made with `config`; None without one, as where another version wrote it."""
    if not path.is_file():
        return None
    try:
        saved = checkpoint.load_unfinished(path)
    except InputError as error:
        if isinstance(error.__cause__, OSError):  # of the machine, not of the file
            raise
        logger.info("%s: starting afresh", error)
        return None
    changed = [key for key in config if saved["config"].get(key) != config[key]]
    if changed:
        logger.info("%s was made with other %s: starting afresh", path, ", ".join(changed))
    return None if changed else saved


def play(trainer: Trainer, data: Slices, config: dict[str, Any], output: Path, log: str, told: list[bool]) -> None:
    """Play the rounds that are left and write what `train` says, `checkpoint.pt` last; `log` is the log so far.

    `config` is what `resolved` returns, with the `batch_size` that is played. Of several processes the first alone
    writes. Once it is `told` to end, it saves and ends all.
    """
    method, settings, writes = trainer.method, trainer.method.settings, trainer.fabric.is_global_zero
    watched, lines = data.watched(method.draw), [log]
    pictures = output / "samples"
    pictures.mkdir(parents=True, exist_ok=True)
    for picture in pictures.glob("round_*.png") if writes else ():
        if int(picture.stem.removeprefix("round_")) > trainer.round:
            picture.unlink()

    with (output / "log.csv" if writes else Path(os.devnull)).open("w") as stream:
        stream.write(log)
        due = range(trainer.round, trainer.rounds)
        feed = batches(data, due, config["batch_size"], config["seed"], method.draw, trainer.device)
        hidden = None if writes else True  # None: where nobody looks
        for batch in tqdm(feed, config["method"], trainer.rounds, initial=trainer.round, unit="round", disable=hidden):
            if settings.patience and trainer.stale >= settings.patience:
                break
            with stopwatch.inside():
                played = trainer.step(batch)
            new = [
                f"{trainer.round},{player.name},{term},{value.item():.6g}\n"
                for player in trainer.players
                if trainer.round % (player.every * max(1, settings.log_every // player.every)) == 0
                for term, value in played.get(player.name, {}).items()
            ]
            shown = trainer.round == trainer.rounds or trainer.round % settings.samples_every == 0
            if shown and settings.patience and trainer.round > method.watch_from * trainer.rounds:
                loss = trainer.watch(data.watch_batches(config["batch_size"], method.draw))
                new.append(f"{trainer.round},watched,segmentation,{loss:.6g}\n")
            last = trainer.round == trainer.rounds or bool(settings.patience and trainer.stale >= settings.patience)
            if last:
                trainer.keep_best()
            lines += new
            stream.write("".join(new))
            stream.flush()
            if shown and writes:
                save_grid(pictures / f"round_{trainer.round:06d}.png", watched, data.modalities, trainer)
            ending = bool(told) and not last
            if writes and (last or ending or trainer.round % settings.checkpoint_every == 0):
                record = {"config": config, "log": "".join(lines), "gpu_memory_gb": peak_gpu_memory_gb()}
                state = record | trainer.state()
                checkpoint.save(output / "checkpoint.pt", state)
            if ending:
                preemption.end()


def peak_gpu_memory_gb() -> float | None:
    """Return the most memory of the GPU that this process has held, 10⁹ bytes; None without a GPU."""
    return torch.cuda.max_memory_reserved() / 1e9 if torch.cuda.is_available() else None


def resolved(
    slices: Slices, name: str, settings: Settings, seed: int, pretrained: Mapping[str, Path]
) -> dict[str, Any]:
    """Return everything that a training is a function of, as JSON-like values."""
    return {
        "method": name,
        "settings": asdict(settings),
        "seed": seed,
        "modalities": slices.modalities,
        "image_size": slices.image_size,
        "depth": slices.depth,
        "patients": sorted(set(slices.index.loc[slices.train, "patient"])),
        "slices": slices.sha256,
        "pretrained": {network: sha256(path) for network, path in pretrained.items()},
        "torch": torch.__version__.split("+")[0],
        "sources": {path.as_posix(): sha256(ROOT / path) for path in training_sources(name)},
    }


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m gan.train", description="Train a translation method.")
    parser.add_argument("--slices", type=Path, required=True, help="folder of the slice cache")
    parser.add_argument("--modalities", nargs="+", help="those to train on, in this order; default: all")
    parser.add_argument("--method", required=True, help=" or ".join(METHODS))
    parser.add_argument("--settings", default="{}", help="the method's keys, as JSON; `preset`: paper or official")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held-out", type=int, metavar="N", help="fold of cross-fitting whose patients do not train")
    parser.add_argument("--pretrained", nargs="+", default=[], metavar="NETWORK=MODEL", help="models to start from")
    parser.add_argument("--output", type=Path, required=True, help="folder for model.pt, log.csv and samples")
    parser.add_argument("--resume", action="store_true", help="go on from checkpoint.pt if it fits")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    if arguments.method not in METHODS:
        raise InputError("--method", arguments.method, " or ".join(METHODS))
    entry = from_json(arguments.settings)
    if arguments.seed < 0:
        raise InputError("--seed", arguments.seed, "at least 0")
    method = METHODS[arguments.method]
    settings = resolve(method.paper, method.official, entry, arguments.method)
    lease(settings.devices)
    everyone = method.segments and not method.translates and not settings.patience  # as nnU-Net, which watches nobody
    fraction, held_out = settings.patient_fraction, arguments.held_out
    which = {"watched_train": everyone, "held_out": held_out, "labelled": settings.reads_target}
    slices = Slices(arguments.slices, arguments.modalities, fraction, arguments.seed, **which)
    pretrained = {network: Path(path) for network, _, path in (text.partition("=") for text in arguments.pretrained)}
    train(slices, arguments.method, settings, arguments.seed, arguments.output, pretrained, arguments.resume)


if __name__ == "__main__":
    run(main)
