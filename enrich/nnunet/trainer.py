"""nnU-Net's trainers made repeatable, resumable and atomic; importing this imports nnU-Net."""

import io
import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.noise import gaussian_blur
from nnunetv2.training.nnUNetTrainer import nnUNetTrainer as stock
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch._dynamo import OptimizedModule

from enrich.nnunet.checkpoint import nothing_executed, read_checkpoint
from enrich.nnunet.environment import pools_of_threads
from enrich.nnunet.loader import HalfSynthetic
from gan import preemption
from gan.errors import InputError
from gan.files import publish


class Repeatable(nnUNetTrainer):  # type: ignore[misc]
    """What is added to an nnU-Net trainer, of which nothing else changes.

    Every epoch starts from a seed of its own, so that a resumed training equals an uninterrupted one: bit for bit on a
    CPU, with as many threads, augmented in this process. Where `dataset.json` names synthetic cases, they are half of
    every training batch, and nothing is validated on them. Several processes share each batch as in nnU-Net's own DDP,
    on GPUs or, where there are none, on the processor; the first alone writes. At SIGTERM it writes what the epoch
    began with and ends with exit code 75.

    Attributes:
        seed: of weights, patches and augmentation.
        checkpoint_every: epochs from one checkpoint to the next.
    """

    seed: int
    checkpoint_every: int
    _remembered = io.BytesIO()

    def __init__(
        self, plans: dict[str, Any], configuration: str, fold: int | str, dataset_json: dict[str, Any], device: Any
    ) -> None:
        """Take nnU-Net's arguments, of which `device` is this process's own: nnU-Net's DDP takes it for a GPU."""
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.device = device
        if device.type == "cpu":
            self.grad_scaler = None

    def initialize(self) -> None:
        """Build the network from the seed."""
        self.save_every = self.num_epochs + 1  # never: nnU-Net's own comes before the epoch's best is known
        _seed(self.seed, 0, 0)
        own = stock.DDP
        if self.device.type == "cpu":
            stock.DDP = lambda network, device_ids: own(network)  # noqa: ARG005
        try:
            super().initialize()
        finally:
            stock.DDP = own

    def load_pretrained(self, checkpoint: Path) -> None:
        """Start from the weights of another training of the same fold and plans: all of them, and nothing else of it.

        Optimizer and learning rate start afresh. nnU-Net's own loading leaves the last layers out, for other classes.

        Raises:
            InputError: an unreadable checkpoint, or one of another fold, other plans or another network.
        """
        self.initialize()
        found = read_checkpoint(checkpoint)
        theirs, ours = found["init_args"], self.my_init_kwargs
        if theirs["fold"] != ours["fold"]:
            raise InputError(checkpoint, f"fold {theirs['fold']}", f"fold {ours['fold']}")
        if theirs["plans"] != ours["plans"] or theirs["configuration"] != ours["configuration"]:
            raise InputError(checkpoint, "a network of other plans", "one of the plans of this training")
        network = self.network.module if self.is_ddp else self.network
        network = network._orig_mod if isinstance(network, OptimizedModule) else network
        try:
            network.load_state_dict(found["network_weights"])
        except RuntimeError as error:
            raise InputError(checkpoint, "weights of another network", "those of this trainer's") from error

    def load_checkpoint(self, filename_or_checkpoint: str) -> None:
        """Go on from a checkpoint."""
        with nothing_executed():
            super().load_checkpoint(filename_or_checkpoint)

    @property
    def synthetic(self) -> frozenset[str]:
        """The cases that are synthetic."""
        return frozenset(self.dataset_json.get("synthetic_cases", []))

    def do_split(self) -> tuple[list[str], list[str]]:
        """Return the cases that train and the real ones that validate."""
        training, validation = super().do_split()
        synthetic = self.synthetic
        return training, [name for name in validation if name not in synthetic]

    def get_dataloaders(self) -> Any:
        """Return what yields the batches of training and of validation."""
        own = stock.nnUNetDataLoader
        stock.nnUNetDataLoader = partial(HalfSynthetic, synthetic=self.synthetic) if self.synthetic else own
        try:
            return super().get_dataloaders()
        finally:
            stock.nnUNetDataLoader = own

    def run_training(self) -> None:
        """Train, and save the epoch's start if a cluster takes the place away."""
        with preemption.heeded(self._save_and_end, first=self.local_rank == 0):
            super().run_training()

    def on_epoch_start(self) -> None:
        """Remember all that a training would go on with, save it now and then, and start from the epoch's own seed."""
        self._remember()
        if self.current_epoch and self.current_epoch % self.checkpoint_every == 0:
            self._save_remembered()
        _seed(self.seed, self.current_epoch + 1, self.local_rank)
        super().on_epoch_start()

    def _remember(self) -> None:
        """Keep in memory what a checkpoint of the epochs that are done would hold."""
        if self.local_rank == 0:
            remembered = io.BytesIO()
            self.current_epoch -= 1  # a checkpoint says the epoch after the current one
            super().save_checkpoint(remembered)
            self.current_epoch += 1
            self._remembered = remembered

    def _save_remembered(self) -> None:
        if self.local_rank == 0:
            with publish(Path(self.output_folder, "checkpoint_latest.pth")) as temporary:
                temporary.write_bytes(self._remembered.getbuffer())

    def _save_and_end(self) -> None:
        if self._remembered.getbuffer():
            self._save_remembered()
        preemption.end()

    def save_checkpoint(self, filename: str) -> None:
        """Write a checkpoint, complete or not at all."""
        if self.local_rank == 0:
            with publish(Path(filename), sealed=filename.endswith("checkpoint_final.pth")) as temporary:
                super().save_checkpoint(str(temporary))

    def on_train_end(self) -> None:
        """Predict the fold's own validation cases, and only then publish the final checkpoint."""
        self._remember()
        if self.fold != "all":
            with pools_of_threads():
                self.perform_actual_validation()
        super().on_train_end()


def repeatable(trainer: type[nnUNetTrainer]) -> type[Repeatable]:
    """Return a repeatable subclass of an nnU-Net trainer, under the trainer's own name.

    nnU-Net's tools look a model's trainer up by that name, find the original, and load the model.
    """
    # nnU-Net's blur picks its algorithm by timing, and the two differ in the last bits
    gaussian_blur.GaussianBlurTransform._benchmark_wrapper = staticmethod(gaussian_blur.blur_dimension)
    return type(trainer.__name__, (Repeatable, trainer), {})


def settings_of(checkpoint: Path) -> Any:
    """Return the settings that a checkpoint was trained with."""
    return read_checkpoint(checkpoint)["init_args"].get("settings")


def _seed(seed: int, epoch: int, process: int) -> None:
    """Seed the global generators, from which nnU-Net draws everything."""
    state = int(np.random.SeedSequence((seed, epoch, process)).generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)  # noqa: NPY002
    torch.manual_seed(state)
