"""A picture of the watched slices in every modality."""

from collections.abc import Callable
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gan.batch import Batch
from gan.files import publish


def save_grid(
    path: Path, batch: Batch, modalities: list[str], translate: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> None:
    """Write a PNG with a row for each slice of `batch`: the slice, then its translation to every modality.

    Args:
        path: of the PNG.
        batch: the slices.
        modalities: names, in the order of their indices.
        translate: (image, source, target) to the translated image, as `Method.translate`.
    """
    targets = (torch.full_like(batch.source, index) for index in range(len(modalities)))
    columns = [batch.image, *(translate(batch.image, batch.source, target) for target in targets)]
    figure = Figure(figsize=(1.6 * len(columns), 1.7 * len(batch.image)), layout="constrained")
    axes = figure.subplots(len(batch.image), len(columns), squeeze=False)
    for row, source in enumerate(batch.source.tolist()):
        axes[row][0].set_ylabel(modalities[source])
        for column, images in enumerate(columns):
            axis = axes[row][column]
            axis.imshow(images[row, 0].float().numpy(), cmap="gray", vmin=-1, vmax=1)
            axis.set(xticks=[], yticks=[])
    for axis, title in zip(axes[0], ["source", *(f"to {name}" for name in modalities)], strict=True):
        axis.set_title(title)
    with publish(path) as temporary:
        figure.savefig(temporary, dpi=120)
