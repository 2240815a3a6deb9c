"""The file that a training leaves behind, of which nothing is executed when it is read."""

import pickle
from pathlib import Path
from typing import Any

import torch

from gan.errors import InputError
from gan.files import publish

KEYS = {"config", "log", "gpu_memory_gb", "round", "method", "averaged", "optimizers", "random", "watched"}


def save(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write a checkpoint: the trainer's state, the resolved `config`, the `log` so far, `gpu_memory_gb`."""
    with publish(path) as temporary:
        torch.save(checkpoint, temporary)


def load(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; its tensors stay on disk until they are used.

    Raises:
        InputError: the file is missing, broken or of another kind.
    """
    expected = "a checkpoint of gan.train"
    if not path.is_file():
        raise InputError(path, "no file", expected)
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(path, f"something unreadable ({type(error).__name__})", expected) from error
    if not isinstance(checkpoint, dict) or checkpoint.keys() != KEYS:
        raise InputError(path, "a file of another kind", expected)
    return checkpoint
