"""The processes of one program, one a GPU, and what they do together; on one process, nothing.

They hold the same weights and draw the same numbers. Each has its own part of a batch: what a loss says of all slices,
and what is drawn for each of them, is that of the whole batch.
"""

import logging
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor, nn

from gan.orphans import FIRST, end_with_parent, is_further

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@cache
def launch(devices: int, precision: str = "32-true") -> "Fabric":
    """Start this program's command line `devices` − 1 times more; return what joins the processes.

    Each has a GPU of its own, or shares the processor and its threads where there is none. They end with the first.
    """
    from lightning_fabric import Fabric  # here, since whoever translates or segments would load it too
    from lightning_fabric.plugins.environments import LightningEnvironment

    environment = LightningEnvironment()  # not the cluster's, which would take this process for one of its tasks
    strategy = "ddp" if devices > 1 else "auto"
    fabric = Fabric(devices=devices, strategy=strategy, precision=precision, plugins=[environment])
    if devices > 1:
        threads = torch.get_num_threads()
        if is_further():
            end_with_parent(int(os.environ[FIRST]))
            logging.disable(logging.INFO)
        else:
            os.environ[FIRST] = str(os.getpid())
        fabric.launch()
        torch.set_num_threads(max(1, threads // devices))
    return fabric


def count() -> int:
    """Return the number of processes."""
    return dist.get_world_size() if dist.is_initialized() else 1


def end_all(error: Exception) -> NoReturn:
    """End this process and all others with the error's line, the last that is said: they would wait for this one."""
    sys.stderr.write(f"error: {error}\n")
    sys.stderr.flush()
    for child in multiprocessing.active_children():
        child.kill()
    if is_further():
        os.kill(int(os.environ[FIRST]), signal.SIGKILL)
    os._exit(1)


def summed(values: Tensor) -> Tensor:
    """Return the sum of `values`, of any shape, over the processes, without a graph."""
    if count() > 1:
        values = values.detach().clone()
        dist.all_reduce(values)
    return values


def gathered(rows: Tensor) -> Tensor:
    """Return the rows of all processes, as many of each, in order and without a graph."""
    if count() == 1:
        return rows.detach()
    parts = [torch.empty_like(rows) for _ in range(count())]
    dist.all_gather(parts, rows.detach().contiguous())
    return torch.cat(parts)


def own_rows(rows: Tensor) -> Tensor:
    """Return this process's own of the rows that `gathered` returned."""
    return rows.chunk(count())[dist.get_rank()] if count() > 1 else rows


def drawn(draw: Callable[[int], Tensor], rows: Tensor) -> Tensor:
    """Return what `draw` gives for each of this process's `rows`, (B, …), which may be more or fewer than another's.

    Every process draws for the rows of all of them, in order, so that the draws are those of one process.
    """
    if count() == 1:
        return draw(len(rows)).to(rows.device)
    numbers = gathered(torch.tensor([len(rows)], device=rows.device)).tolist()
    return torch.split(draw(sum(numbers)), numbers)[dist.get_rank()].to(rows.device)


def average_gradients(network: nn.Module, values: Tensor) -> Tensor:
    """Average a network's gradients over the processes, by one reduction of them all, and return the mean of `values`.

    A gradient that a process lacks counts as 0; one that all of them lack stays missing. `values` is (N,).
    """
    if count() == 1:
        return values
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    known = torch.tensor([p.grad is not None for p in parameters], dtype=values.dtype, device=values.device)
    flat = summed(torch.cat([*(gradient.flatten() for gradient in gradients), known, values])) / count()
    sizes = [gradient.numel() for gradient in gradients]
    *means, known, values = torch.split(flat, [*sizes, len(parameters), len(values)])
    for parameter, mean, anywhere in zip(parameters, means, known.tolist(), strict=True):
        parameter.grad = mean.view_as(parameter) if anywhere else None
    return values
