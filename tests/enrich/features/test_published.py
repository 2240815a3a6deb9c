"""The published networks, with weights that are drawn here and saved under the names of the published files."""

import sys

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import inception_v3, resnet50

from enrich.features import BACKBONES
from enrich.features.models_genesis import Encoder
from enrich.translations import Picture
from enrich.volume import Volume
from gan.errors import InputError

FILES = ["inception", "radimagenet", "models_genesis"]


def picture(seed=0, shape=(5, 40, 70)):
    """A scan of which one slice does not show the body."""
    generator = np.random.default_rng(seed)
    body = np.zeros(shape, bool)
    body[1:, 5:35, 5:60] = True
    images = np.where(body, generator.uniform(-1, 1, shape), -1).astype(np.float32)
    return Picture("ct", images, body, Volume(images, (1.0, 1.0, 1.0)))


def inception_file(path):
    """As torchvision's, with both heads."""
    network = inception_v3(weights=None, init_weights=False)
    torch.save(network.state_dict(), path)
    return network


def radimagenet_file(path):
    """As the authors': the layers of a ResNet but the last by number, in `backbone`."""
    network = resnet50(weights=None)
    torch.save(nn.ModuleDict({"backbone": nn.Sequential(*list(network.children())[:9])}).state_dict(), path)
    return network


def models_genesis_file(path):
    """As the authors': of several GPUs, under `state_dict`, with a decoder."""
    network = Encoder()
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    state["module.up_tr256.ops.0.conv1.weight"] = state["module.out_tr.final_conv.bias"] = torch.zeros(1)
    torch.save({"state_dict": state, "epoch": 1}, path)
    return network


WRITERS = {"inception": inception_file, "radimagenet": radimagenet_file, "models_genesis": models_genesis_file}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Each network and the file of its weights."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    return {name: (write(folder / f"{name}.pt"), folder / f"{name}.pt") for name, write in WRITERS.items()}


def resized(plane, size):
    """A slice on a square of background, resampled, in three colours."""
    square = torch.full((70, 70), -1.0)
    square[15:55] = torch.from_numpy(plane)
    options = {"size": (size, size), "mode": "bilinear", "antialias": True}
    return nn.functional.interpolate(square[None, None], **options).expand(-1, 3, -1, -1)


@pytest.mark.parametrize(("name", "size"), [("inception", 299), ("radimagenet", 224)])
def test_a_slice_has_the_features_before_the_classifier(saved, name, size):
    network, path = saved[name]
    network.fc = nn.Identity()
    shown = picture()
    found = BACKBONES[name](path)(shown)
    assert found.shape == (4, 2048)
    with torch.inference_mode():
        expected = network.eval()(resized(shown.images[2], size))
    np.testing.assert_allclose(found[1], expected[0].numpy(), rtol=1e-4, atol=1e-5)


def test_a_patch_of_models_genesis_has_512_features(saved):
    network, path = saved["models_genesis"]
    shown = picture()
    found = BACKBONES["models_genesis"](path)(shown)
    assert found.shape == (1, 512)  # the second patch, of columns 64 to 69, shows no body
    cube = np.zeros((64, 64, 32), np.float32)
    cube[:40, :, :5] = (shown.images[:, :, :64].transpose(1, 2, 0) + 1) / 2
    with torch.inference_mode():
        expected = network.eval()(torch.from_numpy(cube)[None, None])
    np.testing.assert_allclose(found[0], expected[0].numpy(), rtol=1e-4, atol=1e-6)


def test_models_genesis_has_the_published_encoder():
    shapes = {name: tuple(value.shape) for name, value in Encoder().state_dict().items()}
    assert shapes["down_tr64.ops.0.conv1.weight"] == (32, 1, 3, 3, 3)
    assert shapes["down_tr64.ops.1.conv1.weight"] == (64, 32, 3, 3, 3)
    assert shapes["down_tr512.ops.1.bn1.running_mean"] == (512,)
    assert len({name.split(".")[0] for name in shapes}) == 4


@pytest.mark.parametrize("name", FILES)
def test_backbones_are_frozen_and_repeat(saved, name):
    backbone = BACKBONES[name](saved[name][1])
    assert not backbone.network.training
    assert not any(weights.requires_grad for weights in backbone.network.parameters())
    np.testing.assert_array_equal(backbone(picture()), backbone(picture()))


@pytest.mark.parametrize("name", FILES)
def test_another_file_is_one_line(saved, name, tmp_path):
    other = saved[FILES[FILES.index(name) - 1]][1]
    text, code, fewer = (tmp_path / f"{kind}.pt" for kind in ("text", "code", "fewer"))
    text.write_text("weights")
    torch.save(sys.modules[__name__].Loader(), code)
    torch.save({"conv1.weight": torch.zeros(1)}, fewer)
    for path in (other, text, code, fewer, tmp_path / "absent.pt", tmp_path):
        with pytest.raises(InputError, match="expected") as error:
            BACKBONES[name](path)
        assert str(path) in str(error.value)
        assert "\n" not in str(error.value)


class Loader:
    """What a file must not be able to make: an object."""


def test_a_weight_of_another_size_is_named(saved, tmp_path):
    state = torch.load(saved["radimagenet"][1], weights_only=True)
    state["backbone.4.0.conv1.weight"] = torch.zeros(64, 64, 3, 3)
    torch.save(state, tmp_path / "wider.pt")
    with pytest.raises(
        InputError, match=r"layer1\.0\.conv1\.weight of shape \(64, 64, 3, 3\), expected \(64, 64, 1, 1\)"
    ):
        BACKBONES["radimagenet"](tmp_path / "wider.pt")
