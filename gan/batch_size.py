"""Batches that do not fit into memory: said in one line, or halved."""

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from gan.errors import InputError
from gan.memory import out_of_memory

logger = logging.getLogger(__name__)


class TooLargeError(InputError):
    """A batch did not fit into memory.

    Attributes:
        size: of the batch.
    """

    size: int = 0


@contextmanager
def fitting(where: str, size: int, what: str, device: torch.device, expected: str) -> Iterator[None]:
    """Have memory that runs out in this block be a `TooLargeError`, of a batch of `size`, which is `what` in words."""
    try:
        yield
    except Exception as error:
        if not out_of_memory(error):
            raise
        on_gpu = device.type == "cuda" and not isinstance(error, MemoryError)
        raised = TooLargeError(where, f"{what}, which did not fit into {_memory(device, on_gpu)}", expected)
        raised.size = size
        raise raised from error


def _memory(device: torch.device, on_gpu: bool) -> str:
    if not on_gpu:
        return "main memory"
    return f"the memory of {device} ({torch.cuda.get_device_properties(device).total_memory / 1e9:.0f} GB)"


def smaller(size: int, multiple: int = 1) -> int | None:
    """Return about half of a batch's `size`, as a `multiple` and at least 2; None where nothing smaller is left."""
    least = multiple * -(-2 // multiple)
    half = max(least, size // 2 // multiple * multiple)
    return half if half < size else None


def free() -> None:
    """Give back the memory that nobody refers to any more; to be called when the error that ended its use is gone."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Parts:
    """Images through a network, some at once, and half as many from where memory runs out on.

    For networks in use, not in training: there a batch's size is a matter of speed alone.
    """

    def __init__(self) -> None:
        """Begin without a limit, since nothing has failed."""
        self._most: int | None = None

    def through(
        self, network: Callable[[Tensor], Tensor], images: Tensor, size: int, device: torch.device, least: int = 1
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield each part of `images`, (N, …), and what `network` makes of it, which is as long.

        Args:
            network: of any length.
            images: on any device.
            size: images at once, or fewer.
            device: where the network computes.
            least: no fewer than this, but for the last part.

        Raises:
            TooLargeError: so few do not fit into memory.
        """
        done = 0
        while done < len(images):
            part = slice(done, done + min(size, self._most or size))
            try:
                given = images[part]
                with fitting("images at once", len(given), str(len(given)), device, "more memory"):
                    made = network(given)
            except TooLargeError as error:
                if (failed := error.size) <= least:
                    raise
            else:
                yield part, made
                done = part.stop
                continue
            free()
            self._most = failed // 2
            logger.warning("%d images at once did not fit into memory: %d from here on", failed, self._most)
