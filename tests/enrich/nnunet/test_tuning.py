"""Fine-tuning on further cases: in which batches, from which weights, and interrupted."""

from pathlib import Path

import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from enrich.nnunet import predict
from enrich.nnunet.train import train
from gan.errors import InputError
from gan.files import seal

from .ada import FURTHER, TRAINING, content
from .study import PATIENTS
from .test_train import assert_same_training, load

SHORT = {"epochs": 3, "iterations": 8, "validation_iterations": 2, "checkpoint_every": 1, "augmentation_workers": 0}


class KilledError(Exception):
    pass


@pytest.fixture(scope="module")
def pretrained(single: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network that the real scans alone trained, of fold 0."""
    return train(single, tmp_path_factory.mktemp("single"), "0", **SHORT | {"epochs": 1})


@pytest.fixture(scope="module")
def uninterrupted(tuned: Path, pretrained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(tuned, tmp_path_factory.mktemp("tuned"), "0", **SHORT, pretrained=pretrained)


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """The names of the cases in every batch that a network trains on, and that it is validated on."""
    seen = {"train": [], "validation": []}
    for kind, names in seen.items():
        own = getattr(nnUNetTrainer, f"{kind}_step")

        def step(self, batch, names=names, own=own):
            names.append([str(name) for name in batch["keys"]])
            return own(self, batch)

        monkeypatch.setattr(nnUNetTrainer, f"{kind}_step", step)
    return seen


@pytest.mark.parametrize("fold", ["0", "all"])
def test_half_of_every_batch_is_synthetic_and_validation_is_real(tuned: Path, tmp_path: Path, batches, fold):
    train(tuned, tmp_path, fold, **SHORT)
    size = content(tuned.with_name("nnUNetPlans.json"))["configurations"]["2d"]["batch_size"]
    assert len(batches["train"]) == 24
    assert len(batches["validation"]) == 6
    for names in batches["train"]:
        assert len(names) == size
        assert sum(name in FURTHER for name in names) == size // 2
    assert not {name for names in batches["validation"] for name in names} & {*FURTHER}
    held_out = content(tuned.with_name("splits_final.json"))[0]["val"] if fold == "0" else []
    seen = {name for names in batches["train"] for name in names}
    assert seen == {name for name in [*TRAINING, *FURTHER] if FURTHER.get(name, name) not in held_out}
    last = {names[-1] in FURTHER for names in batches["train"]}
    assert last == {True, False}  # nnU-Net centres the last of a batch on the target


def test_all_is_drawn_as_nnunet_does_where_nothing_is_synthetic(single: Path, tmp_path: Path, batches, monkeypatch):
    train(single, tmp_path, "all", **SHORT | {"epochs": 1})
    ours = list(batches["train"])
    batches["train"].clear()
    monkeypatch.delattr("enrich.nnunet.trainer.Repeatable.get_dataloaders")
    monkeypatch.delattr("enrich.nnunet.trainer.Repeatable.do_split")
    train(single, tmp_path / "stock", "all", **SHORT | {"epochs": 1})
    assert batches["train"] == ours


@pytest.mark.parametrize(("size", "synthetic"), [(2, 1), (3, 1), (5, 2)])
def test_the_odd_case_of_a_batch_is_real(tuned: Path, size: int, synthetic: int):
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    from enrich.nnunet.loader import HalfSynthetic

    cases = nnUNetDatasetBlosc2(str(tuned.parent / "nnUNetPlans_2d"))
    labels = PlansManager(str(tuned.with_name("nnUNetPlans.json"))).get_label_manager(
        content(tuned.with_name("dataset.json"))
    )
    loader = HalfSynthetic(cases, size, (16, 16), (16, 16), labels, synthetic=frozenset(FURTHER))
    for _ in range(20):
        batch = next(loader)
        assert batch["data"].shape == (size, 1, 16, 16)
        assert sum(name in FURTHER for name in batch["keys"]) == synthetic


def test_tuning_starts_from_all_the_weights_and_nothing_else(
    tuned: Path, pretrained: Path, tmp_path: Path, monkeypatch
):
    def stop(self, batch):
        started.update({name: value.clone() for name, value in self.network.state_dict().items()})
        assert not self.optimizer.state
        assert self.current_epoch == 0
        assert self.optimizer.param_groups[0]["lr"] == self.initial_lr
        raise KilledError

    started = {}
    monkeypatch.setattr(nnUNetTrainer, "train_step", stop)
    with pytest.raises(KilledError):
        train(tuned, tmp_path, "0", **SHORT, pretrained=pretrained)
    weights = load(pretrained)["network_weights"]
    assert started.keys() == weights.keys()
    assert any(".seg_layers." in name for name in weights)
    for name, value in weights.items():
        assert torch.equal(started[name], value), name


def test_a_tuned_network_is_another_one_and_predicts_from_the_real_channel(
    raw_tuned: Path, pretrained: Path, uninterrupted: Path
):
    before, after = (load(path)["network_weights"] for path in (pretrained, uninterrupted))
    assert all(not torch.equal(before[name], after[name]) for name in before if name.endswith("conv.weight"))
    summary = content(uninterrupted.parent / "validation" / "summary.json")
    held_out = content(raw_tuned.with_name("splits_final.json"))[0]["val"]
    assert [Path(case["prediction_file"]).name for case in summary["metric_per_case"]] == [
        f"{name}.nii.gz" for name in held_out
    ]
    images = predict.images_to_predict(raw_tuned)
    assert [len(paths) for paths in images.values()] == [1, 1]
    assert [case for case, _ in predict.predict(images, [uninterrupted], mirroring=False)] == PATIENTS["test"]


@pytest.fixture
def interrupted(tuned: Path, pretrained: Path, tmp_path: Path) -> Path:
    """Results of a tuning that stopped in its second epoch."""
    steps = []

    def step(self, batch, own=nnUNetTrainer.train_step):
        steps.append(batch)
        if len(steps) > SHORT["iterations"] + 3:
            raise KilledError
        return own(self, batch)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        patch.setattr(nnUNetTrainer, "train_step", step)
        train(tuned, tmp_path / "results", "0", **SHORT, pretrained=pretrained)
    return tmp_path / "results"


def test_an_interrupted_tuning_continues_bit_for_bit(
    tuned: Path, pretrained: Path, uninterrupted: Path, interrupted: Path, batches
):
    final = train(tuned, interrupted, "0", **SHORT, pretrained=pretrained)
    assert len(batches["train"]) == 16  # not from the beginning
    assert_same_training(load(final), load(uninterrupted))


def test_a_tuning_of_other_weights_is_not_continued(
    tuned: Path, pretrained: Path, interrupted: Path, tmp_path: Path, batches
):
    state = load(pretrained)
    state["network_weights"] = {name: value * 1.1 for name, value in state["network_weights"].items()}
    other = tmp_path / "other.pth"
    torch.save(state, other)
    seal(other)
    train(tuned, interrupted, "0", **SHORT, pretrained=other)
    assert len(batches["train"]) == 24


def test_weights_that_do_not_fit_are_refused(tuned: Path, pretrained: Path, tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.pth: found no such file"):
        train(tuned, tmp_path / "results", "0", **SHORT, pretrained=tmp_path / "none.pth")
    with pytest.raises(InputError, match=r"checkpoint_final\.pth: found fold 0, expected fold all"):
        train(tuned, tmp_path / "results", "all", **SHORT, pretrained=pretrained)
    state = load(pretrained)
    state["init_args"]["plans"]["foreground_intensity_properties_per_channel"]["0"]["mean"] += 1
    torch.save(state, tmp_path / "plans.pth")
    seal(tmp_path / "plans.pth")
    with pytest.raises(InputError, match=r"plans\.pth: found a network of other plans"):
        train(tuned, tmp_path / "results", "0", **SHORT, pretrained=tmp_path / "plans.pth")
    state = load(pretrained)
    state["network_weights"].popitem()
    torch.save(state, tmp_path / "smaller.pth")
    seal(tmp_path / "smaller.pth")
    with pytest.raises(InputError, match=r"smaller\.pth: found weights of another network"):
        train(tuned, tmp_path / "results", "0", **SHORT, pretrained=tmp_path / "smaller.pth")
    assert not list((tmp_path / "results").rglob("*.pth"))
