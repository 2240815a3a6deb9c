"""Distance of two sets of images by their features, (N, D) in any float type; computed in float64, in parts.

Beside the features, memory does not grow with N.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, svdvals

Features = NDArray[Any]

PART = 2048  # samples


def frechet_distance(first: Features, second: Features) -> float:
    """Fréchet distance of two normal distributions fitted to features: 0 for equal ones, no upper bound.

    |μ₁ − μ₂|² + tr Σ₁ + tr Σ₂ − 2·tr (Σ₁ Σ₂)^½ with covariances of ddof 1 (Heusel et al., NeurIPS 2017: the FID, of
    features of Inception). The last trace is the sum of the singular values of A₁ A₂ᵀ, Aᵢ the centred features over
    √(N − 1), so that no root of a matrix is taken. With fewer samples than dimensions the covariances are singular: the
    formula still holds and nothing is added to a diagonal, but the estimate is biased, the more the fewer samples.

    Returns:
        NaN for fewer than two samples of either.
    """
    if min(len(first), len(second)) < 2:
        return np.nan
    means = [features.mean(axis=0, dtype=np.float64) for features in (first, second)]
    factors = [_factor(features, mean) for features, mean in zip((first, second), means, strict=True)]
    # tr (Σ₁Σ₂)^½, Σᵢ = AᵢᵀAᵢ: the eigenvalues of Σ₁Σ₂ are the squared singular values of A₁A₂ᵀ
    root = svdvals(factors[0] @ factors[1].T).sum()
    spread = sum(float(np.sum(a**2)) for a in factors)
    return max(0.0, float(np.sum((means[0] - means[1]) ** 2) + spread - 2 * root))


def _factor(features: Features, mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return A with Σ = AᵀA: the centred features over √(N − 1), or, of more samples than dimensions, a triangle R.

    R of A's QR decomposition, for which RᵀR = AᵀA, is that of the R of what came before on top of every part.
    """
    factor = np.empty((0, features.shape[1]))
    for part in _parts(features):
        factor = np.concatenate([factor, (part - mean) / np.sqrt(len(features) - 1)])
        if len(factor) > features.shape[1]:
            factor = qr(factor, mode="r")[0][: features.shape[1]]
    return factor


def _parts(features: Features) -> Iterator[NDArray[np.float64]]:
    for start in range(0, len(features), PART):
        yield np.asarray(features[start : start + PART], np.float64)


def kernel_distance(first: Features, second: Features) -> float:
    """Kernel distance (KID): squared maximum mean discrepancy under the kernel (x·y / D + 1)³; unbiased.

    Bińkowski et al. (ICLR 2018), on all samples at once where they average over subsets of 1000: equal in expectation.
    May be negative. Comparable only between features of one backbone.

    Returns:
        NaN for fewer than two samples of either.
    """
    if min(len(first), len(second)) < 2:
        return np.nan

    def total(a: Features, b: Features) -> float:
        """Return the sum of the kernel over all pairs."""
        return sum(float(((x @ y.T / a.shape[1] + 1) ** 3).sum()) for x in _parts(a) for y in _parts(b))

    def within(a: Features) -> float:
        itself = sum(float(((np.sum(x**2, axis=1) / a.shape[1] + 1) ** 3).sum()) for x in _parts(a))
        return (total(a, a) - itself) / (len(a) * (len(a) - 1))

    return within(first) + within(second) - 2 * total(first, second) / (len(first) * len(second))
