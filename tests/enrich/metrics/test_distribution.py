import tracemalloc

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from enrich.metrics import distribution
from enrich.metrics.distribution import frechet_distance, kernel_distance


def normal(mean, variance, count, dimensions, seed):
    """Samples whose mean and covariance are exactly those asked for."""
    values = np.random.default_rng(seed).normal(size=(count, dimensions))
    values -= values.mean(axis=0)
    values = values @ np.linalg.inv(np.linalg.cholesky(np.cov(values.T).reshape(dimensions, dimensions))).T
    return values * np.sqrt(variance) + mean


def of_another_program():
    """The samples of the data's README, whose distance another program gives."""
    state = np.random.RandomState(0)
    return state.randn(500, 8), 1.5 * state.randn(500, 8) + 0.3


def test_frechet_distance_of_two_normal_distributions():
    # (0 − 3)² + (√1 − √4)² = 10
    assert frechet_distance(normal(0, 1, 40, 1, 0), normal(3, 4, 30, 1, 1)) == pytest.approx(10, abs=1e-9)
    assert frechet_distance(normal(0, 1, 90, 5, 0), normal(3, 4, 80, 5, 1)) == pytest.approx(50, abs=1e-9)


def test_frechet_distance_of_another_program():
    assert frechet_distance(*of_another_program()) == pytest.approx(3.0084316009451326, abs=1e-9)


@pytest.mark.parametrize(("counts", "dimensions"), [((60, 50), 7), ((60, 5), 7), ((5, 6), 20)])
def test_frechet_distance_agrees_with_the_root_of_a_matrix(counts, dimensions):
    generator = np.random.default_rng(0)
    mixing = generator.normal(size=(dimensions, dimensions))
    first, second = (generator.normal(size=(count, dimensions)) @ mixing + 0.1 * count for count in counts)
    covariances = [np.cov(values.T) for values in (first, second)]
    root = sqrtm(covariances[0] + 1e-12 * np.eye(dimensions))
    product = sqrtm(root @ covariances[1] @ root + 1e-12 * np.eye(dimensions)).real
    shift = first.mean(axis=0) - second.mean(axis=0)
    expected = shift @ shift + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.trace(product)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-4)


def test_frechet_distance_agrees_with_monai():
    monai = pytest.importorskip("monai.metrics.fid")
    samples = of_another_program()
    expected = monai.get_fid_score(*map(torch.from_numpy, samples))
    assert frechet_distance(*samples) == pytest.approx(float(expected), rel=1e-9)


def test_equal_samples_are_at_distance_0():
    values = np.random.default_rng(0).normal(size=(6, 30)).astype(np.float32)
    assert frechet_distance(values, values[::-1]) == pytest.approx(0, abs=1e-9)


def test_kernel_distance_by_its_sums():
    x, y = np.random.default_rng(0).normal(size=(2, 6, 4))
    y = y[:5] + 1

    def kernel(a, b):
        return (a @ b / 4 + 1) ** 3

    expected = sum(kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / (6 * 5)
    expected += sum(kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / (5 * 4)
    expected -= 2 * sum(kernel(a, b) for a in x for b in y) / (6 * 5)
    assert kernel_distance(x, y) == pytest.approx(expected, rel=1e-12)


def test_kernel_distance_is_unbiased_where_frechet_distance_is_not():
    """Two samples of one distribution: the mean over many draws is 0 for the one and far from it for the other."""
    generator = np.random.default_rng(0)
    pairs = [generator.normal(size=(2, 8, 4)) for _ in range(400)]
    kernel, frechet = ([metric(*pair) for pair in pairs] for metric in (kernel_distance, frechet_distance))
    assert abs(np.mean(kernel)) < 3 * np.std(kernel) / 400**0.5
    assert np.mean(frechet) > 10 * np.std(frechet) / 400**0.5


@pytest.mark.parametrize("metric", [frechet_distance, kernel_distance])
def test_one_sample_has_no_distance(metric):
    values = np.random.default_rng(0).normal(size=(3, 4))
    assert np.isnan(metric(values[:1], values))
    assert np.isnan(metric(values, values[:1]))


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_parts_make_no_difference(distance, monkeypatch):
    samples = of_another_program()
    whole = distance(*samples)
    monkeypatch.setattr(distribution, "PART", 7)  # fewer than dimensions, and the last part is smaller
    assert distance(*samples) == pytest.approx(whole, rel=1e-9)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_memory_does_not_grow_with_the_samples(distance):
    samples = np.random.default_rng(0).normal(size=(2, 12_000, 8)).astype(np.float32)
    tracemalloc.start()
    distance(*samples)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200e6  # all pairs at once are 1.2 GB
