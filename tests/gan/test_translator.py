import numpy as np
import pytest
import torch

from gan import checkpoint
from gan.batch import Slices
from gan.errors import InputError
from gan.files import seal
from gan.methods import METHODS
from gan.settings import resolve
from gan.train import resolved
from gan.trained import load_model
from gan.trainer import Trainer
from gan.translator import Translator


def load_one(path):
    return Translator([path])


@pytest.fixture
def model(make_slices, tmp_path):
    folder = make_slices()
    kind = METHODS["stargan"]
    settings = resolve(kind.paper, kind.official, {"width": 8, "rounds": 1}, "stargan")
    trainer = Trainer(kind(3, 64, settings), settings, rounds=1)
    path = tmp_path / "model.pt"
    config = resolved(Slices(folder), "stargan", settings, 0, {})
    checkpoint.save(path, {"config": config, "log": "", "gpu_memory_gb": None, **trainer.state()})
    seal(path)
    return path


def test_is_told_modalities_and_size(model):
    translator = Translator([model])
    with pytest.raises(InputError, match="direction: found ct to pet, expected one of ct to t1, ct to t2, t1 to ct"):
        translator.translate(np.zeros((1, 1, 64, 64), np.float32), "ct", "pet")
    with pytest.raises(InputError, match=r"slices: found shape \(1, 1, 32, 32\), expected \(N, 1, 64, 64\)"):
        translator.translate(np.zeros((1, 1, 32, 32), np.float32), "ct", "t1")
    assert translator.translate(np.zeros((0, 1, 64, 64), np.float32), "ct", "t1").shape == (0, 1, 64, 64)


def test_refuses_what_is_no_checkpoint(model, tmp_path):
    with pytest.raises(InputError, match=r"absent\.pt: found no file"):
        load_one(tmp_path / "absent.pt")
    truncated = tmp_path / "truncated.pt"
    truncated.write_bytes(model.read_bytes()[:-1000])
    text = tmp_path / "text.pt"
    text.write_text("a text")
    empty = tmp_path / "empty.pt"
    empty.touch()
    for path in (truncated, text, empty):
        seal(path)
        with pytest.raises(InputError, match=f"{path.name}: found something unreadable"):
            load_one(path)
    foreign = tmp_path / "foreign.pt"
    torch.save({"state_dict": {}}, foreign)
    seal(foreign)
    with pytest.raises(InputError, match=r"foreign.pt: found a file of another kind"):
        load_one(foreign)


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_refuses_a_model_of_another_version(model, tmp_path):
    for key, value in (("method", "other"), ("settings", {"unknown": 1}), ("modalities", ["ct"] * 5)):
        state = checkpoint.load(model)
        checkpoint.save(tmp_path / "model.pt", state | {"config": state["config"] | {key: value}})
        seal(tmp_path / "model.pt")
        with pytest.raises(InputError, match=r"model\.pt: found a model of another version"):
            load_one(tmp_path / "model.pt")


def test_executes_nothing(tmp_path, capsys):
    torch.save({"config": Evil()}, tmp_path / "evil.pt")
    seal(tmp_path / "evil.pt")
    with pytest.raises(InputError):
        load_one(tmp_path / "evil.pt")
    assert "executed" not in capsys.readouterr().out


def test_a_model_of_another_method_is_not_started_from(model):
    with pytest.raises(InputError, match=r"model\.pt: found a model of stargan, expected one of targan"):
        load_model(model, "targan", ["ct", "t1", "t2"], torch.nn.Identity())
    with pytest.raises(InputError, match=r"model\.pt: found a model of \['ct', 't1', 't2'\], expected one of \['t1'"):
        load_model(model, "stargan", ["t1", "ct", "t2"], torch.nn.Identity())
    with pytest.raises(InputError, match=r"model\.pt: found networks of another size"):
        load_model(model, "stargan", ["ct", "t1", "t2"], torch.nn.Identity())


def test_two_models_of_one_direction(model):
    with pytest.raises(InputError, match=r"model\.pt: found a second model of ct to t1"):
        Translator([model, model])
