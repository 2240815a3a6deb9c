"""The benchmark plays every method, and its figures hang together."""

import json
import sys

import pytest

from gan import bench
from gan.errors import run
from gan.methods import METHODS
from tests.gan.tiny import entry, modalities


def measured(monkeypatch, capsys, name, *words):
    settings = entry(name)
    size = settings.pop("batch_size")
    command = ["gan.bench", "--method", name, "--size", 64, "--batch", size, "--settings", json.dumps(settings)]
    monkeypatch.setattr(sys, "argv", [*map(str, [*command, "--modalities", len(modalities(name)), *words])])
    run(bench.main)
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_measured_beside_plain(monkeypatch, capsys, name):
    found = measured(monkeypatch, capsys, name, "--cycles", 1)
    assert found["slices_per_second"] == pytest.approx(found["batch"] / found["seconds_per_round"])
    assert found["ratio_to_plain"] == pytest.approx(found["plain_seconds_per_round"] / found["seconds_per_round"])
    assert found["share_of_matmul"] == pytest.approx(found["tflops"] / found["matmul_tflops"])
    assert found["difference_of_terms"] < 1e-3


def test_plain_alone_is_compared_with_nothing(monkeypatch, capsys):
    found = measured(monkeypatch, capsys, "stargan", "--cycles", 1, "--plain")
    assert found["plain"] is True
    assert found["rounds"] == 5  # of which the generator steps on one
    assert "ratio_to_plain" not in found
