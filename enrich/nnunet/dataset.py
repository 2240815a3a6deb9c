"""nnU-Net's raw dataset: the real channel and the added ones, or further cases, by path; no voxel is copied."""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np

from enrich import index, splits, structures, volume
from enrich.modality import title
from enrich.scan import Structures as Values
from gan.errors import InputError, run
from gan.files import publish_folder, publish_json, sha256

FOLDS = 5
FOLD_SEED = 12345  # nnU-Net's own
BUDGET_SEED = 0
POOLED = "pooled"  # in place of a modality: all of them
FILE_ENDING = ".nii.gz"


@dataclass(frozen=True)
class Case:
    """A scan with its added channels.

    Attributes:
        name: nnU-Net's case identifier.
        patient: the person.
        images: the real channel, then the added ones.
        label: the label map, None for a scan without one.
        content: SHA-256 of the images and the label map.
    """

    name: str
    patient: str
    images: list[Path]
    label: Path | None
    content: tuple[str, ...] = ()


def channel_names(real: Sequence[str], added: Sequence[str], kind: str) -> dict[str, str]:
    """Return `channel_names` as nnU-Net reads them; an added channel of kind `real` has its modality's own name.

    Only a channel that is named exactly `CT` gets nnU-Net's CT normalization: a real CT. Every other one is z-scored.
    """
    others = [title(name) if kind == "real" else f"{kind} {title(name)}" for name in added]
    return {str(number): name for number, name in enumerate([*map(title, real), *others])}


def structures_of(known: structures.Structures, modalities: Sequence[str]) -> Values:
    """Return the structures of a data set that takes label maps of these modalities, and their values.

    Raises:
        InputError: modalities whose label maps differ.
    """
    first = known.of[modalities[0]]
    for other in modalities[1:]:
        if known.of[other] != first:
            names = f"{', '.join(first)} in {modalities[0]}, {', '.join(known.of[other])} in {other}"
            expected = "those that every modality has, where one segmenter learns from the labels of all"
            raise InputError("structures", names, expected)
    return first


def labels_of(values: Values) -> dict[str, object]:
    """Return nnU-Net's `labels`: one value each, or regions, the encompassing before the inner, with their class order.

    Raises:
        InputError: regions that nnU-Net cannot tell apart.
    """
    background: dict[str, object] = {"background": 0}
    if all(len(own) == 1 for own in values.values()) and len(set(values.values())) == len(values):
        return {"labels": background | {name: own[0] for name, own in values.items()}}
    order: list[int] = []
    regions = sorted(values, key=lambda name: -len(values[name]))
    for number, name in enumerate(regions):
        inner = {value for other in regions[number + 1 :] for value in values[other]}
        own = sorted(set(values[name]) - inner)
        if len(own) != 1:
            raise InputError("structures", name, f"a part of its own beside {', '.join(regions[number + 1 :])}")
        order += own
    return {"labels": background | {name: list(values[name]) for name in regions}, "regions_class_order": order}


def cases(
    scans: Path, modality: str, synthetic: Path | None, added: Sequence[str], first: bool = True
) -> Iterator[Case]:
    """Yield every scan of a modality with its added channels, in the order of `scans.csv`.

    Args:
        scans: `scans.csv`.
        modality: of the scans.
        synthetic: index of the added channels; None for none.
        added: their modalities.
        first: the scan itself is the first channel; otherwise the added ones alone are the channels.

    Raises:
        InputError: a file is missing, is not the one that was indexed, or lies on another grid than the real channel.
    """
    translations = {}
    if synthetic is not None:
        rows = index.read(synthetic, index.SYNTHETIC)
        names = zip(rows["case"], rows["source"], rows["target"], strict=True)
        translations = dict(zip(names, zip(rows["image"], rows["sha256"], strict=True), strict=True))
    table = index.read(scans, index.SCANS)
    for row in table[table["modality"] == modality].to_dict("records"):
        scan = index.file_of(scans, row["image"], row["image_sha256"])
        images, content = ([scan], [row["image_sha256"]]) if first else ([], [])
        for target in added:
            name = (row["case"], modality, target)
            if synthetic is None or name not in translations:
                raise InputError(synthetic or scans, f"no image of {row['case']} {modality} to {target}", "one")
            images.append(index.file_of(synthetic, *translations[name]))
            content.append(translations[name][1])
        label = index.file_of(scans, row["label"], row["label_sha256"]) if row["label"] else None
        grid = volume.read_grid(scan)
        for path in images if label is None else [*images, label]:
            volume.require_same_grid(path, volume.read_grid(path), grid)
        yield Case(row["case"], row["patient"], images, label, (*content, row["label_sha256"]))


def pooled(scans: Path, modalities: Sequence[str], synthetic: Path | None, channels: Sequence[str]) -> Iterator[Case]:
    """Yield every scan of some modalities as a case named after both, enriched ones of equal content once.

    Args:
        scans: `scans.csv`.
        modalities: of the scans.
        synthetic: index with every channel of every scan; None, the scan is the only one.
        channels: all modalities, in the order of the channels.
    """
    known: set[tuple[str, ...]] = set()
    for modality in modalities:
        for case in cases(scans, modality, synthetic, channels if synthetic else [], first=synthetic is None):
            if synthetic is None or case.content not in known:
                known.add(case.content)
                yield replace(case, name=f"{case.name}_{modality}")


def within_budget(training: Sequence[Case], fraction: float) -> list[Case]:
    """Return the cases of a share of the patients, rounded up; those of a smaller share are in every larger one."""
    patients = sorted({case.patient for case in training})
    order = np.random.default_rng(BUDGET_SEED).permutation(patients)
    chosen = set(order[: ceil(fraction * len(order) - 1e-9)].tolist())
    return [case for case in training if case.patient in chosen]


def within_share(synthetic: Sequence[Case], fraction: float) -> list[Case]:
    """Return a share of cases, rounded up; those of a smaller share are in every larger one."""
    order = np.random.default_rng(BUDGET_SEED).permutation(sorted(case.name for case in synthetic))
    chosen = set(order[: ceil(fraction * len(order) - 1e-9)].tolist())
    return [case for case in synthetic if case.name in chosen]


def further_cases(cases_csv: Path, modality: str, real: Sequence[Case], patients: set[str]) -> list[Case]:
    """Return the cases that `enrich.cases` made for a modality, in the order of their index.

    Raises:
        InputError: a case of another modality, of nobody in `patients` or under the name of a `real` case, or a file
            that is missing, is not the one that was indexed, or has a label on another grid.
    """
    found = []
    names = {case.name for case in real}
    for row in index.read(cases_csv, index.CASES).to_dict("records"):
        name = row["case"]
        if row["target"] != modality:
            raise InputError(cases_csv, f"case {name} for {row['target']}", modality)
        if row["patient"] not in patients:
            raise InputError(cases_csv, f"case {name} of patient {row['patient']}", "a patient who trains")
        if name in names:
            raise InputError(cases_csv, f"another case {name}", "a name of its own")
        names.add(name)
        image = index.file_of(cases_csv, row["image"], row["sha256"])
        label = index.file_of(cases_csv, row["label"], row["label_sha256"])
        volume.require_same_grid(label, volume.read_grid(label), volume.read_grid(image))
        found.append(Case(name, row["patient"], [image], label, (row["sha256"], row["label_sha256"])))
    return found


def draw_folds(training: Sequence[Case], seed: int, synthetic: Sequence[Case] = ()) -> list[dict[str, list[str]]]:
    """Draw nnU-Net's `splits_final.json`: five folds in which all cases of a patient are on one side.

    The patients of `training` are divided, whatever the synthetic cases are. A synthetic case trains unless its patient
    is held out, and validates never.

    Raises:
        InputError: fewer patients than folds.
    """
    patients = sorted({case.patient for case in training})
    if len(patients) < FOLDS:
        raise InputError("folds", f"{len(patients)} labelled patients to train", f"at least {FOLDS}, or fold all")
    order = np.random.default_rng(seed).permutation(patients)
    return [
        {
            "train": sorted(case.name for case in (*training, *synthetic) if case.patient not in held_out),
            "val": sorted(case.name for case in training if case.patient in held_out),
        }
        for held_out in np.array_split(order, FOLDS)
    ]


def write(
    folder: Path,
    training: Sequence[Case],
    test: Sequence[Case],
    header: dict[str, object],
    seed: int | None,
    synthetic: Sequence[Case] = (),
) -> None:
    """Write a raw dataset folder, complete or not at all.

    Args:
        folder: `DatasetXXX_Name`; what was there is replaced.
        training: real cases of the `dataset` map, all labelled.
        test: cases that are in `imagesTs` only, as relative links.
        header: further keys of `dataset.json`.
        seed: of the folds; None writes no folds.
        synthetic: further cases of the `dataset` map, which `synthetic_cases` names; all labelled.
    """
    dataset = {
        case.name: {"images": [_relative(image, folder) for image in case.images], "label": _relative(label, folder)}
        for case in (*training, *synthetic)
        if (label := case.label) is not None
    }
    counts = {"numTraining": len(dataset), "file_ending": FILE_ENDING, "test_cases": [case.name for case in test]}
    named = {"synthetic_cases": [case.name for case in synthetic]} if synthetic else {}
    folds = None if seed is None else draw_folds(training, seed, synthetic)
    with publish_folder(folder) as temporary:
        images = temporary / "imagesTs"
        images.mkdir()
        for case in test:
            for number, image in enumerate(case.images):
                (images / f"{case.name}_{number:04d}{FILE_ENDING}").symlink_to(_relative(image, folder / "imagesTs"))
        if folds is not None:
            publish_json(temporary / "splits_final.json", folds)
        hashes = dict(_hashes(folder, (*training, *synthetic), test))
        publish_json(temporary / "dataset.json", header | counts | named | {"dataset": dataset, "sha256": hashes})


def _hashes(folder: Path, training: Sequence[Case], test: Sequence[Case]) -> Iterator[tuple[str, str]]:
    """Yield the SHA-256 of every image and label map that trains, and of every image to predict, by path."""
    for case in training:
        for path, digest in zip((*case.images, case.label), case.content, strict=True):
            if path is not None:
                yield _relative(path, folder), digest
    for case in test:
        for number, digest in enumerate(case.content[: len(case.images)]):
            yield f"imagesTs/{case.name}_{number:04d}{FILE_ENDING}", digest


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.absolute(), folder.absolute())


def main() -> None:
    """Parse the command line, check every file, and publish the raw dataset folder."""
    parser = argparse.ArgumentParser(description="Write an nnU-Net dataset of real and synthetic channels.")
    parser.add_argument("--scans", type=Path, required=True, help="scans.csv")
    parser.add_argument("--splits", type=Path, required=True, help="splits.json")
    parser.add_argument("--modality", required=True, help=f"modality of the real channel, or {POOLED}")
    parser.add_argument("--modalities", nargs="+", required=True, help="all modalities, in the order of the channels")
    enriched = parser.add_mutually_exclusive_group()  # of neither: the real channel alone
    enriched.add_argument("--synthetic", type=Path, help="index of synthetic images, as further channels")
    enriched.add_argument("--cases", type=Path, help="index of enrich.cases, as further training cases")
    parser.add_argument("--kind", default="synthetic", help="names the added channels; real: as their modalities")
    parser.add_argument("--together", action="store_true", help="each channel in its modality's place, for one of all")
    parser.add_argument("--labels-of", nargs="+", help=f"modalities whose labels train, of {POOLED}; all by default")
    parser.add_argument("--folds", nargs="+", choices=["all", *map(str, range(FOLDS))], default=["all"])
    parser.add_argument("--label-fraction", type=float, default=1.0, help="share of the training patients")
    parser.add_argument("--synthetic-fraction", type=float, default=1.0, help="share of the further training cases")
    parser.add_argument("--output", type=Path, required=True, help="…/raw/Dataset001_enriched/dataset.json")
    arguments = parser.parse_args()
    modality, modalities = arguments.modality, arguments.modalities
    real = [] if arguments.together else [modality]
    added = [name for name in modalities if name not in real] if arguments.synthetic else []
    if modality == POOLED:
        everyone = list(pooled(arguments.scans, arguments.labels_of or modalities, arguments.synthetic, modalities))
    else:
        everyone = list(cases(arguments.scans, modality, arguments.synthetic, added, first=bool(real)))
    sets = splits.read(arguments.splits)
    patients = {*sets.train, *sets.watch}
    training = [case for case in everyone if case.label and case.patient in patients]
    if not training:
        raise InputError(arguments.splits, f"no labelled {modality} scan to train", "at least one")
    chosen = within_budget(training, arguments.label_fraction)
    beyond = {case.patient for case in training} - {case.patient for case in chosen}
    further = further_cases(arguments.cases, modality, everyone, patients) if arguments.cases else []
    labels_from = modalities if modality == POOLED or arguments.cases else [modality]
    header = {
        "channel_names": channel_names(real, added, arguments.kind),
        **labels_of(structures_of(structures.read(arguments.scans), labels_from)),
        "provenance": {
            f"{name}_sha256": sha256(path)
            for name, path in vars(arguments).items()
            if name in ("scans", "splits", "synthetic", "cases") and path is not None
        },
    }
    test = [case for case in everyone if case.label and case.patient in sets.test]
    seed = None if arguments.folds == ["all"] else FOLD_SEED
    within = [case for case in further if case.patient not in beyond]
    write(arguments.output.parent, chosen, test, header, seed, within_share(within, arguments.synthetic_fraction))


if __name__ == "__main__":
    run(main)
