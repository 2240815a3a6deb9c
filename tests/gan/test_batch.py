import numpy as np
import pandas as pd
import pytest
import torch

from gan.batch import FILES, Draw, Slices
from gan.errors import InputError
from tests.gan.cache import seal_cache

FIELDS = ("image", "target_mask", "body", "source", "target", "truth")


def same(a, b) -> bool:
    pairs = [(getattr(a, field), getattr(b, field)) for field in FIELDS]
    return all((x is None and y is None) or torch.equal(x, y) for x, y in pairs)


def rows(folder, batch) -> list[int]:
    """Find each slice of a batch, flipped or not, in the cache."""
    images = np.load(folder / "images.npy").astype(np.float32)
    found = []
    for image in batch.image[:, 0].numpy():
        hits = [(images == i).all((1, 2)) for i in (image, image[:, ::-1])]
        found.append(int(np.flatnonzero(hits[0] | hits[1]).item()))
    return found


def test_shapes_and_ranges(make_slices):
    batch = Slices(make_slices()).batch(0, 4, seed=1)
    for name in ("image", "target_mask", "body"):
        assert getattr(batch, name).shape == (4, 1, 64, 64)
        assert getattr(batch, name).dtype == torch.float32
    assert batch.image.min() >= -1
    assert batch.image.max() <= 1
    assert set(batch.target_mask.unique().tolist()) | set(batch.body.unique().tolist()) == {0, 1}
    assert batch.source.dtype == batch.target.dtype == torch.int64


def test_a_batch_depends_on_seed_and_number_alone(make_slices):
    folder = make_slices()
    first, second = Slices(folder), Slices(folder)
    state = np.random.get_state()  # noqa: NPY002
    wanted = [first.batch(k, 4, seed=3) for k in range(7)]
    np.random.seed(0)  # noqa: NPY002
    assert all(same(second.batch(k, 4, seed=3), wanted[k]) for k in (5, 2, 6))
    assert not same(second.batch(5, 4, seed=4), wanted[5])
    np.random.set_state(state)  # noqa: NPY002


def test_flips_and_wanted_modalities_are_drawn_anew_for_each_batch(make_slices):
    folder = make_slices()
    slices, images = Slices(folder), np.load(folder / "images.npy").astype(np.float32)
    batches = [slices.batch(k, 4, seed=3) for k in range(8)]
    flips = {
        tuple(
            (image != images[row]).any()
            for image, row in zip(batch.image[:, 0].numpy(), rows(folder, batch), strict=True)
        )
        for batch in batches
    }
    assert len(flips) > 3
    moves = {tuple(np.argsort(np.argsort(batch.target.numpy(), kind="stable"), kind="stable")) for batch in batches}
    assert len(moves) > 3


def test_numpy_is_left_undisturbed(make_slices):
    slices = Slices(make_slices())
    np.random.seed(11)  # noqa: NPY002
    undisturbed = np.random.rand()  # noqa: NPY002
    np.random.seed(11)  # noqa: NPY002
    slices.batch(0, 4, seed=3)
    assert np.random.rand() == undisturbed  # noqa: NPY002


def test_an_epoch_shows_every_training_slice_once_and_no_watched_one(make_slices):
    folder = make_slices(per_modality=5, watched=1)
    slices = Slices(folder)
    assert slices.rounds_per_epoch(5) == 2  # 12 slices: the incomplete batch is dropped
    epochs = [[row for k in (0, 1, 2) for row in rows(folder, slices.batch(3 * e + k, 4, seed=0))] for e in (0, 1)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == slices.train.tolist()
    assert epochs[0] != epochs[1]


def test_masks_are_flipped_with_their_image(make_slices):
    folder = make_slices()
    slices = Slices(folder)
    stored = {name: np.load(folder / f"{name}.npy") for name in ("images", "targets", "body")}
    flipped = []
    for k in range(6):
        batch = slices.batch(k, 4, seed=0)
        for place, row in enumerate(rows(folder, batch)):
            flip = not np.array_equal(batch.image[place, 0], stored["images"][row].astype(np.float32))
            step = -1 if flip else 1
            assert np.array_equal(batch.target_mask[place, 0], stored["targets"][row][:, ::step])
            assert np.array_equal(batch.body[place, 0], stored["body"][row][:, ::step])
            assert batch.source[place] == ["ct", "t1", "t2"].index(slices.index["modality"][row])
            flipped.append(flip)
    assert 6 <= sum(flipped) <= 18


def test_wanted_modalities_are_a_permutation_of_the_batch(make_slices):
    slices = Slices(make_slices())
    batches = [slices.batch(k, 6, seed=0) for k in range(10)]
    assert all(torch.equal(b.source.sort().values, b.target.sort().values) for b in batches)
    assert any(not torch.equal(b.source, b.target) for b in batches)


def test_watches_the_largest_target_of_each_modality(make_slices):
    folder = make_slices(per_modality=7, watched=3)
    slices = Slices(folder)
    watched = slices.watched()
    assert watched.source.tolist() == [0, 1, 2]
    index = slices.index[slices.index["set"] == "watch"]
    largest = index.groupby("modality")["target_pixels"].max()
    assert watched.target_mask.sum((1, 2, 3)).tolist() == largest.tolist()
    assert Slices(make_slices(watched=0, name="unwatched")).watched().source.tolist() == [0, 1, 2]


@pytest.mark.parametrize("file", FILES)
def test_names_a_missing_file(make_slices, file):
    folder = make_slices()
    (folder / file).unlink()
    with pytest.raises(InputError, match=f"{file}: found no such file"):
        Slices(folder)


@pytest.mark.parametrize("file", FILES)
def test_names_a_file_that_changed_after_it_was_published(make_slices, file):
    folder = make_slices()
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / file).write_bytes(content)
    with pytest.raises(
        InputError, match=f"/{file}: found (another file than was published|sha256 .* as .*slices.json)"
    ):
        Slices(folder)


def test_names_an_array_of_another_shape(make_slices):
    folder = make_slices()
    np.save(folder / "body.npy", np.zeros((3, 64, 64), np.uint8))
    seal_cache(folder)
    with pytest.raises(InputError, match=r"body.npy: found uint8 of \(3, 64, 64\), expected uint8 of \(15, 64, 64\)"):
        Slices(folder)


def test_every_modality_needs_training_slices(make_slices):
    folder = make_slices()
    index = pd.read_csv(folder / "index.csv")
    index.loc[index["modality"] == "t1", "set"] = "watch"
    index.to_csv(folder / "index.csv", index=False)
    seal_cache(folder)
    with pytest.raises(InputError, match="no training slices of t1, expected some"):
        Slices(folder)


def test_modalities_keep_the_order_of_the_cache(make_slices):
    folder = make_slices()
    seal_cache(folder, modalities=["t2", "ct", "t1"])
    slices = Slices(folder)
    assert slices.watched().source.tolist() == [0, 1, 2]
    assert slices.index["modality"][slices.train[0]] == "ct"
    assert 1 in slices.batch(0, 12, seed=0).source


def test_a_balanced_batch_holds_each_modality_in_order_and_wants_another(make_slices):
    folder = make_slices(("ct", "t1", "t2"))
    slices = Slices(folder)
    wanted = set()
    for k in range(6):
        batch = slices.batch(k, 6, 0, Draw.BALANCED)
        assert batch.source.tolist() == [0, 0, 1, 1, 2, 2]
        assert (batch.target != batch.source).all()
        wanted |= set(zip(batch.source.tolist(), batch.target.tolist(), strict=True))
    assert len(wanted) == 6
    with pytest.raises(InputError, match="batch_size: found 4, expected a multiple of the 3 modalities"):
        slices.batch(0, 4, 0, Draw.BALANCED)


def test_a_balanced_epoch_is_one_of_the_larger_modality_and_the_smaller_begins_anew(make_slices):
    folder = make_slices(("ct", "t1"), per_modality=6)
    index = pd.read_csv(folder / "index.csv")
    index.loc[(index["modality"] == "t1") & (index["slice"] > 1), "set"] = "watch"
    index.to_csv(folder / "index.csv", index=False)
    seal_cache(folder)
    slices = Slices(folder)
    assert slices.rounds_per_epoch(2, Draw.BALANCED) == 5
    shown = [rows(folder, slices.batch(k, 2, 0, Draw.BALANCED)) for k in range(5)]
    assert sorted(ct for ct, _ in shown) == [0, 1, 2, 3, 4]
    t1 = [row for _, row in shown]
    assert sorted(t1[:2]) == sorted(t1[2:4]) == [6, 7]


def test_an_aligned_batch_knows_the_truth(make_slices):
    folder = make_slices(aligned=True)
    slices, images = Slices(folder, ("t1", "ct", "t2")), np.load(folder / "images.npy").astype(np.float32)
    for k in range(4):
        batch = slices.batch(k, 3, 0, Draw.ALIGNED)
        assert batch.source.tolist() == [0, 0, 0]
        assert set(batch.target.tolist()) <= {1, 2}
        for number, row in enumerate(rows(folder, batch)):
            assert row // 5 == 1  # t1 is the second of the cache
            truth = images[row - 5 if batch.target[number] == 1 else row + 5]
            flipped = (batch.image[number, 0].numpy() != images[row]).any()
            assert (batch.truth[number, 0].numpy() == (truth[:, ::-1] if flipped else truth)).all()


def test_a_stacked_batch_has_a_channel_for_each_modality(make_slices):
    folder = make_slices(aligned=True)
    slices, images = Slices(folder), np.load(folder / "images.npy").astype(np.float32)
    batch = slices.batch(0, 3, 0, Draw.STACKED)
    assert batch.image.shape == (3, 3, 64, 64)
    for stack in batch.image.numpy():
        found = [np.flatnonzero([(i == c).all() or (i[:, ::-1] == c).all() for i in images]).item() for c in stack]
        assert np.diff(found).tolist() == [5, 5]
    assert slices.watched(Draw.STACKED).image.shape == (1, 3, 64, 64)
    assert [len(b.source) for b in slices.watch_batches(4, Draw.STACKED)] == [1]


@pytest.mark.parametrize("draw", [Draw.ALIGNED, Draw.STACKED])
def test_scans_on_other_grids_are_not_aligned(make_slices, draw):
    slices = Slices(make_slices())
    with pytest.raises(InputError, match="no training slice known in ct and t1 and t2, expected scans of one case"):
        slices.rounds_per_epoch(1, draw)


def test_slices_that_one_modality_lacks_are_left_out(make_slices):
    folder = make_slices(aligned=True)
    index = pd.read_csv(folder / "index.csv")
    index.loc[index["row"] == 6, "slice"] = 99
    index.to_csv(folder / "index.csv", index=False)
    seal_cache(folder)
    assert Slices(folder).rounds_per_epoch(1, Draw.ALIGNED) == 3


def test_some_of_the_modalities_in_another_order(make_slices):
    slices = Slices(make_slices(), ["t2", "ct"])
    assert slices.modalities == ["t2", "ct"]
    assert slices.train.tolist() == [0, 1, 2, 3, 10, 11, 12, 13]
    assert slices.watched().source.tolist() == [0, 1]
    with pytest.raises(InputError, match="slices of pet, expected of ct, t1, t2"):
        Slices(make_slices(name="again"), ["ct", "pet"])


def test_a_share_of_the_patients_is_the_same_in_all_modalities_and_never_none(make_slices):
    folder = make_slices(per_modality=9)
    half, all_of_them = Slices(folder, None, 0.5, seed=1), Slices(folder)
    patients = half.index.loc[half.train].groupby("modality")["patient"].agg(set)
    assert {len(found) for found in patients} == {4}
    assert patients["ct"] == patients["t1"] == patients["t2"]
    assert set(half.train) < set(all_of_them.train)
    assert Slices(folder, None, 0.5, seed=2).train.tolist() != half.train.tolist()
    assert len(Slices(folder, None, 0.01).train) == 3


def test_scans_without_a_label_train_only_who_reads_none(make_slices):
    folder = make_slices()
    index = pd.read_csv(folder / "index.csv")
    index.loc[index["patient"].isin(["p0", "p4"]), "labelled"] = 0  # one trains, one is watched
    index.to_csv(folder / "index.csv", index=False)
    seal_cache(folder)
    assert set(Slices(folder).index.loc[Slices(folder).train, "patient"]) == {"p0", "p1", "p2", "p3"}
    labelled = Slices(folder, labelled=True)
    assert set(labelled.index.loc[labelled.train, "patient"]) == {"p1", "p2", "p3"}
    assert not list(labelled.watch_batches(1))
    index["labelled"] = 0
    index.to_csv(folder / "index.csv", index=False)
    seal_cache(folder)
    with pytest.raises(InputError, match="no training slices of ct, t1, t2"):
        Slices(folder, labelled=True)


@pytest.mark.parametrize("draw", Draw)
def test_every_draw_is_a_function_of_seed_and_number(make_slices, draw):
    folder = make_slices(aligned=True)
    first, second = Slices(folder), Slices(folder)
    wanted = [first.batch(k, 3, 3, draw) for k in range(6)]
    assert all(same(second.batch(k, 3, 3, draw), wanted[k]) for k in (5, 2, 4))
    assert not all(same(second.batch(k, 3, 4, draw), wanted[k]) for k in range(6))


def test_a_patients_scans_of_two_dates_are_not_taken_for_one(make_slices):
    folder = make_slices(("t1", "t2"), aligned=True)
    index = pd.read_csv(folder / "index.csv")
    index["patient"], index["slice"] = "p", 0
    index = index[(index["row"] != 1) & (index["row"] != 7)]  # c1 has no t1, c2 no t2
    index.to_csv(folder / "index.csv", index=False)
    for name in ("images", "targets", "body"):
        array = np.load(folder / f"{name}.npy")
        np.save(folder / f"{name}.npy", array[index["row"]])
    seal_cache(folder)
    slices = Slices(folder)
    assert slices.rounds_per_epoch(1, Draw.ALIGNED) == 2  # c0 and c3


def test_a_share_of_the_patients_holds_for_the_truth_too(make_slices):
    folder = make_slices(("t1", "t2"), per_modality=10, watched=0, aligned=True)
    index = pd.read_csv(folder / "index.csv")
    index.loc[(index["modality"] == "t2") & (index["slice"] > 4), "set"] = "watch"
    index.to_csv(folder / "index.csv", index=False)
    seal_cache(folder)
    for seed in range(8):
        slices = Slices(folder, None, 0.4, seed)
        known = set(slices.index.loc[slices.train, "patient"][slices.index["modality"] == "t2"])
        assert len(known) == 2
        assert slices.rounds_per_epoch(1, Draw.ALIGNED) <= 2


def test_a_batch_that_has_no_equal_parts_is_an_error(make_slices):
    batch = Slices(make_slices()).batch(0, 6, 3, Draw.BALANCED)
    assert batch.part(0, 1, 4) is batch
    assert len(batch.part(1, 2, 3).source) == 3
    with pytest.raises(InputError, match=r"^batch_size: found 6, expected a multiple of 4, for 4 processes$"):
        batch.part(0, 4)
    with pytest.raises(InputError, match=r"^batch_size: found 6, expected a multiple of 9, for 3 processes$"):
        batch.part(0, 3, 3)
