"""Batches that a thread draws ahead are those that would be drawn in turn."""

import pytest
import torch

from gan.batch import Draw, Slices
from gan.errors import InputError
from gan.feed import batches

CPU = torch.device("cpu")
FIELDS = ("image", "target_mask", "body", "source", "target")


def same(one, two) -> bool:
    return all(torch.equal(getattr(one, field), getattr(two, field)) for field in FIELDS)


def test_batches_come_in_order_and_those_that_are_left_are_the_tail(make_slices):
    slices = Slices(make_slices())
    wanted = [slices.batch(k, 4, 3) for k in range(7)]
    assert not any(same(one, two) for number, one in enumerate(wanted) for two in wanted[:number])
    for first in (0, 4, 7):
        fed = list(batches(Slices(slices.folder), range(first, 7), 4, 3, Draw.ANY, CPU))
        assert len(fed) == 7 - first
        assert all(same(one, two) for one, two in zip(fed, wanted[first:], strict=True))


def test_one_batch_is_drawn_ahead(make_slices, monkeypatch):
    asked, slices = [], Slices(make_slices())
    original = slices.batch
    monkeypatch.setattr(slices, "batch", lambda k, *rest: asked.append(k) or original(k, *rest))
    fed = batches(slices, range(5), 4, 3, Draw.ANY, CPU)
    next(fed)
    next(fed)
    fed.close()  # waits for the thread
    assert asked == [0, 1, 2]


def test_an_error_of_the_thread_arrives_in_its_round(make_slices, monkeypatch):
    slices = Slices(make_slices())
    original = slices.batch

    def batch(k, *rest):
        if k == 2:
            raise InputError("images.npy", "a broken disk", "slices")
        return original(k, *rest)

    monkeypatch.setattr(slices, "batch", batch)
    fed = batches(slices, range(5), 4, 3, Draw.ANY, CPU)
    assert same(next(fed), original(0, 4, 3))
    assert same(next(fed), original(1, 4, 3))
    with pytest.raises(InputError, match="a broken disk"):
        next(fed)


@pytest.mark.parametrize(("more", "resides"), [(0, False), (1, True)])
@pytest.mark.parametrize("draw", Draw)
def test_a_cache_moves_to_a_gpu_of_four_times_its_size_and_gives_the_same_batches(
    make_slices, monkeypatch, more, resides, draw
):
    """There is no GPU here: one is told to have that many free bytes, and moving to it copies."""
    slices, moved = Slices(make_slices(aligned=True)), []
    arrays = (slices._images, slices._targets, slices._body)
    free = 4 * sum(array.nbytes for array in arrays) + more
    wanted = [slices.batch(k, 3, 5, draw) for k in range(4)]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 10 * free))
    with monkeypatch.context() as patched:
        patched.setattr(torch.Tensor, "to", lambda tensor, device: moved.append(device.type) or tensor.clone())
        slices.reside(torch.device("cuda"))
    assert moved == ["cuda"] * 3 * resides
    assert (slices._images is not arrays[0]) is resides
    assert all(same(slices.batch(k, 3, 5, draw), batch) for k, batch in enumerate(wanted))
