"""Batches drawn while the game is played."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import torch

from gan.batch import Batch, Draw, Slices


def batches(slices: Slices, numbers: range, size: int, seed: int, draw: Draw, device: torch.device) -> Iterator[Batch]:
    """Yield the batches of these numbers on `device`, each drawn by a thread while the one before it is in use.

    For a GPU that does not hold the slices, the thread reads a whole batch into pinned memory, as does every one of
    several processes. The program does not wait for the copy from there, which the GPU makes in its turn: after the
    work that it was given before, and not beside it.
    """

    def read(k: int) -> Batch:
        batch = slices.batch(k, size, seed, draw)
        return batch.pinned() if device.type == "cuda" else batch

    slices.reside(device)
    with ThreadPoolExecutor(1) as thread:
        ahead = [thread.submit(read, k) for k in numbers[:1]]
        for number in range(len(numbers)):
            batch = ahead.pop().result().to(device)
            ahead = [thread.submit(read, k) for k in numbers[number + 1 : number + 2]]
            yield batch
