"""Many items on several cores, their results in order, few of them in memory at once."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import TypeVar

Item = TypeVar("Item")
Read = TypeVar("Read")
Made = TypeVar("Made")
Result = TypeVar("Result")

AHEAD = 2  # results a worker, that wait to be taken or are being made


def in_order(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield `work(item)` of every item, in order, made by `workers` processes; 1 works in this one.

    Items are drawn, and results held, as they are needed: `AHEAD` a worker at most. `work`, items and results are
    pickled. What `work` raises is raised here, and nothing further is begun.
    """
    if workers == 1:
        yield from map(work, items)
        return
    waiting: deque[Future[Result]] = deque()
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _one_thread)
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

    Meanwhile `workers` threads read the next items and write the last ones, `AHEAD` a thread of either at most. What
    any of the three raises is raised here, and nothing further is begun.
    """
    reading: deque[Future[Read]] = deque()
    writing: deque[Future[Result]] = deque()
    waiting, pool = iter(items), ThreadPoolExecutor(workers)
    try:
        while True:
            for item in islice(waiting, AHEAD * workers - len(reading)):
                reading.append(pool.submit(read, item))
            if not reading:
                break
            writing.append(pool.submit(write, work(reading.popleft().result())))
            if len(writing) == AHEAD * workers:
                yield writing.popleft().result()
        while writing:
            yield writing.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    """Let torch, wherever it is imported later, compute on one core: the others have processes of their own."""
    os.environ["OMP_NUM_THREADS"] = "1"
