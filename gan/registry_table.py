"""The README's tables of methods, made from the registry: `python -m gan.methods`."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from gan.batch import Draw
from gan.cost import Cost, cost
from gan.method import Method
from gan.methods import METHODS

WHAT = ("name", "method", "pairs needed", "modalities at once", "translates", "segments", "labels its training sees")
COSTS = ("name", "networks: parameters", "10⁹ multiply-adds of a round", "modalities", "batch")


def markdown() -> str:
    """Return what each method is, what it costs at its published width, and where it comes from."""
    costs = ((name, kind, cost(kind, *kind.published, kind.paper)) for name, kind in METHODS.items())
    return "\n\n".join(
        [
            _table(WHAT, (_what(name, kind) for name, kind in METHODS.items())),
            _table(COSTS, (_costs(*row) for row in costs)),
            "\n".join(_paper(kind) for kind in METHODS.values()),
        ]
    )


def _what(name: str, kind: type[Method]) -> Sequence[str]:
    way = ("yes" if kind.draw is Draw.ALIGNED else "no", kind.scope.value) if kind.translates else ("–", "–")
    return f"`{name}`", kind.title, *way, _tick(kind.translates), _tick(kind.segments), kind.labels_used


def _costs(name: str, kind: type[Method], found: Cost) -> Sequence[str]:
    number, _, *edges = found.batch
    batch = f"{number}\u00a0×\u00a0{edges[0]}{'²' if len(edges) == 2 else '³'}"
    return f"`{name}`", _networks(found), f"{found.multiply_adds / 1e9:,.0f}", str(kind.published.modalities), batch


def _paper(kind: type[Method]) -> str:
    start = f" Starts from `{'`, `'.join(kind.pretrained.values())}`." if kind.pretrained else ""
    return f"- **{kind.title}**: {kind.citation}. Differences from the public code: {kind.differences}.{start}"


def _networks(found: Cost) -> str:
    """Return the networks by name; those of a group that are alike in one entry."""
    parts = []
    for (group, number), alike in groupby(found.networks.items(), lambda item: (item[0].split(".")[0], item[1])):
        times = f"{len(names)} × " if len(names := list(alike)) > 1 else ""
        parts.append(f"{group} {times}{number:,}")
    return ", ".join(parts)


def _tick(true: bool) -> str:
    return "✔" if true else "–"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(
        [f"| {' | '.join(header)} |", "|---" * len(header) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    )
