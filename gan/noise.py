"""Batches of noise, to measure by: what a round takes does not depend on what is seen."""

import torch

from gan.batch import Batch, Draw
from gan.method import Method


def random_batch(method: Method, edge: int) -> Batch:
    """Return slices, or volumes, of this edge as the method draws them, all with a target, on the method's device."""
    generator = torch.Generator().manual_seed(0)
    count, number = method.modalities, method.settings.batch_size
    channels = count if method.draw is Draw.STACKED else 1
    shape = (edge,) * method.dimensions
    image = 2 * torch.rand(number, channels, *shape, generator=generator) - 1
    mask, body = (torch.rand(number, 1, *shape, generator=generator) > share for share in (0.8, 0.3))
    match method.draw:
        case Draw.ANY:
            source = torch.arange(number) % count
            target = (source + 1) % count
        case Draw.BALANCED:
            source = torch.arange(number) * count // number
            target = (source + 1) % count
        case Draw.ALIGNED:
            source = torch.zeros(number, dtype=torch.int64)
            target = 1 + torch.arange(number) % (count - 1)
        case Draw.STACKED:
            source = target = torch.zeros(number, dtype=torch.int64)
    truth = image.flip(0) if method.draw is Draw.ALIGNED else None
    batch = Batch(image, mask.float(), body.float(), source, target, truth)
    return batch.to(next(method.parameters()).device)
