import resource

import pytest
import torch

from gan import checkpoint
from gan.errors import InputError

STATE = dict.fromkeys(checkpoint.KEYS) | {"config": {"seed": 1}, "round": 3, "averaged": {"w": torch.arange(300.0)}}


def same(found):
    return (
        found.keys() == STATE.keys()
        and (found["config"], found["round"]) == (STATE["config"], STATE["round"])
        and torch.equal(found["averaged"]["w"], STATE["averaged"]["w"])
    )


@pytest.fixture
def unfinished(tmp_path):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, STATE)
    assert same(checkpoint.load_unfinished(path))
    return path


def test_a_flipped_bit_anywhere_in_an_unfinished_checkpoint_is_refused_or_changes_nothing(unfinished):
    content, refused = unfinished.read_bytes(), 0
    for place in range(0, len(content), 3):
        unfinished.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        try:
            assert same(checkpoint.load_unfinished(unfinished)), place
        except InputError:
            refused += 1
    weights = content.index(STATE["averaged"]["w"].numpy().tobytes())
    assert refused * 3 > 300 * 4
    unfinished.write_bytes(content[: weights + 4] + b"1" + content[weights + 5 :])
    with pytest.raises(InputError, match="found a file that is broken"):
        checkpoint.load_unfinished(unfinished)


def test_a_truncated_unfinished_checkpoint_is_refused(unfinished):
    content = unfinished.read_bytes()
    for length in range(0, len(content), 50):
        unfinished.write_bytes(content[:length])
        with pytest.raises(InputError):
            checkpoint.load_unfinished(unfinished)


def test_a_model_without_its_seal_is_refused(unfinished):
    with pytest.raises(InputError, match=r"checkpoint\.pt\.sha256 beside it"):
        checkpoint.load(unfinished)


def test_one_that_could_not_be_written_is_told_without_torchs_words(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"a checkpoint that could not be written: '.*model\.pt'"):
            checkpoint.save(tmp_path / "model.pt", dict.fromkeys(checkpoint.KEYS) | {"averaged": torch.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
