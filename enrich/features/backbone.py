"""What a backbone is, and how the weights of a published network are read from a file that the user has."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from enrich.translations import Picture
from gan.batch_size import Parts
from gan.checkpoint import BROKEN
from gan.errors import InputError
from gan.memory import out_of_memory

Features = NDArray[np.float32]
BATCH_SIZE = 32  # or fewer, if these do not fit into memory
PARTS = Parts()


class Backbone(Protocol):
    """A frozen network; calling it returns the features of a scan's slices or patches, (N, D)."""

    def __call__(self, picture: Picture) -> Features:
        """Return the features of a scan, real or translated, in the order of its slices or patches."""


def device() -> torch.device:
    """Return where backbones compute."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_weights(
    network: nn.Module,
    kind: str,
    path: Path,
    leave_out: Sequence[str] = (),
    name_of: Callable[[str], str] = lambda name: name,
) -> nn.Module:
    """Load a file of weights into a network and freeze it.

    Args:
        network: without its head.
        kind: what it is, for error messages.
        path: a dictionary of tensors as `torch.save` writes it, or one with such a dictionary under `state_dict`; read
            with `weights_only=True`. A prefix `module.` of its names is left out.
        leave_out: what the names of weights that the network has no use for begin with.
        name_of: the network's name for a name of the file.

    Raises:
        InputError: no such file, another kind of file, or weights of another network.
    """
    if not path.is_file():
        raise InputError(path, "no such file", f"weights of {kind}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except BROKEN as error:
        if out_of_memory(error):
            raise
        raise InputError(path, "another kind of file", f"weights of {kind} as torch saves them") from error
    if isinstance(content, dict):
        content = content.get("state_dict", content)
    if not isinstance(content, dict) or not all(
        isinstance(v, Tensor) and isinstance(k, str) for k, v in content.items()
    ):
        raise InputError(path, f"a {type(content).__name__}", f"a dictionary of the weights of {kind}")
    names = {name: name_of(name.removeprefix("module.")) for name in content}
    found = {new: content[old] for old, new in names.items() if not new.startswith(tuple(leave_out))}
    expected = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    for name, value in expected.items():
        if name not in found:
            raise InputError(path, f"no weights {name}", f"weights of {kind}")
        if found[name].shape != value.shape:
            raise InputError(path, f"{name} of shape {tuple(found[name].shape)}", f"{tuple(value.shape)} as in {kind}")
    if unknown := sorted(found.keys() - network.state_dict().keys()):
        raise InputError(path, f"weights {unknown[0]}", f"only those of {kind}")
    network.load_state_dict(found, strict=False)
    return network.to(device()).eval().requires_grad_(requires_grad=False)


@torch.inference_mode()
def in_batches(network: Callable[[Tensor], Tensor], images: NDArray[np.float32]) -> Features:
    """Return a network's features of images, (N, …) to (N, D)."""
    everything, where = torch.from_numpy(np.ascontiguousarray(images)), device()

    def features(batch: Tensor) -> Tensor:
        return network(batch.to(where)).float().cpu()

    return np.concatenate([made.numpy() for _, made in PARTS.through(features, everything, BATCH_SIZE, where)])
