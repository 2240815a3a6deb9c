"""nnU-Net's fingerprint, plans and preprocessed cases, as `nnUNetv2_plan_and_preprocess` makes them."""

import argparse
import json
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

from enrich.nnunet import environment
from gan.errors import InputError, run
from gan.files import checked, digests, publish_folder, publish_json, require_recorded

FOREGROUND_SAMPLES = 100_000_000  # nnU-Net's own; statistics of 100,000 differ by about 1 %


def preprocess(
    dataset: Path,
    folder: Path,
    configuration: str,
    planner: str = "ExperimentPlanner",
    gpu_memory_gb: float | None = None,
    foreground_samples: int = FOREGROUND_SAMPLES,
    workers: int = 1,
    plans_of: Path | None = None,
    spacing_mm: Sequence[float] | None = None,
) -> None:
    """Write a preprocessed dataset folder and its `preprocessed.json`, complete or not at all.

    Args:
        dataset: `dataset.json` of a raw dataset.
        folder: gets the raw dataset's name; what was there is replaced, since nnU-Net keeps stale configurations.
        configuration: `2d` or `3d_fullres`.
        planner: class name of the planner.
        gpu_memory_gb: what the network may take; None for the planner's own.
        foreground_samples: voxels drawn for the intensity statistics, over all cases.
        workers: processes; 1 works in this one.
        plans_of: `preprocessed.json` of another dataset of the same channels and labels, whose fingerprint and plans
            are taken over, so that its networks fit; the planner's settings then have no say.
        spacing_mm: of slices, rows and columns, that cases are resampled to; 2d leaves the slices as they are. None
            for the planner's own.

    Raises:
        InputError: no such dataset, files of it other than it was written with, no such planner or configuration, a
            folder with another name, or no plans to take over.
    """
    if not dataset.is_file():
        raise InputError(dataset, "no such file", "dataset.json of an nnU-Net dataset")
    name = dataset.parent.name
    if folder.name != name:
        raise InputError(folder, f"the name {folder.name}", name)
    _require_files(dataset)
    with publish_folder(folder) as temporary:
        with environment.importing():
            environment.configure(1, raw=dataset.parent.parent, preprocessed=temporary)
        with environment.pools_of_threads() if workers == 1 else nullcontext():
            if plans_of is None:
                identifier = _plan(name, planner, gpu_memory_gb, foreground_samples, workers, spacing_mm)
            else:
                identifier = _take_plans(plans_of, dataset, temporary / name)
            _preprocess(name, temporary / name, identifier, configuration, workers)
        for path in (temporary / name).iterdir():
            path.rename(temporary / path.name)
        (temporary / name).rmdir()
        summary = {"plans": identifier, "configuration": configuration, "sha256": digests(temporary)}
        publish_json(temporary / "preprocessed.json", summary)


def _plan(
    name: str,
    planner: str,
    gpu_memory_gb: float | None,
    foreground_samples: int,
    workers: int,
    spacing_mm: Sequence[float] | None,
) -> str:
    with environment.importing():
        import nnunetv2
        from nnunetv2.experiment_planning.plan_and_preprocess_api import (
            DatasetFingerprintExtractor,
            plan_experiment_dataset,
            recursive_find_python_class,
        )

    where = Path(nnunetv2.__path__[0]) / "experiment_planning"
    planner_class = recursive_find_python_class(str(where), planner, "nnunetv2.experiment_planning")
    if planner_class is None:
        raise InputError("planner", planner, "a planner of nnU-Net such as nnUNetPlannerResEncM")
    extractor = DatasetFingerprintExtractor(name, workers)
    extractor.num_foreground_voxels_for_intensitystats = foreground_samples
    extractor.run(overwrite_existing=True)
    _, identifier = plan_experiment_dataset(name, planner_class, gpu_memory_gb, overwrite_target_spacing=spacing_mm)
    return str(identifier)


def _take_plans(plans_of: Path, dataset: Path, folder: Path) -> str:
    """Fill `folder` with what planning would have left there, of which fingerprint and plans are another dataset's."""
    if not plans_of.is_file():
        raise InputError(plans_of, "no such file", "preprocessed.json of the dataset whose plans to take over")
    if plans_of.parent.name != folder.name:
        raise InputError(plans_of.parent, f"the name {plans_of.parent.name}", folder.name)
    checked(plans_of)
    summary = json.loads(plans_of.read_text())
    names = (f"{summary['plans']}.json", "dataset.json", "dataset_fingerprint.json")
    plans, planned, fingerprint = (
        require_recorded(plans_of.with_name(n), summary["sha256"][n], plans_of) for n in names
    )
    ours, theirs = (json.loads(path.read_text()) for path in (dataset, planned))
    for key in ("channel_names", "labels"):
        if ours[key] != theirs[key]:
            raise InputError(dataset, f"{key} {ours[key]}", f"{theirs[key]} as in {planned}")
    folder.mkdir()
    splits = dataset.with_name("splits_final.json")
    for path in (plans, fingerprint, dataset, *([splits] if splits.is_file() else [])):
        shutil.copy(path, folder)
    return str(summary["plans"])


def _preprocess(name: str, folder: Path, identifier: str, configuration: str, workers: int) -> None:
    with environment.importing():
        from nnunetv2.experiment_planning.plan_and_preprocess_api import preprocess_dataset
        from nnunetv2.utilities.dataset_name_id_conversion import convert_dataset_name_to_id

    planned = json.loads((folder / f"{identifier}.json").read_text())["configurations"]
    if configuration not in planned:
        raise InputError("configuration", configuration, f"one that nnU-Net plans for it: {', '.join(planned)}")
    preprocess_dataset(convert_dataset_name_to_id(name), identifier, (configuration,), (workers,))


def _require_files(dataset: Path) -> None:
    """Require the training images, label maps and folds of a raw dataset to be the files that it was written with."""
    folds = dataset.with_name("splits_final.json")
    for path in (dataset, *([folds] if folds.is_file() else [])):
        checked(path)
    told = json.loads(dataset.read_text())
    for case in told["dataset"].values():
        for name in (*case["images"], case["label"]):
            require_recorded(dataset.parent / name, told["sha256"][name], dataset)


def main() -> None:
    """Parse the command line and preprocess."""
    parser = argparse.ArgumentParser(description="Plan and preprocess an nnU-Net dataset.")
    parser.add_argument("--dataset", type=Path, required=True, help="…/raw/Dataset001_enriched/dataset.json")
    parser.add_argument("--configuration", choices=["2d", "3d_fullres"], required=True)
    parser.add_argument("--planner", default="ExperimentPlanner", help="or nnUNetPlannerResEncM, …L, …XL")
    parser.add_argument("--gpu-memory-gb", type=float, help="what the network may take; default: the planner's own")
    parser.add_argument(
        "--spacing-mm", type=float, nargs=3, metavar=("SLICES", "ROWS", "COLUMNS"), help="default: the planner's own"
    )
    parser.add_argument("--foreground-samples", type=int, default=FOREGROUND_SAMPLES)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--plans-of", type=Path, help="preprocessed.json of another dataset: its plans are taken over, none are made"
    )
    parser.add_argument(
        "--output", type=Path, required=True, help="…/preprocessed/Dataset001_enriched/preprocessed.json"
    )
    arguments = parser.parse_args()
    preprocess(
        arguments.dataset,
        arguments.output.parent,
        arguments.configuration,
        arguments.planner,
        arguments.gpu_memory_gb,
        arguments.foreground_samples,
        arguments.workers,
        arguments.plans_of,
        arguments.spacing_mm,
    )


if __name__ == "__main__":
    run(main)
