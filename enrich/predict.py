"""The next patient: synthetic channels and a segmentation of new scans, by a bundle.

    python -m enrich.predict bundle/ --image ct=scan.nii.gz --output out/
    python -m enrich.predict bundle/ --cases cases.csv --output out/

An image is a file or a folder with one DICOM series. The CSV has the columns case, modality and image, and with
`--reference` label too: then `scores.csv` is what a run's `scores/segmentation.csv` is. Written for every case are
`<case>/<modality>_segmentation.nii.gz`, on the grid of the scan, and `<case>/<source>_to_<target>.nii.gz`, CT in HU.
"""

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tqdm import tqdm

from enrich import bundle, fill, index, unlike, volume
from enrich.arguments import named_path
from enrich.bundle import Bundle
from enrich.controls import write_control
from enrich.correction import Correction
from enrich.crossfit import Fits
from enrich.datasets import table
from enrich.dicom_seg import write_seg
from enrich.intensity import AIR_HU
from enrich.modality import is_ct
from enrich.nnunet import weights
from enrich.nnunet.dataset import cases as channels_of
from enrich.prepare import write
from enrich.scan import Scan, Structures
from enrich.score import score
from enrich.splits import Splits
from enrich.structures import parts
from enrich.synthesize import write_synthetic
from enrich.volume import Volume
from gan.errors import InputError, run
from gan.files import publish_folder, sha256


class Predictor:
    """The models of a bundle, loaded once."""

    def __init__(self, found: Bundle, patients: Sequence[str]) -> None:
        """Load the translators, for patients whom nobody was trained on; segmenters are loaded when they are needed."""
        self.bundle = found
        models = found.translators()
        folds = [[f"fold {number}"] for number in range(len(models))] if found.test_fit != "all" else []
        who = Splits(train=[patient for fold in folds for patient in fold], test=list(patients), folds=folds)
        self._fits = Fits(models, who, found.test_fit) if models else None
        self._segmenters: dict[Path, Any] = {}

    def segment(self, paths: Sequence[Path], modality: str) -> Volume:
        """Return the segmentation of a case's channels, on the grid of the first of them."""
        folder = self.bundle.segmenter(modality)
        if folder not in self._segmenters:
            self._segmenters[folder] = weights.load(folder, self.bundle.told["mirroring"])
        with redirect_stdout(io.StringIO()):
            (made,) = self._segmenters[folder].predict_from_files_sequential([[str(path) for path in paths]], None)
        return volume.read_grid(paths[0]).with_array(made)

    def channels(self, scans_csv: Path, folder: Path) -> Path | None:
        """Write what the segmenter takes beside the scans to `folder`; return its index, None for the scans alone."""
        told, modalities = self.bundle.told, self.bundle.modalities
        if not self.bundle.enriched:
            return None
        made = folder / "synthetic"
        made.mkdir()
        if self._fits is None:
            kind = {"zero": "zero", "copied": "copy"}[told["kind"]]
            rows = write_control(kind, scans_csv, modalities, made, made)
        else:
            rows = write_synthetic(scans_csv, self._fits, self.bundle.intensity, made)
        rows.to_csv(made / "index.csv", index=False)
        if told["missing"] is None and not told["together"]:
            return made / "index.csv"
        filled = folder / "filled"
        filled.mkdir()
        known = fill.Known(scans_csv, made / "index.csv")
        order = None if told["missing"] is None else told["missing"]["source"]
        lines = fill.fill(known, modalities, order, self.bundle.intensity, filled, filled)
        pd.DataFrame(lines, columns=fill.COLUMNS).to_csv(filled / "index.csv", index=False)
        return filled / "index.csv"


def predict(predictor: Predictor, given: Sequence[Scan], folder: Path, reference: bool, as_dicom: bool) -> pd.DataFrame:
    """Write what a bundle makes of the scans of one case to `folder`.

    Args:
        predictor: the models.
        given: the scans, of different modalities.
        folder: of the case's files.
        reference: score the segmentations against the label maps.
        as_dicom: write the segmentations as DICOM SEG too; the scans are DICOM series.

    Returns:
        The rows of scores; none without a reference.

    Raises:
        InputError: an unreadable scan, or scans of one case that do not fit together.
    """
    found, scores = predictor.bundle, []
    with tempfile.TemporaryDirectory() as temporary:
        work, raw = Path(temporary), {}
        scans_csv = work / "scans.csv"
        for scan in given:
            raw[scan.modality] = scan.read()
        read = [replace(scan, voxels=partial(raw.__getitem__, scan.modality)) for scan in given]
        write(read, found.structures, scans_csv, correction=Correction(**found.told["correction"]))
        for scan in given:
            corrected = volume.read(work / "scans" / f"{scan.case}_{scan.modality}.nii.gz")
            for text in unlike.warnings(corrected, scan.modality, found.told["training"], scan.path):
                sys.stderr.write(f"warning: {scan.path}: {text}\n")
        added = predictor.channels(scans_csv, work)
        for modality, (image, _) in raw.items():
            others = [name for name in found.modalities if found.told["together"] or name != modality]
            (case,) = channels_of(
                scans_csv, modality, added, others if added else [], first=not (added and found.told["together"])
            )
            made = predictor.segment(case.images, modality)
            whole = volume.placed(made, image)
            volume.write(whole, folder / f"{modality}_segmentation.nii.gz")
            if as_dicom:
                (path,) = (scan.path for scan in given if scan.modality == modality)
                write_seg(whole, found.structures.of[modality], path, folder / f"{modality}_segmentation.dcm")
            if reference:
                scores.append(_score(made, case.name, modality, scans_csv, found))
        if (work / "synthetic" / "index.csv").is_file() and found.told["kind"] == "synthetic":
            _write_synthetic(work / "synthetic" / "index.csv", folder)
    return pd.concat(scores) if scores else pd.DataFrame()


def _score(made: Volume, case: str, modality: str, scans_csv: Path, found: Bundle) -> pd.DataFrame:
    path = scans_csv.parent / "predictions" / modality / "index.csv"
    image = path.with_name(f"{case}.nii.gz")
    path.parent.mkdir(parents=True)
    volume.write(made, image)
    index.write(pd.DataFrame([(case, image.name, sha256(image))], columns=index.PREDICTIONS), path)
    return score(scans_csv, path, {"method": found.method, "modality": modality, "seed": found.told["seed"]})


def _write_synthetic(made: Path, folder: Path) -> None:
    for row in index.read(made, index.SYNTHETIC).to_dict("records"):
        scan = volume.read(made.parent / row["image"])
        if is_ct(row["target"]):
            scan = scan.with_array((scan.array + AIR_HU).astype(np.int16))
        volume.write(scan, folder / f"{row['source']}_to_{row['target']}.nii.gz")


def scans_of(rows: pd.DataFrame, home: Path, found: Bundle, structures: Structures) -> dict[str, list[Scan]]:
    """Return the scans of every case.

    Args:
        rows: the table's, with paths relative to `home`.
        home: a folder.
        found: the bundle.
        structures: what the label maps hold, by structure.

    Raises:
        InputError: a modality that the bundle does not know, or one twice in a case.
    """
    cases: dict[str, list[Scan]] = {}
    for scan in table.scans_of(rows, home, structures):
        own = cases.setdefault(scan.case, [])
        if scan.modality not in found.modalities:
            raise InputError(scan.path, f"modality {scan.modality}", f"one of {', '.join(found.modalities)}")
        if scan.modality in {other.modality for other in own}:
            raise InputError(scan.path, f"a second {scan.modality} of case {scan.case}", "one of each modality")
        own.append(scan)
    return cases


def _require_same_values(found: Bundle, structures: Structures, where: Path) -> None:
    """Require that label maps with these values become those that the segmenter knows."""
    for modality, values in found.structures.of.items():
        own = {name: structures[name] for name in values if name in structures}
        if own.keys() != values.keys() or parts(own, list(values))[1] != values:
            named = ", ".join(f"{name} {list(own.get(name, ()))}" for name in values)
            raise InputError(where, f"label maps with {named}", f"structures like {dict(values)} in {modality}")


def main() -> None:
    """Parse the command line, predict case by case, and write the scores where there is a reference."""
    parser = argparse.ArgumentParser(prog="python -m enrich.predict", description=__doc__)
    parser.add_argument("bundle", type=Path)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--image", type=named_path, action="append", metavar="MODALITY=IMAGE", help="of one case")
    what.add_argument("--cases", type=Path, help="CSV with the columns case, modality and image, and perhaps label")
    parser.add_argument("--reference", action="store_true", help="score against the label maps that --cases names")
    parser.add_argument("--structures", type=json.loads, help="values in them, if not the bundle's, as JSON")
    parser.add_argument("--dicom-seg", action="store_true", help="write DICOM SEG too, of DICOM series")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    found = bundle.read(arguments.bundle)
    rows, home = _rows_of(arguments)
    known = {name: values for own in found.structures.of.values() for name, values in own.items()}
    structures = known if arguments.structures is None else {k: tuple(v) for k, v in arguments.structures.items()}
    if arguments.reference:
        _require_same_values(found, structures, home)
    cases = scans_of(rows, home, found, structures)
    predictor = Predictor(found, [scan.patient for own in cases.values() for scan in own])
    scores = []
    for case, scans in tqdm(cases.items(), "predict", disable=None):
        with publish_folder(arguments.output / case) as folder:
            scores.append(predict(predictor, scans, folder, arguments.reference, arguments.dicom_seg))
    if arguments.reference:
        index.write(pd.concat(scores), arguments.output / "scores.csv")


def _rows_of(arguments: argparse.Namespace) -> tuple[pd.DataFrame, Path]:
    if arguments.cases is not None:
        return table.read_rows(arguments.cases, label=arguments.reference), arguments.cases.parent
    rows = [("case", "case", name, str(path.absolute()), "") for name, path in arguments.image]
    return pd.DataFrame(rows, columns=["case", "patient", "modality", "image", "label"]), Path()


if __name__ == "__main__":
    run(main)
