import copy
import math
from pathlib import Path

import pytest
import yaml

from enrich import published
from enrich.config import resolve
from enrich.rows import rows

ROOT = Path(__file__).parents[2]
CHAOS = ROOT / "workflow" / "config" / "chaos.yaml"


def config_of(path):
    return resolve(yaml.safe_load(path.read_text()), path)


def test_there_is_a_protocol_for_every_table():
    assert {table.protocol for table in published.PUBLISHED} == {path.name for path in published.PROTOCOLS}


@pytest.mark.parametrize("path", published.PROTOCOLS, ids=lambda path: path.stem)
def test_a_protocol_is_a_config_with_the_rows_of_its_tables(path):
    config = config_of(path)
    names = {row.name for row in rows(config)} | config["methods"].keys()
    for table in published.PUBLISHED:
        if table.protocol == path.name:
            assert table.rows.keys() <= names
            assert not table.reader or (table.reader, table.structure) == (
                config["data"]["reader"],
                config["target"][0],
            )
            assert table.deviations(config) == []


def test_numbers_of_the_papers():
    (segmentation,) = published.of("segmentation", "chaos", "liver", ["ct"])
    cells = {method: row[2] for method, row in segmentation.rows.items()}
    assert cells["stargan"]["ravd_percent", "t2"] == (15.71, 9.85)
    assert cells["csgan"]["ravd_percent", "ct"] == (4.47, 3.94)
    assert cells["remic"]["dice_percent", "t1"] == (86.33, 8.50)
    (translation,) = published.of("translation", "chaos", "liver", ["ct"])
    mean, std = translation.rows["csgan"][2]["fid", "t2"]
    assert mean == 0.4819
    assert math.isnan(std)
    assert translation.rows["targan"][2]["s_score_percent", "t1"][0] == 65.79
    (quality,) = published.of("translation", "brats", "whole_tumour", ["flair", "t1", "t1ce", "t2"])
    assert quality.rows["tc_mgan_bw"][2]["ssim", "t1ce"] == (0.9399, 0.0319)
    assert quality.rows["pix2pix"][2]["psnr_db", "t1"] == (25.2793, 3.6721)
    (slices,) = published.of("segmentation", "brats", "whole_tumour", ["flair", "t1", "t1ce", "t2"])
    assert slices.rows["oracle"][2]["slice_dice_percent", "t2"] == (81.42, 30.03)


@pytest.mark.parametrize(("reader", "structure"), [("brats", "liver"), ("phantom", "liver"), ("chaos", "spleen")])
def test_other_data_have_no_published_figures(reader, structure):
    assert not published.of("segmentation", reader, structure, ["ct", "t2"])


def test_figures_of_other_data_stand_in_a_sentence_of_the_studies_that_have_their_methods():
    assert published.elsewhere("segmentation", ["single", "csgan"]) == []
    (table,) = published.elsewhere("segmentation", ["single", "csgan", "ada", "targan"])
    assert "Baseline (R) CT 67.8, MR 70.3; ADA (R+S) CT 66, MR 71; CSGAN (R+S) CT 74.4, MR 73.2." in table.sentence()
    (hip,) = published.elsewhere("segmentation", ["cyclegan_gc", "single"])
    assert "pelvis 80.8 ± 3.6" in hip.sentence()


def test_every_deviation_of_protocol_is_named():
    (table,) = published.of("segmentation", "chaos", "liver", ["ct"])
    config = copy.deepcopy(config_of(CHAOS))
    found = table.deviations(config)
    assert found == ["intensity.preset default (paper: paper)", "split.watch 1 (paper: 0)"]
    config["methods"]["targan"] = {"epochs": 5}
    config["image_size"] = 64
    (note,) = table.notes(config)
    assert "image_size 64 (paper: 256)" in note
    assert "methods.targan.epochs 5 (paper: the default)" in note
    assert "image_size" not in str(found)
