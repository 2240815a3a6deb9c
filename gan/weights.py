"""Weights as safetensors: a file of which nothing is executed when it is read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from gan.errors import InputError

SUFFIX = ".safetensors"


def save(path: Path, weights: Mapping[str, Tensor], told: Mapping[str, Any]) -> None:
    """Write a state dict and what is told of it; tensors that share memory are written once."""
    from safetensors.torch import save as serialized

    first: dict[tuple[object, ...], str] = {}
    names = {
        name: first.setdefault((value.data_ptr() or name, value.shape, value.stride()), name)
        for name, value in weights.items()
    }
    same = {name: other for name, other in names.items() if other != name}
    kept = {name: value.contiguous() for name, value in weights.items() if name not in same}
    path.write_bytes(serialized(kept, {"told": json.dumps(told), "same": json.dumps(same)}))


def load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save` wrote.

    Raises:
        InputError: no such file, or another one.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            told, same = (json.loads(file.metadata()[key]) for key in ("told", "same"))
            if not (isinstance(told, dict) and isinstance(same, dict)):
                raise TypeError
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return weights | {name: weights[other] for name, other in same.items()}, told
    except (OSError, SafetensorError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(path, f"something unreadable ({type(error).__name__})", "weights of a bundle") from error
