"""What a study compares, without the statistics, whose imports cost every table a second."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Design:
    """What is compared, fixed before the scores are seen.

    Attributes:
        metric: the primary metric, a column of the scores.
        reference: the row that every other row is compared with.
        methods: the rows whose comparisons are primary.
        alpha: bound of the family-wise error.
        resamples: bootstrap samples of an interval.
        seed: of the bootstrap.
    """

    metric: str
    reference: str
    methods: tuple[str, ...]
    alpha: float = 0.05
    resamples: int = 10000
    seed: int = 0
