"""Raw scans, read and checked, as one NIfTI each: `scans.csv` and the folder `scans` beside it."""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from tqdm import tqdm

from enrich import index, volume
from enrich.correction import Correction, correct
from enrich.datasets import READERS
from enrich.datasets import scans as read_scans
from enrich.parallel import in_order
from enrich.scan import Scan
from enrich.structures import Structures, parts
from gan.errors import InputError, run
from gan.files import publish_folder, sha256

NONE = Correction()
LARGEST_VALUE = 255  # of a label map, whose voxels take a byte


def prepare(
    scans: Sequence[Scan], chosen: Structures, folder: Path, workers: int, correction: Correction = NONE
) -> pd.DataFrame:
    """Write every scan's image, and its label map where it has one, to `folder`; return the rows of `scans.csv`.

    Images keep their grid and intensities, but for what `correction` says, as int16 where that is exact and as float32
    elsewhere. Label maps hold the values of `chosen`, and 0 for everything else.

    Raises:
        InputError: whatever reading a scan raises.
    """
    work = partial(_prepare_one, chosen=chosen, folder=folder, correction=correction)
    return pd.DataFrame(tqdm(in_order(work, scans, workers), "prepare", len(scans), disable=None))


def write(
    scans: Sequence[Scan], chosen: Structures, scans_csv: Path, workers: int = 1, correction: Correction = NONE
) -> None:
    """Publish what `prepare` returns: `scans`, `structures.json` and then `scans.csv`, side by side."""
    with publish_folder(scans_csv.parent / "scans") as folder:
        rows = prepare(scans, chosen, folder, workers, correction)
    chosen.write(scans_csv)
    index.write(rows, scans_csv)


def choose(scans: Sequence[Scan], target: Sequence[str], wanted: Sequence[str] | None = None) -> Structures:
    """Return the structures of a study: of each modality all that it has, or those of them that are wanted.

    Raises:
        InputError: scans of a modality with other structures, one without a target, or a wanted structure that no scan
            has; or more structures than a label map has values for.
    """
    known: dict[str, Scan] = {}
    for scan in scans:
        first = known.setdefault(scan.modality, scan)
        if scan.structures != first.structures:
            found = f"structures {', '.join(scan.structures)}"
            raise InputError(scan.path, found, f"{', '.join(first.structures)} as of other {scan.modality}")
    for scan in known.values():
        if missing := [name for name in target if name not in scan.structures]:
            raise InputError(scan.path, f"the structures {', '.join(scan.structures)}", f"the target {missing[0]}")
    everything = dict.fromkeys(name for scan in known.values() for name in scan.structures)
    if unknown := [name for name in wanted or () if name not in everything]:
        raise InputError("structures", ", ".join(unknown), f"some of {', '.join(everything)}")
    of = {
        modality: parts(scan.structures, [name for name in wanted or everything if name in scan.structures])[1]
        for modality, scan in known.items()
    }
    for modality, structures in of.items():
        if (values := max(chain(*structures.values()), default=0)) > LARGEST_VALUE:
            raise InputError(known[modality].path, f"{values} structures or parts of them", f"{LARGEST_VALUE} at most")
    return Structures(tuple(target), of)


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
    names = Counter((scan.case, scan.modality) for scan in selected)
    if twice := sorted(name for name, number in names.items() if number > 1):
        raise InputError(where, f"{' '.join(twice[0])} twice", "one scan of a case and modality")
    return selected


def _prepare_one(scan: Scan, chosen: Structures, folder: Path, correction: Correction) -> dict[str, object]:
    part_of, _ = parts(scan.structures, list(chosen.of[scan.modality]))
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
        found, before = (_renumbered(each.array, part_of) for each in (label, whole_label) if each is not None)
        label_path = folder / f"{stem}_label.nii.gz"
        volume.write(image.with_array(found), label_path)
        row["label"] = f"scans/{label_path.name}"
        row["label_sha256"] = sha256(label_path)
        sizes = [float(chosen.target_of(scan.modality, values).sum()) * image.voxel_ml for values in (found, before)]
        row["target_ml"] = round(sizes[0], 3)
        row["target_cropped_ml"] = round(sizes[1] - sizes[0], 3)
    return row


def _renumbered(values: NDArray[Any], part_of: Mapping[int, int]) -> NDArray[np.uint8]:
    numbers = np.zeros(int(values.max()) + 1, np.uint8)
    for value, part in part_of.items():
        if value < len(numbers):
            numbers[value] = part
    return numbers[values.astype(np.intp)]


def main() -> None:
    """Parse the command line, prepare, and publish `scans` and then `scans.csv`."""
    parser = argparse.ArgumentParser(description="Read and check raw scans; write one NIfTI each and scans.csv.")
    parser.add_argument("--reader", choices=READERS, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--release", help="of BraTS")
    parser.add_argument("--structures", type=json.loads, help="the config's key data.structures, as JSON")
    parser.add_argument("--modalities", nargs="+", required=True)
    parser.add_argument("--target", nargs="+", required=True, help="structures that target-aware methods attend to")
    parser.add_argument("--segment", nargs="+", metavar="STRUCTURE", help="structures to keep; all, if none is named")
    parser.add_argument("--correction", type=json.loads, default={}, help="the config's key correction, as JSON")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--output", type=Path, required=True, help="scans.csv")
    arguments = parser.parse_args()
    options = {"release": arguments.release, "structures": arguments.structures}
    scans = list(read_scans(arguments.reader, arguments.folder, **options))
    selected = select(scans, arguments.modalities, arguments.folder)
    chosen = choose(selected, arguments.target, arguments.segment)
    write(selected, chosen, arguments.output, arguments.workers, Correction(**arguments.correction))


if __name__ == "__main__":
    run(main)
