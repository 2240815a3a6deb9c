"""A translation that is a real scan is segmented as one, and lies at no distance from it."""

import json
import math
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import blosc2
import numpy as np
import pandas as pd
import pytest
import torch

from enrich import gather, index, score_distribution, volume
from enrich.columns import TABLES
from enrich.features import BACKBONES
from enrich.intensity import Intensity
from enrich.nnunet import predict, predict_translations
from enrich.nnunet.train import train
from enrich.splits import Splits
from enrich.translations import Picture, read_picture, read_translations
from enrich.volume import Volume
from gan.errors import InputError
from gan.files import publish_json, sha256

from .study import Study, call

SHORT = {"epochs": 1, "iterations": 6, "validation_iterations": 1, "augmentation_workers": 0}


@pytest.fixture(scope="module")
def checkpoint(single: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Single model of CT."""
    return train(single, tmp_path_factory.mktemp("single"), "all", **SHORT)


@dataclass(frozen=True)
class Translated:
    """A study whose test patients are `ct06` and `mr01`, whose T1 a translator makes the CT of ct06 of."""

    root: Path

    @property
    def scans(self) -> Path:
        return self.root / "scans.csv"

    @property
    def splits(self) -> Path:
        return self.root / "splits.json"

    @property
    def synthetic(self) -> Path:
        return self.root / "synthetic" / "index.csv"

    @property
    def arguments(self) -> list[object]:
        return ["--scans", self.scans, "--splits", self.splits, "--intensity", json.dumps(asdict(Intensity()))]

    def real(self) -> Picture:
        rows = index.read(self.scans, index.SCANS)
        return read_picture(self.scans, rows[rows["modality"] == "ct"].iloc[0], Intensity())

    def fake(self, synthetic: bool = True) -> Picture:
        path = self.synthetic if synthetic else None
        found = read_translations(self.scans, self.splits, path, ["ct"], Intensity())
        return next(iter(found)).picture


@pytest.fixture(scope="module")
def translated(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Translated:
    found = Translated(tmp_path_factory.mktemp("translated"))
    rows = index.read(study.scans, index.SCANS)
    real = rows[rows["case"] == "ct06"].iloc[0].copy()
    for name in ("image", "label"):
        real[name] = os.path.relpath(study.root / real[name], found.root)
    ct = volume.read(found.root / real["image"])
    body = ct.array != 0
    volume.write(ct.with_array(body * (900 - ct.array)), found.root / "mr01_t1.nii.gz")
    digest = sha256(found.root / "mr01_t1.nii.gz")
    other = real.copy()
    other[["case", "patient", "modality", "image", "image_sha256"]] = ["mr01", "mr01", "t1", "mr01_t1.nii.gz", digest]
    index.write(pd.DataFrame([real, other]), found.scans)
    publish_json(found.splits, asdict(Splits(["ct01"], [], ["ct06", "mr01"], [])))
    image = found.synthetic.parent / "mr01_t1_to_ct.nii.gz"
    volume.write(ct.with_array(ct.array + np.int16(1024)), image)
    table = pd.DataFrame([("mr01", "t1", "ct", image.name, sha256(image), "all")], columns=[*index.SYNTHETIC, "fit"])
    index.write(table, found.synthetic)
    return found


def segmented(translated: Translated, checkpoint: Path, output: Path, *options: object) -> np.ndarray:
    arguments = [*translated.arguments, "--modality", "ct", "--checkpoints", checkpoint, "--no-mirroring"]
    call(predict_translations.main, *arguments, *options, "--output", output)
    (row,) = index.read(output, index.SEGMENTED).to_dict("records")
    assert (row["case"], row["source"], row["image"]) == ("mr01", "t1", "mr01_t1_to_ct.nii.gz")
    found = volume.read(index.file_of(output, row["image"], row["sha256"]))
    assert volume.same_grid(found, volume.read(translated.root / "mr01_t1.nii.gz"))
    return found.array


def test_a_translation_is_segmented_as_the_real_scan_that_it_is(
    translated: Translated, checkpoint: Path, tmp_path: Path
):
    rows = index.read(translated.scans, index.SCANS)
    real = translated.root / rows[rows["case"] == "ct06"]["image"].iloc[0]
    ((_, expected),) = predict.predict({"ct06": [real]}, [checkpoint], mirroring=False)
    found = segmented(
        translated, checkpoint, tmp_path / "predictions" / "index.csv", "--synthetic", translated.synthetic
    )
    assert 0 < np.count_nonzero(expected.array) < expected.array.size
    np.testing.assert_array_equal(found, expected.array)


def test_the_floor_is_the_source_in_the_units_of_the_target(translated: Translated, checkpoint: Path, tmp_path: Path):
    copied = translated.fake(synthetic=False).scan
    assert copied.array.min() == -1024  # air, outside the body of a T1
    assert copied.array.max() == 240
    volume.write(copied, tmp_path / "copied.nii.gz")
    ((_, expected),) = predict.predict({"copied": [tmp_path / "copied.nii.gz"]}, [checkpoint], mirroring=False)
    found = segmented(translated, checkpoint, tmp_path / "predictions" / "index.csv", "--floor")
    np.testing.assert_array_equal(found, expected.array)


def test_features_are_those_of_the_deepest_stage_on_preprocessed_slices(single: Path, study: Study, checkpoint: Path):
    """Of a training case: nnU-Net's own preprocessed file, whose slices are no larger than a patch."""
    rows = index.read(study.scans, index.SCANS)
    row = rows[rows["case"] == "ct01"].iloc[0]
    backbone = BACKBONES["segmenter"](checkpoint)
    found = backbone(read_picture(study.scans, row, Intensity()))
    (file,) = (path for path in single.parent.rglob("ct01.b2nd"))
    data = torch.from_numpy(np.asarray(blosc2.open(str(file), mode="r")[:], dtype=np.float32))
    predictor = predict.load([checkpoint])
    rows_, columns = predictor.configuration_manager.patch_size
    top, left = ((edge - side) // 2 for edge, side in zip((rows_, columns), data.shape[2:], strict=True))
    padded = torch.zeros(data.shape[1], 1, rows_, columns)
    padded[:, 0, top : top + data.shape[2], left : left + data.shape[3]] = data[0]
    stages: list[torch.Tensor] = []
    predictor.network.encoder.stages[-1].register_forward_hook(lambda *call: stages.append(call[2]))
    with torch.inference_mode():
        predictor.network.eval()(padded)
    assert found.shape == (6, stages[0].shape[1])
    np.testing.assert_allclose(found, stages[0].mean(dim=(2, 3)).numpy(), rtol=1e-3, atol=1e-5)


def test_windows_lie_side_by_side(translated: Translated, checkpoint: Path):
    backbone = BACKBONES["segmenter"](checkpoint)
    real = translated.real()
    wide = Volume(np.tile(real.scan.array, (1, 2, 3)) + np.int16(5000), real.scan.spacing_mm)  # no 0: it is not cropped
    edges = backbone.predictor.configuration_manager.patch_size
    expected = 6 * math.prod(-(-side // edge) for side, edge in zip(wide.array.shape[1:], edges, strict=True))
    assert expected > 12
    assert len(backbone(replace(real, scan=wide))) == expected


def test_equal_scans_have_equal_features(translated: Translated, checkpoint: Path):
    backbone = BACKBONES["segmenter"](checkpoint)
    real, fake, copied = map(backbone, (translated.real(), translated.fake(), translated.fake(synthetic=False)))
    np.testing.assert_array_equal(real, fake)
    assert np.abs(real.mean(axis=0) - copied.mean(axis=0)).max() > 0.01


def test_distance_of_real_scans_translations_and_floor(translated: Translated, checkpoint: Path, tmp_path: Path):
    common = [*translated.arguments, "--seed", 0, "--backbone", "segmenter", "--weights", f"ct={checkpoint}"]
    options = {"targan": ["--synthetic", translated.synthetic], "copy": []}
    for method, own in options.items():
        output = tmp_path / f"{method}.csv"
        call(score_distribution.main, *common, *own, "--method", method, "--output", output)
    output = tmp_path / "distribution.csv"
    call(
        gather.main, *(tmp_path / f"{method}.csv" for method in options), "--table", "distribution", "--output", output
    )
    floor, exact = gather.read_scores(output, TABLES["distribution"]).to_dict("records")
    assert [exact[name] for name in TABLES["distribution"].keys] == ["t1", "ct", "targan", 0, "all", "segmenter", 0]
    assert exact["n_real"] == exact["n_fake"] == 6
    assert exact["features"] == BACKBONES["segmenter"](checkpoint)(translated.real()).shape[1]
    assert exact["fid"] == pytest.approx(0, abs=1e-6)
    assert (floor["method"], floor["fit"]) == ("copy", "")
    assert floor["fid"] > 1e-3
    assert floor["kid"] > exact["kid"]


def test_a_missing_checkpoint_is_one_line(tmp_path: Path):
    with pytest.raises(InputError, match=r"checkpoint_final\.pth: found no such file"):
        BACKBONES["segmenter"](tmp_path / "fold_all" / "checkpoint_final.pth")
