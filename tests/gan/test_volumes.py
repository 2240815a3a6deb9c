"""Volumes of scans whose planes can be told apart: a pixel's value says which scan, slice, row and column it is of."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from gan.batch import Draw, Slices
from gan.volumes import Volumes, through_volume, to_slices, to_volume
from tests.gan.cache import seal_cache

SIZE = 24
SCANS = {  # (patient, modality): set, numbers of the slices in the cache, slice distance over pixel edge
    ("a", "ct"): ("train", range(3, 12), 2.0),
    ("b", "ct"): ("train", [5, 6, 9, 10], 1.0),  # two slices are missing
    ("c", "ct"): ("train", range(6), 1.5),
    ("a", "t1"): ("train", range(7), 0.5),
    ("d", "t1"): ("train", range(2, 8), 1.0),
    ("e", "ct"): ("watch", range(30), 1.0),  # deeper than any that trains
    ("f", "ct"): ("watch", range(4), 1.0),
    ("f", "t1"): ("watch", range(5), 1.0),
}


def write_scans(folder: Path, scans=SCANS, size=SIZE, shuffled=True) -> Path:
    """Write a slice cache whose rows are in no order; the body is a box, the target a smaller one in every scan."""
    folder.mkdir()
    rows, images, targets = [], [], []
    y, x = np.mgrid[:size, :size] / size
    body = (y > 0.2) & (y < 0.9) & (x > 0.1) & (x < 0.7)
    for number, ((patient, modality), (kind, numbers, ratio)) in enumerate(scans.items()):
        for place, z in enumerate(numbers):
            inside = -0.9 + 0.2 * number + 0.01 * place + 0.1 * y * x + (0.3 * y if modality == "t1" else 0)
            target = (x > 0.2) & (x < 0.4) & (y > 0.4) & (y < 0.6 + 0.02 * number) & (0 < place < len(numbers) - 1)
            images.append(np.where(body, np.where(target, 0.9, inside), -1))
            targets.append(target)
            rows.append((patient, patient, modality, z, kind, 1, int(target.sum()), modality, 2.0, 2.0 * ratio))
    order = np.random.default_rng(1).permutation(len(rows)) if shuffled else np.arange(len(rows))
    columns = ["case", "patient", "modality", "slice", "set", "labelled"]
    columns += ["target_pixels", "grid", "pixel_mm", "slice_mm"]
    index = pd.DataFrame([rows[row] for row in order], columns=columns)
    index.to_csv(folder / "index.csv", index_label="row")
    np.save(folder / "images.npy", np.clip(images, -1, 1).astype(np.float16)[order])
    np.save(folder / "targets.npy", np.array(targets, np.uint8)[order])
    np.save(folder / "body.npy", np.array([body] * len(rows), np.uint8))
    modalities = sorted({modality for _, modality in scans})
    seal_cache(folder, modalities=modalities, image_size=size)
    return folder


@pytest.fixture
def folder(tmp_path):
    return write_scans(tmp_path / "slices")


def stack(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32)[:, None, None, None].expand(-1, 1, 2, 2)


def planes(volume: torch.Tensor) -> list[float]:
    assert (volume == volume[..., :1, :1]).all()
    return volume[0, 0, :, 0, 0].tolist()


def number_of(slices: Slices, patient: str, modality: str) -> int:
    data = Volumes(slices)
    return int(data.index.index[(data.index["case"] == patient) & (data.index["modality"] == modality)].item())


def same(a, b) -> bool:
    return all(torch.equal(getattr(a, f), getattr(b, f)) for f in ("image", "target_mask", "body", "source", "target"))


def test_a_stack_becomes_isotropic_and_is_centred_in_background():
    assert planes(to_volume(stack(0, 1, 3), 2)) == [-1, 0, 0.5, 1, 2, 3, -1, -1]
    assert planes(to_volume(stack(0, 1, 3), 2, background=0)) == [0, 0, 0.5, 1, 2, 3, 0, 0]
    assert to_volume(stack(*range(9)), 1).shape == (1, 1, 16, 2, 2)
    assert to_volume(stack(*range(8)), 1).shape == (1, 1, 8, 2, 2)
    assert planes(to_volume(stack(5), 3)) == [-1, -1, -1, 5, -1, -1, -1, -1]
    assert planes(to_volume(stack(5), 3, least=9)) == [-1] * 7 + [5] + [-1] * 8


def test_slices_closer_than_pixels_are_smoothed_by_a_triangle_as_wide_as_two_planes():
    found = planes(to_volume(stack(0, 1, 2, 3, 8), 0.5))
    expected = [(1 * 0 + 0.5 * 1) / 1.5, (0.5 * 1 + 1 * 2 + 0.5 * 3) / 2, (0.5 * 3 + 1 * 8) / 1.5]
    assert found == pytest.approx([-1, -1, *expected, -1, -1, -1])


@pytest.mark.parametrize("ratio", [1.3, 2.7])
def test_planes_lie_linearly_between_slices(ratio):
    values = [0.0, 0.9, -0.4, 0.3, 0.1]
    depth = round(4 * ratio) + 1
    found = [plane for plane in planes(to_volume(stack(*values), ratio)) if plane != -1]
    assert found == pytest.approx(np.interp(np.linspace(0, 4, depth), range(5), values), abs=1e-6)


@pytest.mark.parametrize("ratio", [1, 2, 3])
def test_there_and_back_is_nothing_where_slices_lie_on_planes(ratio):
    slices = torch.rand(5, 1, 3, 4, generator=torch.Generator().manual_seed(0)) * 2 - 1
    assert torch.equal(to_slices(to_volume(slices, ratio), 5, ratio), slices)
    assert torch.equal(through_volume(lambda volume: volume * 0.5, ratio, 1, slices), slices * 0.5)


@pytest.mark.parametrize("ratio", [0.3, 0.8, 1.4, 2.6])
@pytest.mark.parametrize("number", [1, 2, 7, 20])
def test_there_and_back_keeps_number_place_and_range(ratio, number):
    ramp = torch.linspace(-1, 1, number)[:, None, None, None].repeat(1, 1, 2, 2)
    back = through_volume(lambda volume: volume, ratio, 1, ramp)
    assert back.shape == ramp.shape
    assert back.min() >= -1
    assert back.max() <= 1
    if ratio > 1:
        torch.testing.assert_close(back, ramp, atol=1e-5, rtol=0)
    full = through_volume(lambda volume: volume, ratio, 1, torch.ones(number, 1, 2, 2))
    assert torch.equal(full, torch.ones(number, 1, 2, 2))


def test_a_scan_is_one_volume(folder):
    data = Volumes(Slices(folder))
    assert list(zip(data.index["case"], data.index["modality"], strict=True)) == [
        *(("a", "ct"), ("b", "ct"), ("c", "ct"), ("e", "ct"), ("f", "ct")),
        *(("a", "t1"), ("d", "t1"), ("f", "t1")),
    ]
    assert data.index["depth"].tolist() == [17, 6, 9, 30, 4, 4, 6, 5]
    assert data.index["ratio"].tolist() == [2, 1, 1.5, 1, 1, 0.5, 1, 1]
    assert data.train.tolist() == [0, 1, 2, 5, 6]
    pixels = Slices(folder).index.groupby(["modality", "case"])["target_pixels"].sum()
    assert data.index["target_pixels"].tolist() == pixels.tolist()


def test_slices_stand_in_their_order_and_those_left_out_are_background(folder):
    slices = Slices(folder)
    index = slices.index[(slices.index["case"] == "b") & (slices.index["modality"] == "ct")].sort_values("slice")
    known = slices.read(index.index.to_numpy())
    volume = Volumes(slices).read(np.array([number_of(slices, "b", "ct")]))
    assert volume.image.shape == (1, 1, 24, SIZE, SIZE)  # the deepest that trains has 17 planes
    top = (24 - 6) // 2
    for place, (image, target, body) in enumerate(zip(known.image, known.target_mask, known.body, strict=True)):
        z = top + [0, 1, 4, 5][place]
        assert torch.equal(volume.image[0, :, z], image)
        assert torch.equal(volume.target_mask[0, :, z], target)
        assert torch.equal(volume.body[0, :, z], body)
    for z in {*range(24)} - {top + place for place in (0, 1, 4, 5)}:
        assert (volume.image[0, 0, z] == -1).all()
        assert not volume.target_mask[0, 0, z].any()
        assert not volume.body[0, 0, z].any()
    assert volume.source.tolist() == volume.target.tolist() == [0]


def test_masks_are_cut_at_one_half(folder):
    slices = Slices(folder)
    volume = Volumes(slices).read(np.array([number_of(slices, "a", "ct")]))  # nine slices, all but the ends with target
    shown = volume.target_mask.flatten(3).any(dim=3)[0, 0].tolist()
    assert shown == [False] * 3 + [False, *[True] * 15, False] + [False] * 4  # halfway to the first slice: 0.5
    assert set(volume.target_mask.unique().tolist()) == set(volume.body.unique().tolist()) == {0, 1}
    assert volume.body.flatten(3).any(dim=3).sum() == 17


def test_a_missing_slice_ends_the_masks_halfway_to_it(tmp_path):
    scans = {("a", "ct"): ("train", [0, 1, 3, 4], 2.0), ("a", "t1"): ("train", range(2), 1.0)}
    volume = Volumes(Slices(write_scans(tmp_path / "slices", scans))).read(np.array([0]))
    shown = volume.body.flatten(3).any(dim=3)[0, 0].nonzero().flatten().tolist()
    assert shown == [3, 4, 5, 6, 8, 9, 10, 11]  # nine planes in the middle of sixteen; plane 7 is the missing slice


def test_a_batch_holds_as_many_volumes_of_each_modality(folder):
    slices = Slices(folder)
    data = Volumes(slices)
    assert data.rounds_per_epoch(2, Draw.BALANCED) == 3  # of the modality with more scans
    batch = data.batch(0, 4, 0, Draw.BALANCED)
    assert batch.image.shape == batch.target_mask.shape == batch.body.shape == (4, 1, 24, SIZE, SIZE)
    assert batch.image.dtype == batch.target_mask.dtype == batch.body.dtype == torch.float32
    assert batch.source.tolist() == [0, 0, 1, 1]
    assert batch.target.tolist() == [1, 1, 0, 0]
    whole = data.read(data.train)
    for epoch in range(2):
        batches = [data.batch(3 * epoch + k, 2, 5, Draw.BALANCED) for k in range(3)]
        shown = [[found_in(whole, batch, place) for batch in batches] for place in (0, 1)]
        assert sorted(shown[0]) == [0, 1, 2]
        assert set(shown[1]) == {3, 4}  # begins anew within the epoch


def found_in(whole, batch, place) -> int:
    """Return which training volume stands at a place of a batch, flipped or not."""
    image = batch.image[place]
    (hits,) = (
        [n for n, known in enumerate(whole.image) if any(torch.equal(image, i) for i in (known, known.flip(-1)))],
    )
    assert len(hits) == 1
    return hits[0]


def test_a_batch_depends_on_seed_and_number_alone(folder):
    for patch in (None, 16):
        first, second = Volumes(Slices(folder), patch), Volumes(Slices(folder), patch)
        wanted = [first.batch(k, 2, 3, Draw.BALANCED) for k in range(6)]
        assert all(same(second.batch(k, 2, 3, Draw.BALANCED), wanted[k]) for k in (4, 1, 5))
        assert not all(same(second.batch(k, 2, 4, Draw.BALANCED), wanted[k]) for k in range(6))


def test_volumes_are_flipped_left_to_right_with_their_masks(folder):
    data = Volumes(Slices(folder))
    whole, flips = data.read(data.train), []
    for k in range(8):
        batch = data.batch(k, 2, 0, Draw.BALANCED)
        for place in (0, 1):
            known = found_in(whole, batch, place)
            flips.append(not torch.equal(batch.image[place], whole.image[known]))
            axes = [-1] if flips[-1] else []
            for name in ("image", "target_mask", "body"):
                assert torch.equal(getattr(batch, name)[place], getattr(whole, name)[known].flip(axes)), name
    assert 3 <= sum(flips) <= 13


def test_patches_are_cubes_of_the_same_place_in_image_and_masks(folder):
    data, whole = Volumes(Slices(folder), 16), Volumes(Slices(folder))
    corners = set()
    for k in range(12):
        batch, full = data.batch(k, 2, 0, Draw.BALANCED), whole.batch(k, 2, 0, Draw.BALANCED)
        assert batch.image.shape == batch.target_mask.shape == batch.body.shape == (2, 1, 16, 16, 16)
        assert torch.equal(batch.source, full.source)
        assert torch.equal(batch.target, full.target)
        for place in (0, 1):
            cubes = full.image[place, 0].unfold(0, 16, 1).unfold(1, 16, 1).unfold(2, 16, 1)
            hits = (cubes == batch.image[place, 0]).flatten(3).all(dim=3).nonzero().tolist()
            assert len(hits) == 1
            z, y, x = hits[0]
            corners.add((z, y, x))
            for name in ("target_mask", "body"):
                cut = getattr(full, name)[place, 0, z : z + 16, y : y + 16, x : x + 16]
                assert torch.equal(getattr(batch, name)[place, 0], cut)
    assert len(corners) > 6


def test_patches_stay_within_the_box_around_the_body_or_around_it(tmp_path):
    scans = {("a", "ct"): ("train", range(40), 1.0), ("a", "t1"): ("train", range(8), 1.0)}
    data = Volumes(Slices(write_scans(tmp_path / "slices", scans, size=64)), 24)
    deep, starts = [], set()
    for k in range(30):
        batch = data.batch(k, 2, 0, Draw.BALANCED)
        assert batch.body[0].flatten(2).any(dim=2).all()  # 40 planes: all of the cube's are the body's
        assert batch.body[0].any(dim=1).any(dim=1).all()  # the body's box is 38 columns wide
        assert batch.body[1].flatten(2).any(dim=2).sum() == 8  # all the body's planes are within the cube
        deep.append(batch.image[0].max())
        starts.add(batch.body[1].flatten(2).any(dim=2)[0].nonzero()[0].item())
    assert len(set(deep)) > 1
    assert len(starts) > 1


def test_watches_the_volume_with_the_largest_target(folder):
    data = Volumes(Slices(folder))
    watched = data.watched(Draw.BALANCED)
    assert watched.source.tolist() == [0, 1]
    assert watched.image.shape == (2, 1, 32, SIZE, SIZE)  # as deep as the watched ones need
    assert torch.equal(watched.image[:1], data.read(np.array([3])).image)
    assert not torch.equal(watched.target_mask[0], watched.target_mask[1])


@pytest.mark.parametrize(("patch", "depths"), [(None, [32, 24, 24]), (16, [32, 16, 16])])
def test_the_watched_volumes_come_whole_and_one_by_one(folder, patch, depths):
    batches = list(Volumes(Slices(folder), patch).watch_batches(2, Draw.BALANCED))
    assert [batch.image.shape for batch in batches] == [(1, 1, depth, SIZE, SIZE) for depth in depths]
    assert [batch.source.item() for batch in batches] == [0, 0, 1]


def test_volumes_of_patients_who_are_left_out_are_left_out(folder):
    slices = Slices(folder, patient_fraction=0.3, seed=1)
    data = Volumes(slices)
    used = slices.index.loc[slices.train]
    expected = used.groupby("modality")["case"].agg(lambda cases: sorted(set(cases))).to_dict()
    found = data.index[data.index["set"] == "train"].groupby("modality")["case"].agg(list).to_dict()
    assert found == expected
    assert sum(map(len, found.values())) == 2
    assert data.rounds_per_epoch(2, Draw.BALANCED) == 1


def test_modalities_keep_their_order(folder):
    data = Volumes(Slices(folder, ["t1", "ct"]))
    batch = data.batch(0, 2, 0, Draw.BALANCED)
    whole = data.read(data.train)
    assert [data.index["modality"][data.train[found_in(whole, batch, place)]] for place in (0, 1)] == ["t1", "ct"]
