import os
from itertools import count, islice

import pytest

from enrich.parallel import AHEAD, in_order
from gan.errors import InputError


def twice(number):
    return 2 * number, os.getpid()


def refuse(number):
    raise InputError("here", number, "another")


def threads(number):
    import torch

    return torch.get_num_threads()


@pytest.mark.parametrize("workers", [1, 3])
def test_results_come_in_order_and_no_item_is_drawn_before_its_time(workers):
    drawn = []
    items = (drawn.append(number) or number for number in count())
    found = []
    for number, (double, process) in enumerate(islice(in_order(twice, items, workers), 20)):
        assert double == 2 * number
        assert len(drawn) <= number + AHEAD * workers
        found.append(process)
    assert (set(found) == {os.getpid()}) == (workers == 1)


def test_an_error_ends_the_work(tmp_path):
    drawn = []
    items = (drawn.append(number) or number for number in count())
    with pytest.raises(InputError, match=r"^here: found 0, expected another$"):
        list(in_order(refuse, items, 2))
    assert len(drawn) <= 2 * AHEAD


def test_a_process_computes_on_one_core():
    assert list(in_order(threads, range(2), 2)) == [1, 1]
