"""Train one fold of nnU-Net on a preprocessed dataset."""

import argparse
import json
import logging
import os
import shutil
from contextlib import nullcontext
from functools import partial
from importlib.metadata import version
from pathlib import Path

from enrich.nnunet import environment
from enrich.nnunet.dataset import FOLDS
from gan import stopwatch
from gan.errors import InputError, run
from gan.files import checked, require_recorded, sha256
from gan.holding import held
from gan.lease import lease
from gan.orphans import end_with_parent, is_further

AUGMENTATION_WORKERS = 12  # nnU-Net's own, which takes at most one a core
CHECKPOINT_EVERY = 50  # nnU-Net's own

logger = logging.getLogger(__name__)


def train(
    preprocessed: Path,
    results: Path,
    fold: str,
    trainer: str = "nnUNetTrainer",
    epochs: int | None = None,
    iterations: int | None = None,
    validation_iterations: int | None = None,
    checkpoint_every: int = CHECKPOINT_EVERY,
    augmentation_workers: int = AUGMENTATION_WORKERS,
    seed: int = 0,
    pretrained: Path | None = None,
    devices: int = 1,
    auto_find_batch_size: bool = False,
) -> Path:
    """Train one fold, or go on with a training of the same settings that was interrupted; return its final checkpoint.

    Its settings say which batch it was made with.

    Args:
        preprocessed: `preprocessed.json` of a preprocessed dataset.
        results: folder of nnU-Net's results.
        fold: a number, or `all`: all cases train, and nothing is validated afterwards.
        trainer: class name of nnU-Net's trainer.
        epochs: None for the trainer's own, as the next two.
        iterations: batches an epoch.
        validation_iterations: validation batches an epoch.
        checkpoint_every: epochs from one checkpoint to the next.
        augmentation_workers: processes that augment, for each device; 0 augments in this one, the only repeatable way.
        seed: of weights, patches and augmentation.
        pretrained: the checkpoint whose weights it starts from, of the same fold and plans; None for random ones.
        devices: GPUs that share each batch, as nnU-Net's own DDP does; so many processes where there is no GPU.
        auto_find_batch_size: on one device, halve a batch that does not fit into memory, and start afresh.

    Raises:
        InputError: no preprocessed dataset, or plans, folds or `dataset.json` other than were published, no folds or
            trainer of that name, no such checkpoint to start from, or more devices than cases in a batch, or pairs of
            cases where half of them are synthetic; or a batch that does not fit into memory.
    """
    if not preprocessed.is_file():
        raise InputError(preprocessed, "no such file", "a preprocessed nnU-Net dataset")
    if pretrained is not None and not pretrained.is_file():
        raise InputError(pretrained, "no such file", "a checkpoint to start from")
    folder = preprocessed.parent
    if fold != "all" and not (folder / "splits_final.json").is_file():
        raise InputError(folder / "splits_final.json", "no such file", f"the folds of which {fold} is one")
    digest = checked(preprocessed)
    summary = json.loads(preprocessed.read_text())
    folds = [] if fold == "all" else ["splits_final.json"]
    for name in (f"{summary['plans']}.json", "dataset.json", *folds):
        require_recorded(folder / name, summary["sha256"][name], preprocessed)
    with environment.importing():
        environment.configure(augmentation_workers, preprocessed=folder.parent, results=results)
        import torch
        from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        from enrich.nnunet.trainer import repeatable, settings_of
        from gan.batch_size import TooLargeError, fitting, free, smaller
        from gan.checkpoint import is_whole
        from gan.processes import end_all, launch

    try:
        trainer_class = repeatable(recursive_find_trainer_class_by_name(trainer))
    except RuntimeError as error:
        raise InputError("trainer", trainer, "a trainer of nnU-Net") from error
    settings = {
        "preprocessed_sha256": digest,
        "epochs": epochs,
        "iterations": iterations,
        "validation_iterations": validation_iterations,
        "augmentation_workers": augmentation_workers,
        "seed": seed,
        "devices": devices,
        "pretrained_sha256": checked(pretrained) if pretrained else None,
        "code_sha256": [sha256(Path(__file__).with_name(name)) for name in ("train.py", "trainer.py", "loader.py")],
        "versions": {name: version(name) for name in ("nnunetv2", "torch")},
    }
    model = results / folder.name / f"{trainer}__{summary['plans']}__{summary['configuration']}"
    output = model / f"fold_{fold}"
    latest = output / "checkpoint_latest.pth"
    plans = json.loads((folder / f"{summary['plans']}.json").read_text())
    planned = PlansManager(plans).get_configuration(summary["configuration"])
    batch, patch = planned.batch_size, "×".join(map(str, planned.patch_size))
    dataset = json.loads((folder / "dataset.json").read_text())
    least, why = (2, ", half of it synthetic") if dataset.get("synthetic_cases") else (1, "")
    if devices > batch // least:
        raise InputError("--devices", devices, f"at most {batch // least} for the batch of {batch} of the plans{why}")
    fabric = launch(devices)
    os.register_at_fork(after_in_child=partial(end_with_parent, os.getpid()))  # what augments would stay for ever
    found = (latest.is_file() and is_whole(latest) and settings_of(latest)) or {}
    size = found.pop("batch_size", batch)
    if not (resume := found == settings):
        size = batch
    fold_name = fold if fold == "all" else int(fold)
    remedies = ["a smaller nnunet.gpu_memory_gb, which plans anew"]
    remedies += [] if auto_find_batch_size else ["nnunet.auto_find_batch_size: true"]
    while True:
        fabric.barrier()
        if fabric.is_global_zero:
            _clear(output, resume)
        fabric.barrier()
        training = trainer_class(
            plans | {"continue_training": resume}, summary["configuration"], fold_name, dataset, fabric.device
        )
        training.my_init_kwargs["settings"] = settings | {"batch_size": size}
        training.configuration_manager.configuration["batch_size"] = size  # its own copy of the plans
        training.seed = seed
        training.checkpoint_every = checkpoint_every
        training.num_epochs = epochs or training.num_epochs
        training.num_iterations_per_epoch = iterations or training.num_iterations_per_epoch
        training.num_val_iterations_per_epoch = validation_iterations or training.num_val_iterations_per_epoch
        torch.backends.cudnn.benchmark = fabric.device.type == "cuda"
        what = f"{size} patches of {patch}"
        try:
            with fitting("nnU-Net's batch", size, what, fabric.device, " or ".join(remedies)):
                if resume:
                    training.load_checkpoint(str(latest))
                elif pretrained is not None:
                    training.load_pretrained(pretrained)
                with stopwatch.inside():
                    training.run_training()
            return output / "checkpoint_final.pth"
        except TooLargeError as error:
            if devices > 1:
                end_all(error)
            if (half := smaller(size)) is None or not auto_find_batch_size:
                raise
        del training
        free()
        logger.warning("%s did not fit into memory: starting afresh with %d", what, half)
        size, resume = half, False


def require_whole(preprocessed: Path) -> None:
    """Require every file of a preprocessed dataset to be the one that was published.

    Raises:
        InputError: one is missing, or is another file.
    """
    checked(preprocessed)
    for name, digest in json.loads(preprocessed.read_text())["sha256"].items():
        require_recorded(preprocessed.parent / name, digest, preprocessed)


def _clear(output: Path, resume: bool) -> None:
    """Remove what another training left, or, of the one that goes on, what it left half written."""
    if output.exists() and not resume:
        shutil.rmtree(output)
    for leftover in output.glob(".*.pth"):
        leftover.unlink()


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description="Train one fold of nnU-Net.")
    parser.add_argument("--preprocessed", type=Path, required=True, help="preprocessed.json")
    parser.add_argument("--results", type=Path, required=True, help="folder of nnU-Net's results")
    parser.add_argument("--fold", choices=["all", *map(str, range(FOLDS))], default="all")
    parser.add_argument("--trainer", default="nnUNetTrainer")
    parser.add_argument("--epochs", type=int, help="default: the trainer's own")
    parser.add_argument("--iterations", type=int, help="batches an epoch; default: the trainer's own")
    parser.add_argument("--validation-iterations", type=int, help="default: the trainer's own")
    parser.add_argument(
        "--checkpoint-every", type=int, default=CHECKPOINT_EVERY, help="epochs from one checkpoint to the next"
    )
    parser.add_argument(
        "--augmentation-workers", type=int, default=AUGMENTATION_WORKERS, help="0 augments in this process: repeatable"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pretrained", type=Path, help="checkpoint_final.pth of the same fold, whose weights it tunes")
    parser.add_argument("--devices", type=int, default=1, help="GPUs that share each batch")
    parser.add_argument(
        "--auto-find-batch-size", action="store_true", help="halve a batch that does not fit into memory"
    )
    arguments = parser.parse_args()
    if not is_further():  # before there is a GPU that would wait for it
        require_whole(arguments.preprocessed)
    lease(arguments.devices)
    alone = held(arguments.results, "training", arguments.results / f".fold_{arguments.fold}.running")
    with nullcontext() if is_further() else alone:
        train(**vars(arguments))


if __name__ == "__main__":
    run(main)
