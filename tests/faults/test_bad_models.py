"""Checkpoints, weights and slice caches: what a training and a translation read, whole or not at all."""

import io
import json
import pickle
import shutil
import struct
from dataclasses import asdict
from functools import cache, partial

import numpy as np
import pytest
import torch

from enrich.nnunet.checkpoint import KEYS, read_checkpoint
from gan import checkpoint, weights
from gan.batch import Draw, Slices
from gan.files import publish_json, seal, sha256
from gan.trained import Trained
from tests.faults.mutations import cut_short, damages
from tests.faults.trials import INPUT, Trial, require_good
from tests.gan import tiny

METHOD = "stargan"


@pytest.fixture(scope="module")
def trained():
    """Return a small checkpoint, all but its log and optimizers as a training leaves it."""
    method = tiny.build(METHOD)
    averaged = torch.optim.swa_utils.AveragedModel(method.model)
    config = {"method": METHOD, "settings": asdict(method.settings), "modalities": list(tiny.NAMES)}
    return dict.fromkeys(checkpoint.KEYS) | {
        "config": config | {"image_size": tiny.SIZE, "depth": 1, "seed": 0, "patients": ["a"]},
        "averaged": averaged.state_dict(),
        "log": "",
    }


def stored(state):
    stream = io.BytesIO()
    torch.save(state, stream)
    return stream.getvalue()


def of(content, read, name="model.pt"):
    def attempt(folder):
        path = folder / INPUT / name
        path.write_bytes(content)
        seal(path)  # as if a training had published it so
        read(path)

    return attempt


def translate(path):
    image = Trained(path).translate(torch.zeros(1, 1, tiny.SIZE, tiny.SIZE), "ct", "t1")
    assert image.shape == (1, 1, tiny.SIZE, tiny.SIZE)
    assert torch.isfinite(image).all()
    return image


translated = cache(translate)  # in the worker: torch, once it has computed, may wait for ever in a process forked of it


class Code:
    """What runs a command when it is unpickled by whoever lets it."""

    def __reduce__(self):
        return (open, ("../../spilled", "w"))


def test_checkpoints(trained, tmp_path, record_property):
    content = stored(trained)
    start = content.index(b"PK\x01\x02")  # the archive's directory, at its end
    directory = content[start:]
    (tmp_path / "sound.pt").write_bytes(content)

    seal(tmp_path / "sound.pt")

    def as_ever(path):
        checkpoint.load_unfinished(path)
        assert torch.equal(translate(path), translated(tmp_path / "sound.pt"))

    trials = [Trial("sound", of(content, as_ever))]
    trials += [Trial(name, of(changed, as_ever)) for name, changed in cut_short(content)]
    trials += [Trial(name, of(changed, as_ever)) for name, changed in damages(content, 60, within=4000)]
    trials += [
        Trial(f"directory, {name}", of(content[:start] + part, as_ever)) for name, part in damages(directory, 60)
    ]
    trials += [Trial(f"weights, {name}", of(changed, as_ever)) for name, changed in damages(content, 30)]
    changed = {
        "no config": trained | {"config": None},
        "config of text": trained | {"config": "text"},
        "no weights": trained | {"averaged": {}},
        "weights of text": trained | {"averaged": "text"},
        "weights without names": trained | {"averaged": {0: torch.zeros(1)}},
        "weights that are no tensors": trained | {"averaged": dict.fromkeys(trained["averaged"], 1.0)},
        "a list": [1, 2],
        "a tensor": torch.zeros(3),
        "one key more": trained | {"more": 1},
        "not finite": trained | {"averaged": {k: v * float("nan") for k, v in trained["averaged"].items()}},
        **{
            f"{key} {value!r}": trained | {"config": trained["config"] | {key: value}}
            for key, value in [
                ("method", "no method"),
                ("method", []),
                ("modalities", []),
                ("modalities", 3),
                ("modalities", ["ct"]),
                ("image_size", 0),
                ("image_size", -64),
                ("image_size", "64"),
                ("settings", {}),
                ("settings", []),
                ("settings", {"width": 0}),
                ("settings", {"width": -8}),
                ("settings", {"width": 10**9}),
                ("settings", {"width": "8"}),
                ("settings", {"no": 1}),
            ]
        },
    }
    trials += [Trial(name, of(stored(state), translate)) for name, state in changed.items()]
    trials += [
        Trial("code", of(stored(trained | {"log": Code()}), translate)),
        Trial("a pickle of code", of(pickle.dumps(Code()), translate)),
        Trial("a pickle", of(pickle.dumps({"a": 1}), translate)),
        Trial(
            "a folder", lambda folder: ((folder / INPUT / "model.pt").mkdir(), translate(folder / INPUT / "model.pt"))
        ),
        Trial("a long name", lambda folder: translate(folder / INPUT / ("a" * 300 + ".pt"))),
    ]
    found = {outcome.name: outcome.kind for outcome in require_good(trials, tmp_path, record_property)}
    assert found["sound"] == "accepted"


def test_checkpoints_of_nnunet(tmp_path, record_property):
    told = {"network_weights": {"a": torch.ones(4)}, "init_args": {"configuration": "3d_fullres"}}
    content = stored(dict.fromkeys(KEYS) | told)
    trials = [
        Trial(name, of(changed, read_checkpoint)) for name, changed in [*cut_short(content), *damages(content, 40)]
    ]
    trials.append(Trial("code", of(stored({"network_weights": Code()}), read_checkpoint)))
    require_good(trials, tmp_path, record_property)


def test_weights_of_a_bundle(trained, tmp_path, record_property):
    weights.save(tmp_path / "model.safetensors", trained["averaged"], trained["config"])
    content = (tmp_path / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])

    def with_header(change):
        text = json.dumps(header | change).encode()
        return struct.pack("<Q", len(text)) + text + content[8 + length :]

    name = next(key for key in header if key != "__metadata__")
    changes = {
        "a header of 2⁶³ bytes": struct.pack("<Q", 2**63) + content[8:],
        "a header of a gigabyte": struct.pack("<Q", 10**9) + content[8:],
        "no metadata": with_header({"__metadata__": {}}),
        "told nothing": with_header({"__metadata__": {"told": "null", "same": "{}"}}),
        "same of nothing": with_header({"__metadata__": {"told": "{}", "same": '{"a": "b"}'}}),
        "same of a list": with_header({"__metadata__": {"told": "{}", "same": "[]"}}),
        "nested": with_header({"__metadata__": {"told": "[" * 100_000, "same": "{}"}}),
        "huge": with_header({name: header[name] | {"shape": [10**6, 10**6]}}),
        "another type": with_header({name: header[name] | {"dtype": "I64"}}),
        "behind the end": with_header({name: header[name] | {"data_offsets": [2**40, 2**41]}}),
    }
    read = partial(of, read=translate, name="model.safetensors")
    trials = [Trial(name, read(changed)) for name, changed in changes.items()]
    trials += [Trial(name, read(changed)) for name, changed in cut_short(content)]
    trials += [Trial(name, read(changed)) for name, changed in damages(content, 40, within=8 + length)]
    require_good(trials, tmp_path, record_property)


def read_slices(folder):
    slices = Slices(folder)
    batch = slices.batch(0, 2, 0)
    assert batch.image.shape == (2, 1, slices.image_size, slices.image_size)
    slices.watched(Draw.ANY)
    list(slices.watch_batches(2))


def with_slices(cache, name, content):
    def attempt(folder):
        shutil.copytree(cache, folder / INPUT / "slices")
        path, facts = folder / INPUT / "slices" / name, folder / INPUT / "slices" / "slices.json"
        path.write_bytes(content)
        if path == facts:
            seal(facts)
        else:
            told = json.loads(facts.read_text())
            publish_json(facts, told | {"sha256": told["sha256"] | {name: sha256(path)}})
        read_slices(folder / INPUT / "slices")

    return attempt


def array(value):
    stream = io.BytesIO()
    np.save(stream, value, allow_pickle=True)
    return stream.getvalue()


def header(text):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + bytes(1000)


def test_slice_caches(make_slices, tmp_path, record_property):
    cache = make_slices(per_modality=3)
    images = np.load(cache / "images.npy")
    trials = []
    for name in ("images.npy", "index.csv", "slices.json"):
        content = (cache / name).read_bytes()
        changed = [*cut_short(content), *damages(content, 40, within=128 if name == "images.npy" else None)]
        trials += [Trial(f"{name}, {what}", with_slices(cache, name, part)) for what, part in changed]
    shape = images.shape
    arrays = {
        "float64": array(images.astype("f8")),
        "big endian": array(images.astype(">f2")),
        "by columns": array(np.asfortranarray(images)),
        "objects": array(np.full(shape, None)),
        "text": array(np.full((2, 2), "a")),
        "a number": array(np.float16(1)),
        "huge": header("{'descr': '<f2', 'fortran_order': False, 'shape': (1000000, 1000000)}\n"),
        "negative": header("{'descr': '<f2', 'fortran_order': False, 'shape': (-1, 64, 64)}\n"),
        "endless": header(f"{{'descr': '<f2', 'fortran_order': False, 'shape': ({2**63}, 64, 64)}}\n"),
        "code": header("__import__('os').system('true')\n"),
        "half a bracket": header("{'descr': '<f2', (\n"),
        "nested": header("[" * 9000),
        "indented": header("  {\n 1\n   2: L"),
    }
    trials += [Trial(name, with_slices(cache, "images.npy", content)) for name, content in arrays.items()]
    require_good(trials, tmp_path / "trials", record_property)
