"""Raw scans, read and checked, as one NIfTI each: `scans.csv` and the folder `scans` beside it."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from tqdm import tqdm

from enrich import index, volume
from enrich.correction import Correction, correct
from enrich.datasets import READERS
from enrich.datasets import scans as read_scans
from enrich.scan import Scan
from gan.errors import InputError, run
from gan.files import publish_folder, sha256

NONE = Correction()


def prepare(
    scans: Sequence[Scan], target: str, folder: Path, workers: int, correction: Correction = NONE
) -> pd.DataFrame:
    """Write every scan's image, and its label map where it has one, to `folder`; return the rows of `scans.csv`.

    Images keep their grid and intensities, but for what `correction` says, as int16 where that is exact and as float32
    elsewhere. Label maps hold 1 for the target and 0 for everything else.

    Raises:
        InputError: whatever reading a scan raises, or a scan whose structures do not include the target.
    """
    jobs = joblib.Parallel(n_jobs=workers, return_as="generator")(
        joblib.delayed(_prepare_one)(scan, target, folder, correction) for scan in scans
    )
    return pd.DataFrame(tqdm(jobs, "prepare", len(scans), disable=None))


def select(scans: Sequence[Scan], modalities: Sequence[str], where: Path) -> list[Scan]:
    """Return the scans of the config's modalities.

    Raises:
        InputError: a modality without a scan, or two scans with one case and modality.
    """
    selected = [scan for scan in scans if scan.modality in modalities]
    for modality in modalities:
        if not any(scan.modality == modality for scan in selected):
            found = ", ".join(sorted({scan.modality for scan in scans})) or "no scans"
            raise InputError(where, found, f"scans of modality {modality}")
    names = [(scan.case, scan.modality) for scan in selected]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(where, f"{' '.join(twice[0])} twice", "one scan of a case and modality")
    return selected


def _prepare_one(scan: Scan, target: str, folder: Path, correction: Correction) -> dict[str, object]:
    if target not in scan.structures:
        raise InputError(scan.path, f"the structures {', '.join(scan.structures)}", f"the target {target}")
    whole, whole_label = scan.read()
    image, label = correct(whole, whole_label, scan.modality, correction, scan.path)
    stem = f"{scan.case}_{scan.modality}"
    image_path = folder / f"{stem}.nii.gz"
    volume.write(image.with_array(volume.compact(image.array)), image_path)
    row: dict[str, object] = {
        "case": scan.case,
        "patient": scan.patient,
        "modality": scan.modality,
        "image": f"scans/{image_path.name}",
        "label": "",
        "image_sha256": sha256(image_path),
        "label_sha256": "",
    }
    row |= dict(zip("zyx", image.array.shape, strict=True))
    row |= {f"spacing_{axis}_mm": spacing for axis, spacing in zip("xyz", image.spacing_mm, strict=True)}
    row["window_low_hu"], row["window_high_hu"] = scan.window_hu or (None, None)
    row["target_ml"] = row["target_cropped_ml"] = ""
    if label is not None:
        mask = np.isin(label.array, scan.structures[target]).astype(np.uint8)
        label_path = folder / f"{stem}_label.nii.gz"
        volume.write(image.with_array(mask), label_path)
        row["label"] = f"scans/{label_path.name}"
        row["label_sha256"] = sha256(label_path)
        row["target_ml"] = round(float(mask.sum()) * image.voxel_ml, 3)
        assert whole_label is not None  # noqa: S101
        before = int(np.isin(whole_label.array, scan.structures[target]).sum())
        row["target_cropped_ml"] = round(float(before - mask.sum()) * image.voxel_ml, 3)
    return row


def main() -> None:
    """Parse the command line, prepare, and publish `scans` and then `scans.csv`."""
    parser = argparse.ArgumentParser(description="Read and check raw scans; write one NIfTI each and scans.csv.")
    parser.add_argument("--reader", choices=READERS, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--release", help="of BraTS")
    parser.add_argument("--structures", type=json.loads, help="the config's key data.structures, as JSON")
    parser.add_argument("--modalities", nargs="+", required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--correction", type=json.loads, default={}, help="the config's key correction, as JSON")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="scans.csv")
    arguments = parser.parse_args()
    options = {"release": arguments.release, "structures": arguments.structures}
    scans = list(read_scans(arguments.reader, arguments.folder, **options))
    selected = select(scans, arguments.modalities, arguments.folder)
    with publish_folder(arguments.output.parent / "scans") as folder:
        rows = prepare(selected, arguments.target, folder, arguments.workers, Correction(**arguments.correction))
    index.write(rows, arguments.output)


if __name__ == "__main__":
    run(main)
