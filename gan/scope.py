"""Between which modalities one training of a method translates, and which trainings a study therefore needs."""

from collections.abc import Sequence
from enum import Enum
from itertools import combinations, permutations


class Scope(Enum):
    """The modalities at once of one training; its modalities are ordered."""

    ALL = "n"  # any to any
    PAIR = "2"  # both directions between two
    ONE_TO_ONE = "1→1"  # the first to the second
    ONE_TO_ALL = "1→n"  # the first to every other

    def trainings(self, modalities: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Return the trainings that cover all directions between `modalities`: a folder's name, its modalities."""
        match self:
            case Scope.ALL:
                return {"all": tuple(modalities)}
            case Scope.PAIR:
                return {"-".join(pair): pair for pair in combinations(modalities, 2)}
            case Scope.ONE_TO_ONE:
                return {"-to-".join(pair): pair for pair in permutations(modalities, 2)}
            case Scope.ONE_TO_ALL:
                return {
                    f"from-{source}": (source, *(other for other in modalities if other != source))
                    for source in modalities
                }

    def directions(self, modalities: Sequence[str]) -> list[tuple[str, str]]:
        """Return the (source, target) pairs that a training on `modalities` learns."""
        if self in (Scope.ALL, Scope.PAIR):
            return list(permutations(modalities, 2))
        return [(modalities[0], target) for target in modalities[1:]]
