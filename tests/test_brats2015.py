"""The paired run on six real patients, from raw scans to the table; training is cut to almost nothing."""

import pandas as pd
import yaml

from tests.real import real
from tests.test_workflow import copy_project, snakemake


def test_real_scans_become_a_table(tmp_path):
    folder = real("brats2015_six")
    copy_project(tmp_path)
    config = yaml.safe_load((tmp_path / "workflow/config/brats2015.yaml").read_text())
    config["data"]["folder"] = str(folder)
    config["controls"] = ["single"]
    small = {"width": 4, "batch_size": 2, "rounds": 5}
    paired = config["methods"]["tc_mgan"] | small | {"segmentor": small}
    config["methods"] = {"tc_mgan": paired}
    tiny = {"configuration": "3d_fullres", "gpu_memory_gb": 0.2, "spacing_mm": [4, 4, 4]}
    config["nnunet"] |= tiny | {"epochs": 1, "iterations": 1}
    done = snakemake(tmp_path, "results/brats2015/tables/segmentation.md", config=config)
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]

    results = tmp_path / "results" / "brats2015"
    scans = pd.read_csv(results / "scans.csv")
    assert len(scans) == 12
    assert scans["target_ml"].between(60, 220).all()
    scores = pd.read_csv(results / "scores" / "segmentation.csv")
    assert set(scores["patient"]) == {"brats_2013_pat0001", "brats_2013_pat0002"}
    assert set(zip(scores["modality"], scores["method"], strict=True)) == {
        (modality, method) for modality in ("flair", "t1ce") for method in ("single", "tc_mgan")
    }
    assert scores["dice_percent"].notna().all()
    assert "FLAIR" in (results / "tables" / "segmentation.md").read_text()
