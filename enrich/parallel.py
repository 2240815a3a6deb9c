"""Many items on several cores, their results in order, few of them in memory at once."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

from gan.orphans import end_with_parent

Item = TypeVar("Item")
Read = TypeVar("Read")
Made = TypeVar("Made")
Result = TypeVar("Result")

AHEAD = 2  # results a process, that wait to be taken or are being made


def in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield `work(item)` of every item, in order, made by `workers` processes; 1 works in this one.

    Items are drawn, and results held, as they are needed: `AHEAD` a worker at most. `work`, items and results are
    pickled. What `work` raises is raised here when its item's turn comes, and what has not begun by then never does.
    The processes end with this one, however it ends.
    """
    if workers == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin, (os.getpid(),))
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) == AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def overlapped(
    read: Callable[[Item], Read],
    work: Callable[[Read], Made],
    write: Callable[[Made], Result],
    items: Iterable[Item],
    workers: int,
) -> Iterator[Result]:
    """Yield `write(work(read(item)))` of every item, in order; `work` is done here, one item at a time.

    Meanwhile `workers` threads read the next items and write the last ones; of either, one more than threads are held.
    What any of the three raises is raised here when its item's turn comes, and what has not begun by then never does.
    """
    reading: deque[Future[Read]] = deque()
    writing: deque[Future[Result]] = deque()
    waiting, held, pool = iter(items), workers + 1, ThreadPoolExecutor(workers)
    try:
        while True:
            for item in islice(waiting, held - len(reading)):
                reading.append(pool.submit(read, item))
            if not reading:
                break
            writing.append(pool.submit(write, work(reading.popleft().result())))
            while writing and (writing[0].done() or len(writing) == held):
                yield writing.popleft().result()
        while writing:
            yield writing.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(parent: int) -> None:
    """End with `parent`; let torch, imported later, compute on one core, as others have processes of their own."""
    end_with_parent(parent)
    os.environ["OMP_NUM_THREADS"] = "1"
