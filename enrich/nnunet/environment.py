"""What nnU-Net reads from the environment of its process."""

import gc
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace


def configure(augmentation_workers: int, **folders: Path) -> None:
    """Set nnU-Net's environment; to be called before nnU-Net is imported.

    Args:
        augmentation_workers: processes that augment; 0 augments in this one.
        folders: those of `raw`, `preprocessed` and `results` that are used; of the others nnU-Net shall know nothing.
    """
    for name in ("raw", "preprocessed", "results"):
        os.environ.pop(f"nnUNet_{name}", None)
        if name in folders:
            os.environ[f"nnUNet_{name}"] = str(folders[name].absolute())
    import torch

    # before it exports a segmentation, nnU-Net sets torch's threads to nnUNet_def_n_proc, 8 where it is not given
    os.environ.update(nnUNet_n_proc_DA=str(augmentation_workers), nnUNet_def_n_proc=str(torch.get_num_threads()))


@contextmanager
def importing() -> Iterator[None]:
    """Import nnU-Net and torch, some 3,600 modules, without looking for garbage in between: a quarter of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()  # what was imported is never garbage
        gc.enable()


@contextmanager
def pools_of_threads() -> Iterator[None]:
    """Let nnU-Net's pools be threads of this process: each process of its own would spend seconds on imports."""
    get_context = multiprocessing.get_context
    multiprocessing.get_context = lambda _=None: SimpleNamespace(Pool=ThreadPool)  # type: ignore[assignment]
    try:
        yield
    finally:
        multiprocessing.get_context = get_context
