"""The file that a training leaves behind, of which nothing is executed when it is read."""

import errno
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch

from gan import weights
from gan.errors import InputError
from gan.files import checked, publish
from gan.memory import out_of_memory
from gan.reading import is_file

EXPECTED = "a checkpoint of gan.train"
TOLD = ("method", "settings", "batch_size", "modalities", "image_size", "depth")
KEYS = {"config", "log", "gpu_memory_gb", "round", "method", "averaged", "optimizers", "random", "watched"}

BROKEN: tuple[type[Exception], ...] = (ArithmeticError, AssertionError, AttributeError, EOFError, LookupError)
BROKEN += (MemoryError, OSError, RuntimeError, TypeError, ValueError, pickle.UnpicklingError, struct.error)
"""What torch makes of a file that is broken."""


def save(path: Path, checkpoint: dict[str, Any]) -> None:
    """Write a checkpoint: the trainer's state, the resolved `config`, the `log` so far, `gpu_memory_gb`.

    Raises:
        OSError: it could not be written.
    """
    with publish(path) as temporary:
        try:
            torch.save(checkpoint, temporary)
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            raise OSError(errno.EIO, "a checkpoint that could not be written", str(path)) from error


def save_weights(checkpoint: dict[str, Any], path: Path) -> None:
    """Write what of a checkpoint translates and segments, without whom it was trained on, as safetensors."""
    told = {key: checkpoint["config"][key] for key in TOLD}
    weights.save(path, checkpoint["averaged"], told)


def load_weights(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read the config and the moving average of a checkpoint, or of what `save_weights` wrote.

    Raises:
        InputError: the file is missing, broken or of another kind.
    """
    if path.suffix == weights.SUFFIX:
        averaged, told = weights.load(path)
        return told, averaged
    checkpoint = load(path)
    return checkpoint["config"], checkpoint["averaged"]


def load(path: Path) -> dict[str, Any]:
    """Read the checkpoint of a finished training, `model.pt`; as `read`.

    Raises:
        InputError: the file is missing, is another one than was published, or is of another kind.
    """
    if is_file(path):
        checked(path)
    return read(path)


def load_unfinished(path: Path) -> dict[str, Any]:
    """Read the checkpoint of a training that goes on, `checkpoint.pt`, by the checksums in it; as `read`.

    It is renamed often and is never found without its hash, or with another's, since that is in the file itself.

    Raises:
        InputError: the file is missing, broken or of another kind.
    """
    if is_file(path) and not is_whole(path):
        raise InputError(path, "a file that is broken", EXPECTED)
    return read(path)


def is_whole(path: Path) -> bool:
    """Return whether every part of a file that `torch.save` wrote has the checksum (CRC-32) beside it.

    Raises:
        OSError: the disk does not give it, which says nothing of the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, ValueError, RuntimeError, EOFError):
        return False
    except OSError as error:
        if error.errno != errno.EINVAL:  # a place that the file does not have
            raise
        return False


def read(path: Path) -> dict[str, Any]:
    """Read a checkpoint onto the CPU; its tensors stay on disk until they are used.

    Raises:
        InputError: the file is missing, unreadable or of another kind.
    """
    if not is_file(path):
        raise InputError(path, "no file", EXPECTED)
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except BROKEN as error:
        if out_of_memory(error):
            raise
        raise InputError(path, f"something unreadable ({type(error).__name__})", EXPECTED) from error
    if not isinstance(checkpoint, dict) or checkpoint.keys() != KEYS:
        raise InputError(path, "a file of another kind", EXPECTED)
    return checkpoint
