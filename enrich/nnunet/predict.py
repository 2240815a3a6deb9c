"""Segment a dataset's test patients with the folds of one nnU-Net model."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from enrich import index, volume
from enrich.nnunet import environment
from enrich.nnunet.dataset import FILE_ENDING
from enrich.volume import Volume
from gan import stopwatch
from gan.errors import InputError, run
from gan.files import checked, publish_folder, require_recorded, sha256
from gan.lease import lease


def images_to_predict(dataset: Path) -> dict[str, list[Path]]:
    """Return the channels of every test case of a raw dataset.

    Raises:
        InputError: no such dataset, no test case, or a channel that is missing or is not the one that was indexed.
    """
    if not dataset.is_file():
        raise InputError(dataset, "no such file", "dataset.json of an nnU-Net dataset")
    checked(dataset)
    content = json.loads(dataset.read_text())
    folder = dataset.parent / "imagesTs"
    images = {
        case: [folder / f"{case}_{number:04d}{FILE_ENDING}" for number in range(len(content["channel_names"]))]
        for case in content["test_cases"]
    }
    if not images:
        raise InputError(dataset, "no test cases", "at least one")
    for path in (path for paths in images.values() for path in paths):
        require_recorded(path, content["sha256"][path.relative_to(dataset.parent).as_posix()], dataset)
    return images


def load(checkpoints: Sequence[Path], mirroring: bool = True) -> Any:
    """Load the folds of one model as nnU-Net's predictor.

    Args:
        checkpoints: `…/fold_<fold>/checkpoint_final.pth` of one model.
        mirroring: average over mirrored images too, as far as the trainer allows it.

    Raises:
        InputError: a checkpoint that is missing, unreadable, not the one that was published or of another model, or
            plans that name other things than nnU-Net's own.
    """
    model = checkpoints[0].parent.parent
    for path in checkpoints:
        if not path.is_file():
            raise InputError(path, "no such file", "a checkpoint")
        if path.parent.parent != model:
            raise InputError(path, f"the model {path.parent.parent}", model)
        checked(path)
    with environment.importing():  # of the trainer too, which the model names
        from enrich.nnunet import weights

        weights.restore_beside(checkpoints[0])
        predictor = weights.load_checkpoints(checkpoints, mirroring)
    predictor.allow_tqdm = sys.stderr.isatty()
    return predictor


def predict(
    images: dict[str, list[Path]], checkpoints: Sequence[Path], mirroring: bool = True
) -> Iterator[tuple[str, Volume]]:
    """Yield each case's segmentation on its own grid, uint8, from the mean of the folds' logits.

    Args:
        images: the channels of every case.
        checkpoints: as of `load`.
        mirroring: as of `load`.

    Raises:
        InputError: a checkpoint that is missing or is of another model.
    """
    predictor = load(checkpoints, mirroring)
    for case, paths in images.items():
        with stopwatch.inside():
            (segmentation,) = predictor.predict_from_files_sequential([[str(path) for path in paths]], None)
        yield case, volume.read_grid(paths[0]).with_array(segmentation)


def main() -> None:
    """Parse the command line, predict, and publish the folder of segmentations and their index."""
    parser = argparse.ArgumentParser(description="Segment a dataset's test patients with one nnU-Net model.")
    parser.add_argument("--dataset", type=Path, required=True, help="…/raw/Dataset001_enriched/dataset.json")
    parser.add_argument(
        "--checkpoints", type=Path, nargs="+", required=True, help="…/fold_<fold>/checkpoint_final.pth of one model"
    )
    parser.add_argument("--no-mirroring", action="store_true", help="predict each image once: faster")
    parser.add_argument("--output", type=Path, required=True, help="…/predictions/index.csv")
    arguments = parser.parse_args()
    images = images_to_predict(arguments.dataset)
    lease()
    rows = []
    with publish_folder(arguments.output.parent) as folder:
        predictions = predict(images, arguments.checkpoints, not arguments.no_mirroring)
        for case, segmentation in tqdm(predictions, "predict", len(images), disable=None):
            path = folder / f"{case}{FILE_ENDING}"
            volume.write(segmentation, path)
            rows.append({"case": case, "image": path.name, "sha256": sha256(path)})
        index.write_made_by(folder, arguments.checkpoints, [arguments.dataset])
        index.write(pd.DataFrame(rows), folder / arguments.output.name)


if __name__ == "__main__":
    run(main)
