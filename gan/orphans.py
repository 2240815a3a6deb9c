"""Processes that end with the one that started them, however that one ends; as Linux has it, without torch."""

import ctypes
import os
import signal

SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG
FIRST = "NNENRICH_FIRST_PROCESS"  # tells the further processes of one program the number of its first


def is_further() -> bool:
    """Return whether this process is one that the first of its program started to share the work."""
    return int(os.environ.get(FIRST, os.getpid())) != os.getpid()


def end_with_parent(parent: int) -> None:
    """Have this process killed as soon as the thread that started it ends; now, if `parent`, its process, has ended.

    `parent` is told by the process itself, `os.getpid()`: whoever asks here later may have been orphaned before.
    """
    ctypes.CDLL(None).prctl(SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
