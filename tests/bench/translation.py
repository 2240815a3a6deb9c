"""How well each method translates where the truth is known: `python -m tests.bench.translation --output FOLDER`.

Procedural heads in BraTS's layout, prepared, split, sliced, translated and segmented by the pipeline's own programs.
Every method translates the same number of training slices in every direction, from one modality to another: what a
method asks for in the slice's own modality does not count. What is finished in FOLDER is not done again, so that
`--methods` may be run a few at a time; the table (translation.md), all scores (scores.csv) and a test slice through all
methods (translation.png) are made in the end of whatever is there.
"""

import argparse
import json
import subprocess
import sys
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from monai.losses import DiceCELoss
from monai.networks.nets import UNet
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from enrich import index, splits, volume
from enrich.axial import AXIAL, to_axial
from enrich.intensity import Intensity, stored_as_images
from enrich.metrics.segmentation import dice_percent
from gan.batch import Draw, Slices
from gan.cost import cost
from gan.files import publish
from gan.methods import METHODS
from gan.settings import resolve

MODALITIES = ["t2", "flair"]
SIZE = 64
PHANTOM = {"patients": 40, "slices": 24, "size": SIZE}
SPLIT = {"train": 0.75, "watch": 1, "seed": 0}
TARGET = "whole_tumour"
INTENSITY = Intensity()

SHOWN = 3000  # slices of each direction, to be translated to the other modality
FASTER = 4  # times the published learning rates, for a training so short
COMMON: dict[str, Any] = {"width": 16, "batch_size": 4, "log_every": 25, "samples_every": 10**9}
SMALLER = {"downs": 6}  # for 64 pixels
OWN: dict[str, dict[str, Any]] = {
    "csgan": {"dimensions": 2},
    "pix2pix": SMALLER,
    "mgan": SMALLER,
    "tc_mgan": SMALLER | {"segmentor_width": 16},
    "tc_mgan_bw": SMALLER | {"segmentor_width": 16},
}
AVERAGE = 0.98  # decay of the moving average, of those methods that have one

TRANSLATORS = [name for name, kind in METHODS.items() if kind.translates]

COPY, REAL = "source copied", "real target"
COLUMNS = {
    "psnr": "PSNR, dB",
    "psnr_body": "PSNR in the body, dB",
    "ssim": "SSIM",
    "ssim_body": "SSIM in the body",
    "s_score": "S-score, %",
}

Array = NDArray[np.float32]


class Scan(NamedTuple):
    """A test patient's scan: images (Z, Y, X) in [-1, 1], body and target (Z, Y, X)."""

    images: Array
    body: NDArray[np.bool_]
    target: NDArray[np.bool_]


def directions() -> list[tuple[str, str]]:
    """Return every (source, target)."""
    return list(permutations(MODALITIES, 2))


def run(module: str, *arguments: object, **options: object) -> None:
    """Run one of the pipeline's programs."""
    call = [sys.executable, "-m", module, *map(str, arguments)]
    for name, value in options.items():
        values = value if isinstance(value, list | tuple) else [value]
        call += [f"--{name.replace('_', '-')}", *map(str, values)]
    subprocess.run(call, check=True)


def write_data(folder: Path) -> None:
    """Write scans.csv, splits.json and slices; test.csv, the test patients' rows of scans.csv, stands for them all."""
    scans, split, test = folder / "scans.csv", folder / "splits.json", folder / "test.csv"
    if test.exists():
        return
    intensity = json.dumps(INTENSITY.__dict__)
    run("enrich.phantom", layout="brats", settings=json.dumps(PHANTOM), output=folder / "raw/phantom.json")
    known = {"reader": "brats", "release": "2021", "modalities": MODALITIES, "target": TARGET}
    run("enrich.prepare", **known, folder=folder / "raw", output=scans)
    run("enrich.splits", scans=scans, design=json.dumps({"split": SPLIT}), output=split)
    grid = {"modalities": MODALITIES, "image_size": SIZE, "intensity": intensity}
    run("enrich.slices", **grid, scans=scans, splits=split, output=folder / "slices/index.csv")
    rows = index.read(scans, index.SCANS)
    index.write(rows[rows["patient"].isin(splits.read(split).test)], test)


def read_tests(folder: Path) -> dict[tuple[str, str], Scan]:
    """Return the test scans by (case, modality)."""
    scans = {}
    for _, row in index.read(folder / "test.csv", index.SCANS).iterrows():
        path = folder / row["image"]
        axial, body = to_axial(volume.read(path), row, INTENSITY, path)
        target = volume.reorient(volume.read(folder / row["label"]), AXIAL).array > 0
        scans[row["case"], row["modality"]] = Scan(axial.array, body, target)
    return scans


def rounds(name: str, directions: int, modalities: int) -> int:
    """Return the rounds of a training in which every one of `directions` between `modalities` is shown its slices."""
    size = COMMON["batch_size"]
    moved = 1.0
    if METHODS[name].draw is Draw.ANY:  # a permutation of the batch's modalities, which leaves some as they are
        moved = (1 - 1 / size) * (1 - 1 / modalities)
    return round(SHOWN * directions / moved / size)


def entry(name: str, directions: int, modalities: int) -> dict[str, Any]:
    """Return the settings of one of a method's trainings, as a config would give them."""
    paper = METHODS[name].paper
    rates = {key: FASTER * value for key, value in vars(paper).items() if key.endswith("learning_rate")}
    average = {"ema_decay": AVERAGE} if paper.ema_decay else {}
    settings = COMMON | rates | average | OWN.get(name, {})
    length = rounds(name, directions, modalities)
    return settings | {"rounds": length, "checkpoint_every": length}


def train(name: str, folder: Path) -> list[Path]:
    """Train a method for every direction; return its models."""
    scope, models = METHODS[name].scope, []
    for training, modalities in scope.trainings(MODALITIES).items():
        size = (len(scope.directions(modalities)), len(modalities))
        output = folder / "gan" / name / training
        models.append(output / "model.pt")
        if models[-1].exists():
            continue
        known = {"slices": folder / "slices", "modalities": modalities}
        start = []
        for network, other in METHODS[name].pretrained.items():
            settings = json.dumps(entry(other, *size))
            run("gan.train", **known, method=other, settings=settings, output=output / network)
            start.append(f"{network}={output / network / 'model.pt'}")
        more = {"pretrained": start} if start else {}
        settings = json.dumps(entry(name, *size))
        run("gan.train", **known, **more, method=name, settings=settings, output=output)
    return models


def synthesize(name: str, folder: Path) -> None:
    """Translate the test scans and, with a method that segments, segment the real ones."""
    models, known = train(name, folder), {"intensity": json.dumps(INTENSITY.__dict__)}
    known |= {"splits": folder / "splits.json"}
    output = folder / "synthetic" / name / "index.csv"
    if METHODS[name].translates and not output.exists():
        run("enrich.synthesize", **known, fit=["all", *models], scans=folder / "test.csv", output=output)
    for modality in MODALITIES if METHODS[name].segments else ():
        output = folder / "segmented" / name / modality / "index.csv"
        if not output.exists():
            known |= {"scans": folder / "scans.csv", "modalities": MODALITIES}
            run("enrich.segment", **known, models=models, modality=modality, output=output)


def translations(name: str, folder: Path, tests: dict[tuple[str, str], Scan]) -> dict[tuple[str, str, str], Array]:
    """Return what a row of the table puts in the place of the real scan: (case, source, target) to images."""
    cases = sorted({case for case, _ in tests})
    if name in (COPY, REAL):
        place = {COPY: 0, REAL: 1}[name]
        return {(case, *way): tests[case, way[place]].images for case in cases for way in directions()}
    found = folder / "synthetic" / name / "index.csv"
    rows = index.read(found, index.SYNTHETIC)
    return {
        (row["case"], row["source"], row["target"]): stored_as_images(
            volume.reorient(volume.read(found.parent / row["image"]), AXIAL).array, row["target"], INTENSITY
        )
        for _, row in rows.iterrows()
    }


def segmenter(modality: str, folder: Path) -> UNet:
    """Return a small U-Net that segments the target in a modality, trained on its real slices."""
    path = folder / "segmenters" / f"{modality}.pt"
    torch.manual_seed(0)
    network = UNet(2, 1, 1, channels=(16, 32, 64, 128), strides=(2, 2, 2), num_res_units=1)
    if path.exists():
        network.load_state_dict(torch.load(path, weights_only=True))
        return network.eval()
    slices = Slices(folder / "slices", [modality])
    optimizer, loss_of = torch.optim.Adam(network.parameters(), 2e-3), DiceCELoss(sigmoid=True, batch=True)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, total_iters=1200)
    for k in range(1200):
        batch = slices.batch(k, 16, seed=0)
        optimizer.zero_grad()
        loss_of(network(batch.image), batch.target_mask).backward()
        optimizer.step()
        falling.step()
    path.parent.mkdir(exist_ok=True)
    torch.save(network.state_dict(), path)
    return network.eval()


def segment(network: UNet, images: Array) -> NDArray[np.bool_]:
    """Return where the target is at least as probable as not, (Z, Y, X)."""
    with torch.inference_mode():
        return (network(torch.from_numpy(images)[:, None])[:, 0] >= 0).numpy()


def score(made: Array, truth: Scan, network: UNet) -> dict[str, float]:
    """Return the scores of one translated volume, in [-1, 1] (data range 2), over the slices that show the body."""
    shown = truth.body.any(axis=(1, 2))
    a, b, body = made[shown], truth.images[shown], truth.body[shown]
    squares = (a - b) ** 2
    pairs = [structural_similarity(x, y, data_range=2, full=True) for x, y in zip(a, b, strict=True)]
    with np.errstate(divide="ignore"):
        return {
            "psnr": 10 * np.log10(4 / squares.mean()),
            "psnr_body": 10 * np.log10(4 / squares[body].mean()),
            "ssim": float(np.mean([whole for whole, _ in pairs])),
            "ssim_body": float(np.stack([parts for _, parts in pairs])[body].mean()),
            "s_score": dice_percent(segment(network, made), truth.target),
        }


def scores(name: str, folder: Path, tests: dict[tuple[str, str], Scan]) -> pd.DataFrame:
    """Return a row of scores for every test patient and direction."""
    networks = {modality: segmenter(modality, folder) for modality in MODALITIES}
    rows = [
        {"row": name, "case": case, "source": source, "target": target}
        | score(images, tests[case, target], networks[target])
        for (case, source, target), images in translations(name, folder, tests).items()
    ]
    return pd.DataFrame(rows)


def own_dice(name: str, folder: Path, tests: dict[tuple[str, str], Scan]) -> float:
    """Return the mean DICE of a method's own segmentation of real scans, in percent."""
    found = []
    for modality in MODALITIES:
        path = folder / "segmented" / name / modality / "index.csv"
        for _, row in index.read(path, index.PREDICTIONS).iterrows():
            mask = volume.reorient(volume.read(path.parent / row["image"]), AXIAL).array > 0
            found.append(dice_percent(mask, tests[row["case"], modality].target))
    return float(np.mean(found))


def budget(name: str) -> tuple[str, str]:
    """Return how a method was trained, and with how many multiply-adds."""
    kind = METHODS[name]
    trainings = kind.scope.trainings(MODALITIES)
    modalities = next(iter(trainings.values()))
    one = entry(name, len(kind.scope.directions(modalities)), len(modalities))
    settings = resolve(kind.paper, kind.official, one, name)
    adds = cost(kind, len(modalities), SIZE, settings).multiply_adds * settings.total_rounds(0) * len(trainings)
    times = f"{len(trainings)} × " if len(trainings) > 1 else ""
    return f"{times}{settings.total_rounds(0)} × {settings.batch_size}", f"{adds / 1e12:.0f}"


def report(folder: Path, tests: dict[tuple[str, str], Scan]) -> None:
    """Write the table, the scores and the figure of all that is finished."""
    translated = [name for name in METHODS if (folder / "synthetic" / name / "index.csv").exists()]
    segmented = [name for name in METHODS if (folder / "segmented" / name / MODALITIES[-1] / "index.csv").exists()]
    everything = pd.concat([scores(name, folder, tests) for name in (COPY, *translated, REAL)])
    index.write(everything, folder / "scores.csv")
    means = everything.groupby("row")[list(COLUMNS)].mean()
    lines = [["", "trainings × rounds × slices", "10¹² multiply-adds", *COLUMNS.values(), "own DICE, %"]]
    for name in (COPY, *[name for name in METHODS if name in {*translated, *segmented}], REAL):
        numbers = [_number(means.loc[name, key]) for key in COLUMNS] if name in means.index else ["–"] * len(COLUMNS)
        own = _number(own_dice(name, folder, tests)) if name in segmented else "–"
        lines.append([name, *(budget(name) if name in METHODS else ("–", "–")), *numbers, own])
    with publish(folder / "translation.md") as temporary:
        lines.insert(1, ["---"] * len(lines[0]))
        temporary.write_text("".join(f"| {' | '.join(line)} |\n" for line in lines))
    save_figure(
        folder / "translation.png", {n: translations(n, folder, tests) for n in (COPY, *translated, REAL)}, tests
    )


def _number(value: float) -> str:
    return "–" if np.isinf(value) else f"{value:.3f}" if abs(value) <= 1 else f"{value:.1f}"


def save_figure(
    path: Path, made: dict[str, dict[tuple[str, str, str], Array]], tests: dict[tuple[str, str], Scan]
) -> None:
    """Draw the slice of the first test case with the most target, a direction a row and a method a column."""
    case, modality = min(tests)
    place = tests[case, modality].target.sum(axis=(1, 2)).argmax()
    figure, axes = plt.subplots(len(directions()), len(made), squeeze=False, layout="compressed")
    figure.set_size_inches(1.1 * len(made), 1.1 * len(directions()))
    for way, row in zip(directions(), axes, strict=True):
        for (name, images), axis in zip(made.items(), row, strict=True):
            axis.imshow(images[case, *way][place], cmap="gray", vmin=-1, vmax=1)
            axis.set(xticks=[], yticks=[])
            axis.set_title(name.replace("_", " ") if way == directions()[0] else "", fontsize=7)
        row[0].set_ylabel(" to ".join(way), fontsize=7)
    with publish(path) as temporary:
        figure.savefig(temporary, dpi=150, format="png")
    plt.close(figure)


def main() -> None:
    """Parse the command line and run what is not finished."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.translation", description=__doc__)
    parser.add_argument("--methods", nargs="+", choices=TRANSLATORS, default=TRANSLATORS)
    parser.add_argument("--modalities", nargs="+", default=MODALITIES, help="in place of t2 and flair")
    parser.add_argument("--batch-size", type=int, default=COMMON["batch_size"], help="slices of a batch")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    MODALITIES[:], COMMON["batch_size"] = arguments.modalities, arguments.batch_size
    folder: Path = arguments.output
    write_data(folder)
    for name in arguments.methods:
        synthesize(name, folder)
    report(folder, read_tests(folder))
    print((folder / "translation.md").read_text())  # noqa: T201


if __name__ == "__main__":
    main()
