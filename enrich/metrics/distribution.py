"""Distance of two sets of images by their features, (N, D) in any float type; computed in float64."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, svdvals

Features = NDArray[Any]


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
    means, centred = [], []
    for features in (first, second):
        values = np.asarray(features, np.float64)
        means.append(values.mean(axis=0))
        centred.append((values - means[-1]) / np.sqrt(len(values) - 1))
    # tr (Σ₁Σ₂)^½, Σᵢ = AᵢᵀAᵢ: the eigenvalues of Σ₁Σ₂ are the squared singular values of A₁A₂ᵀ. Where there are more
    # samples than dimensions, the triangle of a QR decomposition stands for Aᵢ: RᵀR = AᵀA.
    factors = [qr(a, mode="r")[0][: a.shape[1]] if len(a) > a.shape[1] else a for a in centred]
    root = svdvals(factors[0] @ factors[1].T).sum()
    spread = sum(float(np.sum(a**2)) for a in centred)
    return max(0.0, float(np.sum((means[0] - means[1]) ** 2) + spread - 2 * root))


def kernel_distance(first: Features, second: Features) -> float:
    """Kernel distance (KID): squared maximum mean discrepancy under the kernel (x·y / D + 1)³; unbiased.

    Bińkowski et al. (ICLR 2018), on all samples at once where they average over subsets of 1000: equal in expectation.
    May be negative. Comparable only between features of one backbone.

    Returns:
        NaN for fewer than two samples of either.
    """
    if min(len(first), len(second)) < 2:
        return np.nan
    x, y = (np.asarray(features, np.float64) for features in (first, second))

    def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        values: NDArray[np.float64] = (a @ b.T / a.shape[1] + 1) ** 3
        return values

    def within(a: NDArray[np.float64]) -> float:
        values = kernel(a, a)
        return float((values.sum() - np.trace(values)) / (len(a) * (len(a) - 1)))

    return within(x) + within(y) - 2 * float(kernel(x, y).mean())
