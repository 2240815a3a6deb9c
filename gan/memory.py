"""Memory that runs out, of a GPU or the machine's, told from other errors; without torch."""

import re

SAYING = re.compile(
    r"out of (memory|RAM)|(allocate|not enough) memory|could not create a (memory|primitive)|ALLOC_FAILED|bad_alloc",
    re.IGNORECASE,
)


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory ran out.

    Python and NumPy have a class for it, as torch has for what a GPU cannot allocate; torch on the processor, oneDNN,
    CUDA's libraries, ITK, nnU-Net and the system say it in words.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError | OSError) and SAYING.search(str(error)) is not None
