"""Learning-rate schedules that two or more methods share."""


def decay_in_second_half(progress: float, end: float = 0.0) -> float:
    """Return 1 for the first half of the training, then fall linearly to `end`."""
    return end + (1 - end) * min(1.0, 2 * (1 - progress))
