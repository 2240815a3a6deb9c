"""MGAN's terms against NumPy, and what it adds to pix2pix."""

import numpy as np
import pytest
import torch

from gan.methods.mgan import MGAN
from gan.methods.pix2pix import falling
from tests.gan.paired import adversaries_and_distance, judgement, naming, parameters, terms_of
from tests.gan.tiny import batch_for, build


def test_published_parameter_counts():
    with torch.device("meta"):
        published = MGAN(*MGAN.published, MGAN.paper)
    assert parameters(published.generator) == 41_822_593
    assert parameters(published.critic) == 11_203_520


def maps(image: torch.Tensor, target: torch.Tensor, targets: int) -> torch.Tensor:
    """Return the image and, of each target modality, a map of ones where it is the wanted one, of zeros else."""
    added = torch.zeros(len(image), targets, *image.shape[2:])
    for number, modality in enumerate(target.tolist()):
        added[number, modality - 1] = 1
    return torch.cat([image, added], dim=1)


@pytest.mark.parametrize(("preset", "kind"), [("paper", "softmax"), ("official", "bce")])
@pytest.mark.parametrize("modalities", [3, 4])
def test_every_term_by_hand(preset, kind, modalities):
    method = build("mgan", modalities, preset=preset)
    batch = batch_for(method)
    with torch.no_grad():
        fake = method.generator(maps(batch.image, batch.target, modalities - 1))
    expected = adversaries_and_distance(method, fake, batch) | {
        "modality_real": naming(judgement(method, batch.truth, batch)[1], batch.target.numpy(), kind),
        "modality": naming(judgement(method, fake, batch)[1], batch.target.numpy(), kind),
    }
    assert terms_of(method, batch) == pytest.approx(expected, rel=1e-4)


def test_published_settings():
    s = MGAN.paper
    assert (s.width, s.batch_size, s.epochs, s.downs, s.classification) == (64, 64, 100, 7, "softmax")
    assert s.weights == {"critic": 1, "penalty": 100, "adversarial": 1, "l1": 0.1, "modality_real": 10, "modality": 10}
    with torch.device("meta"):
        players = MGAN(4, 128, s).players()
    assert [(p.name, p.every, p.learning_rate, p.betas, p.schedule) for p in players] == [
        ("critic", 1, 2e-4, (0.9, 0.999), falling),
        ("generator", 1, 2e-4, (0.9, 0.999), falling),
    ]


def test_the_source_is_no_class_and_has_no_map():
    method = build("mgan", 4)
    assert method.generator.down[0].in_channels == 1 + 3
    assert judgement(method, batch_for(method).truth, batch_for(method))[1].shape == (4, 3)
    told = method.told(torch.full((3, 1, 2, 2), 0.5), torch.tensor([1, 2, 3]))
    assert np.array_equal(told[:, :, 0, 0].numpy(), [[0.5, 1, 0, 0], [0.5, 0, 1, 0], [0.5, 0, 0, 1]])
