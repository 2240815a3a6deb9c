"""A small run, really made, from phantoms to scores, by the programs that the rules run."""

import json
from pathlib import Path

import pandas as pd
import torch

from enrich import (
    cases,
    config,
    enriched_slices,
    gather,
    index,
    phantom,
    prepare,
    score,
    score_distribution,
    score_translation,
    slices,
    splits,
    synthesize,
    volume,
)
from enrich.nnunet import dataset, preprocess
from gan import train as gan_train
from gan.files import sha256
from tests.enrich.nnunet.study import call

CONFIG = {
    "run": "tiny",
    "data": {"reader": "chaos", "phantom": {"ct_patients": 5, "mr_patients": 5, "slices": 8, "size": 64}},
    "modalities": ["ct", "t1"],
    "target": "liver",
    "split": {"train": 0.8, "watch": 1, "seed": 0},
    "image_size": 64,
    "crossfit": 2,
    "crossfit_test": "mean",
    "methods": {
        "stargan": {"width": 4, "batch_size": 2, "rounds": 2},
        "segan": {"width": 4, "batch_size": 2, "rounds": 1},
    },
    "compositions": {"ada": {"translator": "stargan", "use": "cases"}},
    "label_fractions": [0.5],
    "synthetic_fractions": [0.5],
    "nnunet": {"configuration": "2d", "folds": ["all"]},
}
RAW = "raw/Dataset001_enriched/dataset.json"
PREPROCESSED = "preprocessed/Dataset001_enriched/preprocessed.json"
CHECKPOINT = "results/Dataset001_enriched/nnUNetTrainer__nnUNetPlans__2d/fold_all/checkpoint_final.pth"
MODEL = "gan/stargan/all/seed0/model.pt"
FOLD0 = "gan/stargan/all/seed0/fold0/model.pt"
INDEX = "synthetic/stargan/seed0/index.csv"
DATASET = f"nnunet/ct/stargan-seed0/{RAW}"
SINGLE = f"nnunet/ct/single/{RAW}"


def make(root: Path) -> Path:
    torch.set_num_threads(1)
    resolved = config.resolve(CONFIG, Path("tiny.yaml"))
    root.mkdir(parents=True)
    config.record(resolved, root)
    intensity, design = (json.dumps(found) for found in (resolved["intensity"], design_of(resolved)))
    marker, scans, who = root / "raw" / "phantom.json", root / "scans.csv", root / "splits.json"
    settings = json.dumps(CONFIG["data"]["phantom"])
    call(phantom.main, "--layout", "chaos", "--settings", settings, "--output", marker)
    reader = ["--reader", "chaos", "--folder", marker.parent, "--modalities", "ct", "t1", "--target", "liver"]
    call(prepare.main, *reader, "--output", scans)
    call(splits.main, "--scans", scans, "--design", design, "--output", who)
    sliced = ["--image-size", 64, "--intensity", intensity]
    both = ["--scans", scans, "--splits", who]
    modalities = ["--modalities", "ct", "t1"]
    call(slices.main, *both, *modalities, *sliced, "--output", root / "slices" / "index.csv")
    fits = []
    for fit, held_out in (("all", []), ("fold0", ["--held-out", 0]), ("fold1", ["--held-out", 1])):
        folder = root / "gan" / "stargan" / "all" / "seed0" / ("" if fit == "all" else fit)
        train_method(root / "slices", "stargan", folder, *held_out)
        fits += ["--fit", fit, folder / "model.pt"]
    synthetic = root / "synthetic" / "stargan" / "seed0" / "index.csv"
    made = ["--intensity", intensity, *fits]
    call(synthesize.main, *both, *made, "--test", "mean", "--output", synthetic)
    test = synthetic.parent.with_name("seed0-test-all") / "index.csv"
    call(synthesize.main, *both, *made, "--test", "all", "--test-only", "--output", test)
    further = root / "cases" / "stargan" / "ct" / "seed0" / "index.csv"
    call(cases.main, *both, *made, "--modality", "ct", "--output", further)
    for modality, channels, added in (
        ("ct", "single", []),
        ("ct", "stargan-seed0", ["--synthetic", synthetic]),
        ("ct", "stargan-cases-seed0", ["--cases", further]),
        ("t1", "single", []),
    ):
        write_dataset(root, modality, channels, *added)
    for channels in ("single", "stargan-cases-seed0"):
        train_nnunet(root / "nnunet" / "ct" / channels, tunes=channels != "single")
    train_nnunet(root / "nnunet" / "t1" / "single", tunes=False)
    for modality in ("ct", "t1"):
        enriched = root / "enriched" / modality / "single" / "index.csv"
        call(enriched_slices.main, *both, "--modality", modality, *modalities, *sliced, "--output", enriched)
        segmenter = root / "segmenters" / "segan" / modality / "single" / "seed0"
        train_method(enriched.parent, "segan", segmenter)
        write_scores(root, modality, segmenter, "segan", segmenter / "model.pt")
        single = root / "nnunet" / modality / "single"
        write_scores(root, modality, single / "seed0", "single", single / "seed0" / CHECKPOINT, single / RAW)
    paths = sorted(root.glob("*/**/scores.csv"))
    call(gather.main, *paths, "--output", root / "scores" / "segmentation.csv")
    write_translations(root, intensity)
    for best in root.rglob("checkpoint_best.pth"):  # large, and nothing reads it
        best.unlink()
    return root


def design_of(resolved: dict) -> dict:
    return {key: resolved[key] for key in ("split", "outer_folds", "crossfit", "gan_patients")}


def train_method(cache: Path, method: str, folder: Path, *more: object) -> None:
    settings = ["--slices", cache, "--method", method, "--settings", json.dumps(CONFIG["methods"][method])]
    call(gan_train.main, *settings, "--seed", 0, *more, "--output", folder)


def write_dataset(root: Path, modality: str, channels: str, *more: object) -> None:
    given = ["--scans", root / "scans.csv", "--splits", root / "splits.json", "--modality", modality]
    names = ["--modalities", "ct", "t1", "--target", "liver"]
    call(dataset.main, *given, *names, *more, "--output", root / "nnunet" / modality / channels / RAW)


def train_nnunet(folder: Path, tunes: bool) -> None:
    from enrich.nnunet import train

    single = folder.with_name("single")
    plans = ["--plans-of", single / PREPROCESSED] if tunes else []
    common = ["--configuration", "2d", "--foreground-samples", 10_000]
    call(preprocess.main, "--dataset", folder / RAW, *common, *plans, "--output", folder / PREPROCESSED)
    lengths = ["--epochs", 1, "--iterations", 1, "--validation-iterations", 1, "--augmentation-workers", 0]
    start = ["--pretrained", single / "seed0" / CHECKPOINT] if tunes else []
    results = folder / "seed0" / "results"
    call(train.main, "--preprocessed", folder / PREPROCESSED, "--results", results, *lengths, *start)


def write_scores(root: Path, modality: str, folder: Path, method: str, network: Path, *inputs: Path) -> None:
    """Stand for a segmenter that is always right, and score it."""
    scans = index.read(root / "scans.csv", index.SCANS)
    test = splits.read(root / "splits.json").test
    rows = []
    for row in scans[(scans["modality"] == modality) & scans["patient"].isin(test)].to_dict("records"):
        path = folder / "predictions" / f"{row['case']}.nii.gz"
        volume.write(volume.read(root / row["label"]), path)
        rows.append({"case": row["case"], "image": path.name, "sha256": sha256(path)})
    index.write_made_by(folder / "predictions", [network], inputs)
    index.write(pd.DataFrame(rows), folder / "predictions" / "index.csv")
    what = ["--method", method, "--modality", modality, "--seed", 0, "--structure", "liver"]
    files = ["--scans", root / "scans.csv", "--predictions", folder / "predictions" / "index.csv"]
    call(score.main, *files, *what, "--output", folder / "scores.csv")


def write_translations(root: Path, intensity: str) -> None:
    """Segment and score the translations to CT by the mean of the folds, and their floor; score the ceiling."""
    from enrich.nnunet import predict_translations

    both = ["--scans", root / "scans.csv", "--splits", root / "splits.json", "--intensity", intensity]
    single = root / "nnunet/ct/single/seed0"
    for name, folder, made in (
        ("stargan", "stargan/seed0/mean", ["--synthetic", root / INDEX]),
        ("copy", "copy/seed0", ["--floor"]),
        ("real", "real/seed0", []),
    ):
        output, segmented = root / "translations" / folder, single / "predictions/index.csv"
        translated = made if name == "stargan" else []
        what = [*both, *translated, "--method", name, "--seed", 0]
        if made:
            segmented = output / "ct/index.csv"
            network = ["--modality", "ct", "--checkpoints", single / CHECKPOINT, "--no-mirroring"]
            call(predict_translations.main, *both, *made, *network, "--output", segmented)
            features = ["--backbone", "segmenter", "--weights", f"ct={single / CHECKPOINT}"]
            call(score_distribution.main, *what, *features, "--output", output / "distances.csv")
        call(score_translation.main, *what, "--predictions", f"ct={segmented}", "--output", output / "scores.csv")
    for table, file in (("translation", "scores.csv"), ("distribution", "distances.csv")):
        paths = sorted((root / "translations").rglob(file))
        call(gather.main, *paths, "--table", table, "--output", root / "scores" / f"{table}.csv")
