"""A finished run in miniature: real files in the tree of results, made by the project's own programs where cheap."""

import base64
import io
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from enrich import controls, index, phantom, splits, volume
from enrich.axial import to_axial
from enrich.config import resolve
from enrich.datasets import scans as read_scans
from enrich.intensity import Intensity, denormalize
from enrich.prepare import select
from enrich.report import __main__ as report
from enrich.rows import rows
from enrich.score import score
from enrich.tables import comparisons, segmentation
from gan.files import publish_json, seal, sha256
from tests.enrich.prepared import write_scans

TERMS = {"critic": ["adversarial", "penalty"], "generator": ["adversarial", "cycle"]}
NNUNET_LOG = """
2026-11-20 10:00:00.000001: Epoch {epoch}
2026-11-20 10:00:01.000001: train_loss {loss:.4f}
2026-11-20 10:00:01.000002: val_loss {watched:.4f}
2026-11-20 10:00:01.000003: Pseudo dice [np.float32({dice:.4f})]
"""
PUBLISHED = "Published (Chen et al. 2021, Table 2)"
AUDIT = {
    "passed": True,
    "checks": [
        {
            "name": "test patients",
            "proves": "No test patient is in any GAN or segmenter.",
            "examined": 42,
            "passed": True,
            "found": [],
        },
    ],
    "files": {"scans.csv": "0" * 64},
}


def config_of(layout, drawn, **keys):
    """Return a resolved config of two translators and three controls, on a phantom of settings `drawn`."""
    data = {"reader": layout, "phantom": drawn} | ({"release": "2021"} if layout == "brats" else {})
    own = {
        "data": data,
        "modalities": ["ct", "t1", "t2"] if layout == "chaos" else ["t1", "t2"],
        "target": "liver" if layout == "chaos" else "whole_tumour",
        "methods": {"stargan": {}, "targan": {}},
        "controls": ["single", "zero", "copy"],
        "seeds": [0, 1],
    }
    return resolve(own | keys, Path("small.yaml"))


def build(root, layout="chaos", patients=4, size=64, slices=10, outer=0, **keys):
    """Write the tree of run `small` under `root`; return the arguments of `python -m enrich.report`."""
    settings = {"slices": slices, "size": size, "seed": 0}
    counts = {"ct_patients": patients, "mr_patients": patients} if layout == "chaos" else {"patients": patients}
    phantom.write(layout, phantom.parse(layout, settings | counts), root / "raw" / "phantom.json")
    config = config_of(layout, settings | counts, outer_folds=outer, **keys)
    run = root / "results" / "small"
    scans = list(read_scans(layout, root / "raw", release=config["data"]["release"]))
    write_scans(select(scans, config["modalities"], root), run / "scans.csv", *config["target"])
    folders = [run / f"outer{number}" for number in range(outer)] or [run]
    made = [_split(folder, run / "scans.csv", config, number) for number, folder in enumerate(folders)]
    shared = [_control(run / "synthetic" / kind, run / "scans.csv", config) for kind in config["controls"][1:]]
    scores = pd.concat([table for each in made for table in each["scores"]])
    (run / "scores").mkdir()
    index.write(scores, run / "scores" / "segmentation.csv")
    _tables(run, config)
    publish_json(run / "audit.json", AUDIT)
    return [
        *("--config-json", json.dumps(config)),
        *("--scans", str(run / "scans.csv")),
        *("--splits", *(str(folder / "splits.json") for folder in folders)),
        *("--scores", str(run / "scores" / "segmentation.csv")),
        *("--tables", str(run / "tables" / "segmentation.md")),
        *("--comparisons", str(run / "tables" / "comparisons.csv")),
        *("--audit", str(run / "audit.json")),
        *("--figures", str(_figure(run / "figures" / "label_budget.png"))),
        *("--synthetic", *(text for each in made for text in each["synthetic"])),
        *("--channels", *shared, *(text for each in made for text in each["synthetic"])),
        *("--predictions", *(text for each in made for text in each["predictions"])),
        *("--models", *(text for each in made for text in each["models"])),
        *("--output", str(run / "report" / "index.html")),
    ]


def write_report(arguments):
    """Run `python -m enrich.report`; return the page's path."""
    with mock.patch.object(sys, "argv", ["report", *arguments]):
        report.main()
    return Path(arguments[-1])


def _split(folder, scans_csv, config, number):
    folder.mkdir(parents=True, exist_ok=True)
    design = splits.Design(**{key: config[key] for key in ("split", "outer_folds")})
    who = splits.split_scans(index.read(scans_csv, index.SCANS), design, number)
    publish_json(folder / "splits.json", asdict(who))
    synthetic, predictions, models, scores = [], [], [], []
    for k, name in enumerate(config["methods"]):
        synthetic.append(f"{name}={_translate(folder, scans_csv, name, k, config['modalities'])}")
        models.append(_train(folder / "gan" / name / "all" / "seed0"))
    for k, row in enumerate(rows(config)):
        for modality in config["modalities"]:
            for seed in config["seeds"]:
                home = folder / "nnunet" / modality / row.channels(seed) / f"seed{seed}"
                path = _segment(home, scans_csv, who.test, modality, errors=len(rows(config)) - k, seed=seed)
                told = {"modality": modality, "method": row.name, "seed": seed, "structure": config["target"][0]}
                scores.append(score(scans_csv, path, told))
                if seed == 0:
                    predictions.append(f"{row.name}/{modality}={path}")
                    _log_nnunet(home)
    return {"synthetic": synthetic, "predictions": predictions, "models": models, "scores": scores}


def _control(home, scans_csv, config):
    home.mkdir(parents=True)
    rows = controls.write_control(home.name, scans_csv, config["modalities"], home, home)
    index.write(rows, home / "index.csv")
    return f"{home.name}={home / 'index.csv'}"


def _translate(folder, scans_csv, name, k, modalities):
    """Turn the grey values round: a translation by arithmetic."""
    home, made = folder / "synthetic" / name / "seed0", []
    home.mkdir(parents=True)
    for _, row in index.read(scans_csv, index.SCANS).iterrows():
        scan = volume.read(scans_csv.parent / row["image"])
        axial, body = to_axial(scan, row, Intensity(), scans_csv)
        for target in modalities:
            if target == row["modality"]:
                continue
            images = ndimage.gaussian_filter(np.where(body, (k - 0.5) * 2 * axial.array, -1), (0, 1, 1))
            stored = axial.with_array(denormalize(images, target, Intensity()))
            path = home / f"{row['case']}_{row['modality']}_to_{target}.nii.gz"
            volume.write(volume.reorient(stored, scan.orientation), path)
            made.append((row["case"], row["modality"], target, path.name, sha256(path), "all"))
    index.write(pd.DataFrame(made, columns=[*index.SYNTHETIC, "fit"]), home / "index.csv")
    return home / "index.csv"


def _train(folder):
    folder.mkdir(parents=True)
    generator = np.random.default_rng(len(str(folder)))
    lines = ["round,player,term,value"]
    for number in range(1, 301):
        for player, terms in TERMS.items():
            lines += [f"{number},{player},{term},{generator.normal() + 100 / number:.4g}" for term in terms]
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    seal(folder / "log.csv")
    (folder / "model.pt").touch()
    return str(folder / "model.pt")


def _segment(home, scans_csv, test, modality, errors, seed):
    """Shift the reference by some voxels and cut holes into it; the first test patient's is once empty."""
    folder = home / "predictions"
    folder.mkdir(parents=True)
    scans = index.read(scans_csv, index.SCANS)
    made = []
    for k, (_, row) in enumerate(scans[scans["patient"].isin(test) & (scans["modality"] == modality)].iterrows()):
        generator = np.random.default_rng([errors, k])
        label = volume.read(scans_csv.parent / row["label"])
        shift = errors * (0.2 + generator.uniform(0, 0.6))
        mask = ndimage.shift(label.array.astype(float), (0, shift, -shift / 2), order=1) > 0.5
        if (k, errors, seed) == (0, 2, 1):
            mask[:] = False
        path = folder / f"{row['case']}.nii.gz"
        volume.write(label.with_array(mask.astype(np.uint8)), path)
        made.append((row["case"], path.name, sha256(path)))
    index.write(pd.DataFrame(made, columns=index.PREDICTIONS), folder / "index.csv")
    return folder / "index.csv"


def _log_nnunet(home):
    folder = home / "results" / "Dataset001_enriched" / "nnUNetTrainer__nnUNetPlans__2d" / "fold_all"
    folder.mkdir(parents=True)
    epochs = range(20)
    text = [NNUNET_LOG.format(epoch=k, loss=-k / 25, watched=-k / 30, dice=1 - 1 / (k + 1)) for k in epochs]
    (folder / "training_log_2026_11_20_10_00_00.txt").write_text("".join(text))


def _figure(path):
    path.parent.mkdir()
    Image.new("RGB", (1400, 500), "white").save(path)
    seal(path)
    return path


def _tables(run, config):
    told = ["--config-json", json.dumps(config), "--scores", str(run / "scores" / "segmentation.csv")]
    compared = str(run / "tables" / "comparisons.csv")
    with mock.patch.object(sys, "argv", ["comparisons", *told, "--output", compared]):
        comparisons.main()
    shown = ["--comparisons", compared, "--output", str(run / "tables" / "segmentation.csv")]
    with mock.patch.object(sys, "argv", ["segmentation", *told, *shown]):
        segmentation.main()
    printed = run / "tables" / "segmentation.md"
    header, rules, *rest = printed.read_text().split("\n")
    end = rest.index("")
    count = header.count("|") - 1
    cells = [" 97.06 ± 0.62 ", *[" – "] * (count - 3)]
    published = [f"| *{PUBLISHED}* {'| ' * count}", f"| TarGAN | all modalities |{'|'.join(cells)}|"]
    printed.write_text("\n".join([header, rules, *rest[:end], *published, *rest[end:]]))
    seal(printed)


def pixels(uri):
    """Return a picture of the page as an array."""
    kind, _, content = uri.partition(";base64,")
    assert kind == "data:image/webp"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))


if __name__ == "__main__":  # a report to look at: python -m tests.enrich.report.run_tree FOLDER [layout] [patients]
    os.environ["OMP_NUM_THREADS"] = "1"
    layout = sys.argv[2] if len(sys.argv) > 2 else "chaos"
    count = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    given = build(Path(sys.argv[1]), layout, count)
    print(write_report(given))  # noqa: T201
