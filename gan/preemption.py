"""SIGTERM, by which a cluster takes a job's place away: a training saves where it is and ends."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from gan.processes import count

EXIT_CODE = 75  # EX_TEMPFAIL of sysexits.h: the same command goes on

logger = logging.getLogger(__name__)


@contextmanager
def heeded(act: Callable[[], None], *, first: bool = True) -> Iterator[None]:
    """Call `act` in place of ending whenever SIGTERM comes to this process within the block.

    Of several processes the `first` alone heeds it, and the others end with it. Those that this one forks end at once.
    """
    owner = os.getpid()

    def handle(number: int, _: FrameType | None) -> None:
        if os.getpid() != owner:
            os._exit(128 + number)
        if first:
            act()

    former = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def end() -> NoReturn:
    """End with `EXIT_CODE`, and further processes with this one, which may be waiting for it in a reduction."""
    logger.warning("told to end (SIGTERM): saved, and the same command goes on from here")
    if count() > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_CODE)
    sys.exit(EXIT_CODE)
