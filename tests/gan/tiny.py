"""Every method small: settings, modalities and batches that fit it."""

import torch
import torch.nn.functional as F

from gan.batch import Batch, Draw
from gan.method import Method
from gan.methods import METHODS
from gan.scope import Scope
from gan.settings import resolve

SIZE = 64
NAMES = ("ct", "t1", "t2")
OWN: dict[str, dict[str, object]] = {  # what a method needs to be small or quick
    "cyclegan": {"pool_size": 2, "weights": {"identity": 5.0}},
    "cyclegan_gc": {"pool_size": 2, "weights": {"identity": 5.0}},
    "csgan": {"dimensions": 2, "pretraining": 0},
    "pix2pix": {"downs": 6},
    "mgan": {"downs": 6},
    "tc_mgan": {"downs": 6, "segmentor_width": 8},
    "tc_mgan_bw": {"downs": 6, "segmentor_width": 8},
}


def modalities(name: str) -> tuple[str, ...]:
    """Return modalities for one training of a method."""
    return NAMES[:2] if METHODS[name].scope in (Scope.PAIR, Scope.ONE_TO_ONE) else NAMES


def entry(name: str, **more: object) -> dict[str, object]:
    """Return a config entry that trains a method on few channels."""
    size = len(modalities(name)) if METHODS[name].draw is Draw.BALANCED else 3
    return {"width": 8, "batch_size": size, **OWN.get(name, {}), **more}


def build(name: str, count: int | None = None, image_size: int = SIZE, **more: object) -> Method:
    """Return a seeded method of `count` modalities."""
    torch.manual_seed(5)
    kind = METHODS[name]
    settings = resolve(kind.paper, kind.official, entry(name, **more), name)
    method = kind(count or len(modalities(name)), image_size, settings)
    for network, other in kind.pretrained.items():
        method.get_submodule(network).load_state_dict(build(other, method.modalities, image_size).model.state_dict())
    return method


def batch_for(method: Method, size: int = SIZE) -> Batch:
    """Return slices as the method draws them: the second has no target, the background lies at −1."""
    generator, count = torch.Generator().manual_seed(3), method.modalities
    number = 2 * count if method.draw is Draw.BALANCED else 4
    channels = count if method.draw is Draw.STACKED else 1
    shape = (number, channels, *([16] if method.dimensions == 3 else []), size, size)
    body = torch.zeros(number, 1, *shape[2:])
    body[..., size // 8 : size - size // 8, size // 6 : size - size // 5] = 1
    coarse = torch.rand(number, channels, *(4 for _ in shape[2:]), generator=generator)
    smooth = F.interpolate(coarse, shape[2:], mode="trilinear" if method.dimensions == 3 else "bilinear")
    image = torch.where(body > 0, smooth * 0.8 - 0.4, -1.0)
    target_mask = torch.zeros_like(body)
    target_mask[[n for n in range(number) if n != 1], ..., 2 : size // 2, size // 3 : 2 * size // 3] = 1
    image = torch.where((target_mask > 0) & (body > 0), image + 0.5, image)
    nothing = torch.zeros(number, dtype=torch.long)
    match method.draw:
        case Draw.ANY:
            source, target = torch.tensor([0, 1, 2, 0]) % count, torch.tensor([1, 0, 0, 2]) % count
            return Batch(image, target_mask, body, source, target)
        case Draw.BALANCED:
            source = torch.arange(count).repeat_interleave(2)
            return Batch(image, target_mask, body, source, (source + 1) % count)
        case Draw.ALIGNED:
            target = torch.arange(number) % (count - 1) + 1
            factor = (1 - 0.4 * target).view(-1, 1, 1, 1)
            return Batch(image, target_mask, body, nothing, target, torch.where(body > 0, image * factor, -1.0))
        case Draw.STACKED:
            return Batch(image, target_mask, body, nothing, nothing)
