"""A checkpoint of nnU-Net's trainer, of which nothing is executed when it is read, though nnU-Net asks torch for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gan.checkpoint import BROKEN
from gan.errors import InputError
from gan.memory import out_of_memory

SCALAR = np.float64(0).__reduce__()[0]  # what NumPy's numbers are unpickled by
NUMPY: list[Any] = [np.dtype, SCALAR, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8"))]
FORCED = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"  # torch's own, which outdoes weights_only=False
KEYS = {"network_weights", "init_args", "trainer_name", "logging"}


@contextmanager
def nothing_executed() -> Iterator[None]:
    """Let whoever reads files by torch read tensors, numbers and text alone; other things are an `UnpicklingError`."""
    before = os.environ.get(FORCED)
    os.environ[FORCED] = "1"
    try:
        with torch.serialization.safe_globals(NUMPY):
            yield
    finally:
        os.environ.pop(FORCED)
        os.environ.update({} if before is None else {FORCED: before})


def read_checkpoint(path: Path) -> Any:
    """Read a checkpoint of nnU-Net's trainer onto the CPU; its tensors stay on disk until they are used.

    Raises:
        InputError: the file is broken or of another kind, or holds other things than tensors, numbers and text.
    """
    expected = "a checkpoint of enrich.nnunet.train"
    try:
        with nothing_executed():
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except BROKEN as error:
        if out_of_memory(error):
            raise
        raise InputError(path, f"something unreadable ({type(error).__name__})", expected) from error
    if not isinstance(content, dict) or not content.keys() >= KEYS:
        raise InputError(path, "a file of another kind", expected)
    return content
