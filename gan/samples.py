"""A picture of the watched slices: translated, segmented."""

from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor

from gan.batch import Batch
from gan.files import publish
from gan.trainer import Trainer


def save_grid(path: Path, batch: Batch, modalities: list[str], trainer: Trainer) -> None:
    """Write a PNG with a row for each slice of `batch`: the slice, its translations, its segmentation.

    Of a volume, the slice with the largest target is shown. A method's own modality, and any that it does not translate
    to, stays empty.

    Args:
        path: of the PNG.
        batch: the slices.
        modalities: names, in the order of their indices.
        trainer: translates and segments.
    """
    method = trainer.method
    directions = method.scope.directions(modalities) if method.translates else []
    targets = [name for name in modalities if any(name == target for _, target in directions)]
    columns = ["source", *(f"to {name}" for name in targets), *(["segmentation", "target"] if method.segments else [])]
    rows = []
    for number, source in enumerate(batch.source.tolist()):
        one, kind = batch.image[number : number + 1], batch.source[number : number + 1]
        row: list[Tensor | None] = [one]
        for target in targets:
            known = (modalities[source], target) in directions
            wanted = torch.full_like(kind, modalities.index(target))
            row.append(trainer.translate(one, kind, wanted) if known else None)
        if method.segments:
            row += [2 * trainer.segment(one, kind) - 1, 2 * batch.target_mask[number : number + 1] - 1]
        rows.append(row)

    figure = Figure(figsize=(1.6 * len(columns), 1.7 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for number, row in enumerate(rows):
        axes[number][0].set_ylabel(modalities[int(batch.source[number])])
        for axis, images in zip(axes[number], row, strict=True):
            if images is not None:
                plane = _plane(images[0, 0], batch.target_mask[number, 0])
                axis.imshow(plane.float().numpy(), cmap="gray", vmin=-1, vmax=1)
            axis.set(xticks=[], yticks=[])
    for axis, title in zip(axes[0], columns, strict=True):
        axis.set_title(title)
    with publish(path) as temporary:
        figure.savefig(temporary, dpi=120)


def _plane(image: Tensor, target: Tensor) -> Tensor:
    """Return a slice as it is, and of a volume (D, H, W) the slice with the largest target."""
    return image if image.ndim == 2 else image[int(target.sum(dim=(1, 2)).argmax())]
