"""The history of fakes that critics see."""

import numpy as np
import pytest
import torch

from gan.pool import Pool


def numbered(*numbers):
    """Return images (N, 1, 2, 2) that hold their number."""
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 1, 2, 2)


def test_a_pool_shows_every_fake_while_it_fills_up():
    pool = Pool(3, 2)
    assert torch.equal(pool(numbered(1, 2)), numbered(1, 2))
    assert pool.filled == 2
    assert torch.equal(pool.images, numbered(1, 2, 0))
    fake = numbered(3).clone().requires_grad_()
    shown = pool(fake)
    assert torch.equal(shown, numbered(3))
    assert not shown.requires_grad
    assert pool.filled == 3
    assert torch.equal(pool.images, numbered(1, 2, 3))


def test_a_full_pool_shows_an_old_fake_half_of_the_time_and_keeps_the_new_one_for_it():
    torch.manual_seed(0)
    pool, size, count = Pool(4, 2), 4, 4000
    pool(numbered(*range(size)))
    kept, old, places = list(range(size)), 0, [0] * size
    for start in range(size, size + count, 2):
        for number, shown in zip(
            (start, start + 1), pool(numbered(start, start + 1))[:, 0, 0, 0].tolist(), strict=True
        ):
            if shown != number:
                place = kept.index(shown)
                kept[place] = number
                places[place] += 1
                old += 1
    assert pool.images[:, 0, 0, 0].tolist() == kept
    assert old / count == pytest.approx(0.5, abs=0.03)
    assert np.array(places) / old == pytest.approx([0.25] * size, abs=0.03)


def test_what_a_pool_showed_does_not_change_later():
    torch.manual_seed(0)
    pool = Pool(1, 2)
    shown = [pool(numbered(number)) for number in range(20)]
    values = [image.unique().tolist() for image in shown]
    assert all(len(value) == 1 for value in values)
    assert values[0] == [0]
    assert len({value[0] for value in values}) > 10
