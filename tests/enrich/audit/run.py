"""A small run from phantoms to scores, by the programs that the rules run.

Nothing is segmented, some networks are not trained and their records stand for them.
"""

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
from enrich.nnunet.checkpoint import KEYS
from gan import train as gan_train
from gan.files import seal, sha256
from tests.enrich.nnunet.study import call

CONFIG = {
    "run": "tiny",
    "data": {"reader": "chaos", "phantom": {"ct_patients": 5, "mr_patients": 5, "slices": 8, "size": 64}},
    "modalities": ["ct", "t1"],
    "target": "liver",
    "structures": ["liver"],
    "split": {"train": 0.8, "watch": 1, "seed": 0},
    "image_size": 64,
    "crossfit": 2,
    "crossfit_test": "mean",
    "methods": {
        "stargan": {"width": 4, "batch_size": 2, "rounds": 2},
        "segan": {"width": 4, "batch_size": 2, "rounds": 1},
    },
    "compositions": {"ada": {"translator": "stargan", "use": "cases"}},
    "controls": ["single"],
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
    reader += ["--segment", "liver"]
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
    for test in ("all", "fold"):
        output = synthetic.parent.with_name(f"seed0-test-{test}") / "index.csv"
        call(synthesize.main, *both, *made, "--test", test, "--test-only", "--output", output)
    for modality in ("ct", "t1"):
        further = root / "cases" / "stargan" / modality / "seed0" / "index.csv"
        call(cases.main, *both, *made, "--modality", modality, "--output", further)
        for method, channels, added in (
            ("single", "single", []),
            ("stargan", "stargan-seed0", ["--synthetic", synthetic]),
            ("ada", "stargan-cases-seed0", ["--cases", further]),
        ):
            write_dataset(root, modality, channels, *added)
            folder = root / "nnunet" / modality / channels
            train = train_nnunet if method == "single" or (method, modality) == ("ada", "ct") else stand_for_nnunet
            train(folder, tunes=method == "ada")
            write_scores(root, modality, folder / "seed0", method, folder / "seed0" / CHECKPOINT, folder / RAW)
        enriched = root / "enriched" / modality / "single" / "index.csv"
        call(enriched_slices.main, *both, "--modality", modality, *modalities, *sliced, "--output", enriched)
        segmenter = root / "segmenters" / "segan" / modality / "single" / "seed0"
        train_method(enriched.parent, "segan", segmenter)
        write_scores(root, modality, segmenter, "segan", segmenter / "model.pt")
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
    names = ["--modalities", "ct", "t1"]
    call(dataset.main, *given, *names, *more, "--output", root / "nnunet" / modality / channels / RAW)


def preprocess_nnunet(folder: Path, tunes: bool) -> None:
    plans = ["--plans-of", folder.with_name("single") / PREPROCESSED] if tunes else []
    common = ["--configuration", "2d", "--foreground-samples", 10_000]
    call(preprocess.main, "--dataset", folder / RAW, *common, *plans, "--output", folder / PREPROCESSED)


def train_nnunet(folder: Path, tunes: bool) -> None:
    from enrich.nnunet import train

    preprocess_nnunet(folder, tunes)
    lengths = ["--epochs", 1, "--iterations", 1, "--validation-iterations", 1, "--augmentation-workers", 0]
    start = ["--pretrained", folder.with_name("single") / "seed0" / CHECKPOINT] if tunes else []
    results = folder / "seed0" / "results"
    call(train.main, "--preprocessed", folder / PREPROCESSED, "--results", results, *lengths, *start)


def stand_for_nnunet(folder: Path, tunes: bool) -> None:
    """Write what a training records, without a network."""
    preprocess_nnunet(folder, tunes)
    start = sha256(folder.with_name("single") / "seed0" / CHECKPOINT) if tunes else None
    settings = {"seed": 0, "preprocessed_sha256": sha256(folder / PREPROCESSED), "pretrained_sha256": start}
    path = folder / "seed0" / CHECKPOINT
    path.parent.mkdir(parents=True)
    arguments = {"settings": settings, "dataset_json": json.loads((folder / RAW).read_text())}
    torch.save(dict.fromkeys(KEYS) | {"init_args": arguments}, path)
    seal(path)


def tests_of(root: Path) -> list[dict]:
    scans = index.read(root / "scans.csv", index.SCANS)
    return scans[scans["patient"].isin(splits.read(root / "splits.json").test)].to_dict("records")


def write_scores(root: Path, modality: str, folder: Path, method: str, network: Path, *inputs: Path) -> None:
    """Stand for a segmenter that is always right, and score it."""
    rows = []
    for row in (row for row in tests_of(root) if row["modality"] == modality):
        path = folder / "predictions" / f"{row['case']}.nii.gz"
        volume.write(volume.read(root / row["label"]), path)
        rows.append({"case": row["case"], "image": path.name, "sha256": sha256(path)})
    index.write_made_by(folder / "predictions", [network], inputs)
    index.write(pd.DataFrame(rows), folder / "predictions" / "index.csv")
    what = ["--method", method, "--modality", modality, "--seed", 0]
    files = ["--scans", root / "scans.csv", "--predictions", folder / "predictions" / "index.csv"]
    own = ["--structures", "liver"] if method == "segan" else []
    call(score.main, *files, *what, *own, "--output", folder / "scores.csv")


def write_translations(root: Path, intensity: str) -> None:
    """Score the translations by every kind of models, their floor and their ceiling."""
    both = ["--scans", root / "scans.csv", "--splits", root / "splits.json", "--intensity", intensity]
    single = {modality: root / "nnunet" / modality / "single/seed0" for modality in ("ct", "t1")}
    features = [f"{modality}={folder / CHECKPOINT}" for modality, folder in single.items()]
    for name, folder, synthetic in (
        ("stargan", "stargan/seed0/all", root / "synthetic/stargan/seed0-test-all/index.csv"),
        ("stargan", "stargan/seed0/fold", root / "synthetic/stargan/seed0-test-fold/index.csv"),
        ("stargan", "stargan/seed0/mean", root / INDEX),
        ("copy", "copy/seed0", None),
        ("real", "real/seed0", None),
    ):
        output, segmented = root / "translations" / folder, root / "nnunet/{}/single/seed0/predictions"
        what = [*both, *(["--synthetic", synthetic] if synthetic else []), "--method", name, "--seed", 0]
        if name != "real":
            segmented = output / "{}"
            for modality in single:
                found = Path(str(segmented).format(modality))
                segment_translations(root, found, modality, single[modality] / CHECKPOINT, synthetic)
            weights = ["--backbone", "segmenter", "--weights", *features]
            call(score_distribution.main, *what, *weights, "--output", output / "distances.csv")
        predictions = [f"{modality}={str(segmented).format(modality)}/index.csv" for modality in single]
        call(score_translation.main, *what, "--predictions", *predictions, "--output", output / "scores.csv")
    for table, file in (("translation", "scores.csv"), ("distribution", "distances.csv")):
        paths = sorted((root / "translations").rglob(file))
        call(gather.main, *paths, "--table", table, "--output", root / "scores" / f"{table}.csv")


def segment_translations(root: Path, folder: Path, modality: str, network: Path, synthetic: Path | None) -> None:
    """Stand for Single, which finds in every translation to a modality what the source shows."""
    folder.mkdir(parents=True)
    rows = []
    for row in (row for row in tests_of(root) if row["modality"] != modality):
        path = folder / f"{row['case']}_{row['modality']}_to_{modality}.nii.gz"
        volume.write(volume.read(root / row["label"]), path)
        rows.append((row["case"], row["modality"], path.name, sha256(path)))
    index.write_made_by(folder, [network], [synthetic] if synthetic else [])
    index.write(pd.DataFrame(rows, columns=index.SEGMENTED), folder / "index.csv")
