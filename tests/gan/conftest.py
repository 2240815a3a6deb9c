from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gan.batch import Batch
from tests.gan.cache import seal_cache

SIZE = 64


@pytest.fixture(autouse=True)
def one_thread_and_seed():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def make_slices(tmp_path) -> Callable[..., Path]:
    """Write a slice cache of discs: each modality has its own grey values, the target is a smaller disc.

    Slices of one number are the same patient's on one grid; `aligned`: they show the same discs.
    """

    def write(
        modalities=("ct", "t1", "t2"), per_modality=5, watched=1, targets=True, name="slices", aligned=False
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        rng = np.random.default_rng(0)
        rows, images, masks, bodies = [], [], [], []
        y, x = np.mgrid[:SIZE, :SIZE]
        for index, modality in enumerate(modalities):
            rng = np.random.default_rng(0) if aligned else rng
            for number in range(per_modality):
                cy, cx, radius = 32 + rng.integers(-4, 5, 2)[0], 30, 20 + rng.integers(0, 5)
                body = (y - cy) ** 2 + (x - cx) ** 2 < radius**2
                # every second slice has no target
                target = ((y - cy) ** 2 + (x - cx + 6) ** 2 < 49) & (targets and number % 2 == 0)
                image = np.where(body, 0.6 * index / len(modalities) + rng.normal(0, 0.05, body.shape), -1)
                images.append(np.where(target, -0.5 + 0.3 * index, image))
                masks.append(target)
                bodies.append(body)
                kind = "watch" if number >= per_modality - watched else "train"
                grid = "common" if aligned else modality
                rows.append(
                    (len(rows), f"c{number}", f"p{number}", modality, number, kind, 1, int(target.sum()), grid, 2, 4)
                )
        columns = [
            "row",
            "case",
            "patient",
            "modality",
            "slice",
            "set",
            "labelled",
            "target_pixels",
            "grid",
            "pixel_mm",
            "slice_mm",
        ]
        pd.DataFrame(rows, columns=columns).to_csv(folder / "index.csv", index=False)
        np.save(folder / "images.npy", np.clip(images, -1, 1).astype(np.float16))
        np.save(folder / "targets.npy", np.array(masks, np.uint8))
        np.save(folder / "body.npy", np.array(bodies, np.uint8))
        return seal_cache(folder, modalities=list(modalities), image_size=SIZE)

    return write


@pytest.fixture
def batch() -> Batch:
    """Four slices of three modalities; the second has no target, the background lies at −1."""
    generator = torch.Generator().manual_seed(3)
    body = torch.zeros(4, 1, SIZE, SIZE)
    body[:, :, 8:56, 10:50] = 1
    image = torch.where(body > 0, torch.rand(4, 1, SIZE, SIZE, generator=generator) * 1.6 - 0.8, -1.0)
    target_mask = torch.zeros_like(body)
    target_mask[[0, 2, 3], :, 2:30, 20:40] = 1  # reaches beyond the body
    return Batch(image, target_mask, body, torch.tensor([0, 1, 2, 0]), torch.tensor([1, 0, 0, 2]))
