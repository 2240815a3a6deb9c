import os
import signal
import subprocess
import sys
import threading
import time
from itertools import count, islice
from pathlib import Path

import psutil
import pytest

from enrich.parallel import AHEAD, in_order, overlapped
from gan.errors import InputError, run

ROOT = Path(__file__).parents[2]
PARENT = """
from enrich.parallel import in_order
from tests.enrich.test_parallel import tell_and_sleep

list(in_order(tell_and_sleep, range(2), 2))
"""


def tell_and_sleep(_):
    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    time.sleep(60)


def twice(number):
    return 2 * number, os.getpid()


def refuse(number):
    raise InputError("here", number, "another")


def be_killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


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


def test_an_error_ends_the_work():
    drawn = []
    items = (drawn.append(number) or number for number in count())
    with pytest.raises(InputError, match=r"^here: found 0, expected another$"):
        list(in_order(refuse, items, 2))
    assert len(drawn) <= 2 * AHEAD


def test_a_process_that_was_killed_is_one_line():
    with pytest.raises(SystemExit, match=r"^error: memory: found perhaps too little: a process was killed, expected"):
        run(lambda: list(in_order(be_killed, range(2), 2)))


def test_processes_end_with_the_one_that_started_them():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    processes = [psutil.Process(int(parent.stdout.readline())) for _ in range(2)]
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs(processes, timeout=20)
    for process in alive:
        process.kill()
    parent.stdout.close()
    assert (len(gone), len(alive)) == (2, 0)


def test_a_process_computes_on_one_core():
    assert list(in_order(threads, range(2), 2)) == [1, 1]


@pytest.mark.parametrize("workers", [1, 3])
def test_reading_and_writing_overlap_the_work_in_order_and_stay_bounded(workers):
    read, made, written, taken = [], [], [], 0
    begun, idle = threading.Event(), threading.get_ident()

    def work(number):
        assert threading.get_ident() == idle
        assert begun.wait(10)  # the next is being read while this one is worked on
        made.append(number)
        return 10 * number

    def read_one(number):
        read.append(number)
        if number == 1:
            begun.set()
        return number

    def write_one(number):
        written.append(number)
        return number + 1

    for result in overlapped(read_one, work, write_one, range(20), workers):
        assert result == 10 * taken + 1
        taken += 1
        assert len(made) <= taken + workers + 1
        assert len(read) <= len(made) + workers + 1
    assert taken == 20
    assert made == list(range(20))
    assert sorted(written) == [10 * number for number in made]


@pytest.mark.parametrize("step", [0, 1, 2])
def test_an_error_of_any_step_is_raised_and_ends_the_others(step):
    begun = [0, 0, 0]

    def doing(number):
        def do(item):
            begun[number] += 1
            if number == step:
                raise InputError("here", item, "another")
            return item

        return do

    with pytest.raises(InputError, match=r"^here: found 0, expected another$"):
        list(overlapped(*map(doing, range(3)), count(), 1))
    assert max(begun) <= 4
