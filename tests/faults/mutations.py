"""Ways in which the bytes of a file go wrong."""

from collections.abc import Iterator
from typing import TypeVar

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

Drawn = TypeVar("Drawn")


def drawn(strategy: SearchStrategy[Drawn], count: int) -> list[Drawn]:
    """Return different values of a strategy, the same ones each time; at most `count`."""
    found: dict[str, Drawn] = {}

    @settings(
        max_examples=count,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def collect(value: Drawn) -> None:
        found[repr(value)] = value

    collect()
    return list(found.values())


def flipped(content: bytes, bit: int) -> bytes:
    """Return the content with one of its bits turned over."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def replaced(content: bytes, start: int, by: bytes) -> bytes:
    """Return the content with other bytes from `start` on; of the same length."""
    return (content[:start] + by + content[start + len(by) :])[: len(content)]


def cut_short(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the content cut off at many places, by what is left of it."""
    length = len(content)
    for left in sorted({0, 1, 2, 4, *(length * share // 16 for share in range(1, 16)), length - 2, length - 1}):
        if 0 <= left < length:
            yield f"cut to {left} of {length} bytes", content[:left]


def damages(content: bytes, count: int, within: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield the content with damage that is drawn: a bit, or a block that is overwritten, missing or twice there.

    Args:
        content: of a sound file.
        count: how many are drawn, of which a few may be the same.
        within: bytes at the start that are damaged; None for all.
    """
    places = st.integers(0, (within or len(content)) - 1)
    kinds = st.one_of(
        st.tuples(st.just("bit"), places, st.integers(0, 7)),
        st.tuples(st.just("zeros"), places, st.integers(1, 64)),
        st.tuples(st.just("ones"), places, st.integers(1, 64)),
        st.tuples(st.just("missing"), places, st.integers(1, 64)),
        st.tuples(st.just("twice"), places, st.integers(1, 64)),
    )
    for kind, place, size in drawn(kinds, count):
        block = content[place : place + size]
        changed = {
            "bit": lambda place=place, size=size: flipped(content, 8 * place + size),
            "zeros": lambda place=place, size=size: replaced(content, place, bytes(size)),
            "ones": lambda place=place, size=size: replaced(content, place, b"\xff" * size),
            "missing": lambda place=place, size=size: content[:place] + content[place + size :],
            "twice": lambda place=place, block=block: content[:place] + block + content[place:],
        }[kind]()
        if changed != content:
            yield f"{kind} at {place}, {size}", changed
