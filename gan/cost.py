"""What a method costs, found without arithmetic: networks and slices have shapes here, and no values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from gan.method import Method
from gan.noise import random_batch
from gan.settings import Settings

VALUE = torch.ops.aten._local_scalar_dense.default
INDEX = torch.ops.aten.index.Tensor


@dataclass(frozen=True)
class Cost:
    """Of a method at one size.

    Attributes:
        networks: the parameters of each network by its name; `critics.x` is the network `x` of the group `critics`.
        batch: the shape of a batch's images; volumes are taken for cubes.
        multiply_adds: of one round of training.
    """

    networks: Mapping[str, int]
    batch: tuple[int, ...]
    multiply_adds: float


def cost(kind: type[Method], modalities: int, image_size: int, settings: Settings) -> Cost:
    """Return what a method of this size costs.

    A round is what the trainer does: the fakes, then forward and backward of every player, of one that steps on every
    n-th batch a share of 1/n. Every slice shows the target, and no player rests. Counted are the convolutions and the
    matrix products, those in the second backward pass of a gradient penalty among them.
    """
    with FakeTensorMode(), Counter() as counter:
        method = kind(modalities, image_size, settings)
        batch = random_batch(method, image_size)
        fakes = method.fakes(batch)
        total = counter.take()
        for player in method.players():
            if player.anew:
                with torch.no_grad():
                    fakes = method.fakes(batch)
            loss = torch.stack(list(player.terms(batch, fakes).values())).sum()
            loss.backward(inputs=list(player.network.parameters()))  # type: ignore[no-untyped-call]
            total += counter.take() / player.every
        return Cost(parameters(method), tuple(batch.image.shape), total)


def parameters(method: nn.Module) -> dict[str, int]:
    """Return the number of parameters of each network, the children of a group one by one."""
    counts: dict[str, int] = {}
    for name, network in method.named_children():
        if isinstance(network, nn.ModuleDict | nn.ModuleList):
            counts |= {f"{name}.{part}": number for part, number in parameters(network).items()}
        elif number := sum(parameter.numel() for parameter in network.parameters()):
            counts[name] = number
    return counts


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts multiply-adds; where the way depends on values that are not there, every one of them is true or 1."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._count = 0.0

    def take(self) -> float:
        """Return the multiply-adds since the last time."""
        count, self._count = self._count, 0.0
        return count

    def __torch_dispatch__(
        self, function: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if args and isinstance(args[0], FakeTensor):
            tensor, *rest = args
            if function is VALUE:
                return True if tensor.dtype is torch.bool else 1
            if function is INDEX and (mask := rest[0][0]) is not None and mask.dtype is torch.bool:
                return tensor.new_empty((mask.numel(), *tensor.shape[mask.ndim :]))
        result = function(*args, **kwargs or {})
        if formula := flop_registry.get(function.overloadpacket):
            self._count += formula(*args, **kwargs or {}, out_val=result) / 2
        return result
