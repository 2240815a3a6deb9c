"""The next patient: synthetic channels and a segmentation of new scans, by a bundle.

    python -m enrich.predict bundle/ --image ct=scan.nii.gz --output out/
    python -m enrich.predict bundle/ --cases cases.csv --output out/
    python -m enrich.predict bundle/ --reference labelled.csv --output out/

An image is a file or a folder with one DICOM series. The CSV has the columns case, modality and image. With
`--reference` it has label too, and `scores.csv` is what a run's `scores/segmentation.csv` is; label maps hold the
values of the data set that trained, as the bundle's README tells them, or those of `--structures`. Written for every
case are `<case>/<modality>_segmentation.nii.gz` and `<case>/<source>_to_<target>.nii.gz`, on the grid of the scan, CT
in HU. A case that fails is left out, and told at the end.
"""

import argparse
import io
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from enrich import bundle, cohort, dicom_seg, fill, index, unlike, volume
from enrich.arguments import named_path
from enrich.bundle import Bundle
from enrich.controls import write_control
from enrich.correction import Correction
from enrich.crossfit import Fits
from enrich.datasets import table
from enrich.intensity import AIR_HU
from enrich.modality import is_ct
from enrich.nnunet import weights
from enrich.nnunet.dataset import cases as channels_of
from enrich.prepare import write
from enrich.scan import Scan
from enrich.score import score
from enrich.splits import Splits
from enrich.synthesize import write_synthetic
from enrich.volume import Volume
from gan.errors import run
from gan.files import publish_folder, sha256


class Predictor:
    """The models of a bundle, loaded once."""

    def __init__(self, found: Bundle, scans: Sequence[Scan]) -> None:
        """Load what translates and segments these scans, of patients whom nobody was trained on.

        Raises:
            InputError: a model that is missing or broken, or that names something to be executed.
        """
        self.bundle = found
        models, patients = found.translators(), sorted({scan.patient for scan in scans})
        folds = [[f"fold {number}"] for number in range(len(models))] if found.test_fit != "all" else []
        who = Splits(train=[patient for fold in folds for patient in fold], test=patients, folds=folds)
        self._fits = Fits(models, who, found.test_fit) if models else None
        folders = {found.segmenter(scan.modality) for scan in scans}
        with redirect_stdout(io.StringIO()):
            self._segmenters = {path: weights.load(path, found.told["mirroring"]) for path in folders}

    def segment(self, paths: Sequence[Path], modality: str) -> Volume:
        """Return the segmentation of a case's channels, on the grid of the first of them."""
        segmenter = self._segmenters[self.bundle.segmenter(modality)]
        with redirect_stdout(io.StringIO()):
            (made,) = segmenter.predict_from_files_sequential([[str(path) for path in paths]], None)
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
        index.write(rows, made / "index.csv")
        if told["missing"] is None and not told["together"]:
            return made / "index.csv"
        filled = folder / "filled"
        filled.mkdir()
        known = fill.Known(scans_csv, made / "index.csv")
        order = None if told["missing"] is None else told["missing"]["source"]
        lines = fill.fill(known, modalities, order, self.bundle.intensity, filled, filled)
        index.write(pd.DataFrame(lines, columns=fill.COLUMNS), filled / "index.csv")
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
        added, known = predictor.channels(scans_csv, work), {}
        for modality, (image, _) in raw.items():
            others = [name for name in found.modalities if found.told["together"] or name != modality]
            (case,) = channels_of(
                scans_csv, modality, added, others if added else [], first=not (added and found.told["together"])
            )
            content = (found.segmenter(modality), *case.content[:-1])
            if content not in known:  # aligned scans of one case are one case of a segmenter of all
                known[content] = predictor.segment(case.images, modality)
            made = known[content]
            whole = volume.placed(made, image)
            volume.write(whole, folder / f"{modality}_segmentation.nii.gz")
            if as_dicom:
                (path,) = (scan.path for scan in given if scan.modality == modality)
                dicom_seg.write_seg(whole, found.structures.of[modality], path, folder / f"{modality}_segmentation.dcm")
            if reference:
                scores.append(_score(made, case.name, modality, scans_csv, found))
        if added is not None and found.told["kind"] == "synthetic":
            write_channels(added, {modality: image for modality, (image, _) in raw.items()}, folder)
    return pd.concat(scores) if scores else pd.DataFrame()


def _score(made: Volume, case: str, modality: str, scans_csv: Path, found: Bundle) -> pd.DataFrame:
    path = scans_csv.parent / "predictions" / modality / "index.csv"
    image = path.with_name(f"{case}.nii.gz")
    path.parent.mkdir(parents=True)
    volume.write(made, image)
    index.write(pd.DataFrame([(case, image.name, sha256(image))], columns=index.PREDICTIONS), path)
    return score(scans_csv, path, {"method": found.method, "modality": modality, "seed": found.told["seed"]})


def write_channels(added: Path, grids: Mapping[str, Volume], folder: Path) -> None:
    """Write what the segmenters were given beside the scans, CT in HU, on the grids of these as they came.

    A channel that is made of other scans than the segmented one, joined by `+`, is called
    `<sources>_to_<target>_for_<segmented>.nii.gz`. Beyond the part of a scan that was kept it is 0, or air.

    Args:
        added: index of the channels.
        grids: of the scans, by modality.
        folder: of the files.
    """
    for row in index.read(added, index.SYNTHETIC).to_dict("records"):
        sources, source, target = row.get("of", row["source"]), row["source"], row["target"]
        if sources == fill.REAL:
            continue
        scan = volume.placed(volume.read(added.parent / row["image"]), grids[source])
        if is_ct(target):
            scan = scan.with_array((scan.array + AIR_HU).astype(np.int16))
        told = "" if sources == source else f"_for_{source}"
        volume.write(scan, folder / f"{sources}_to_{target}{told}.nii.gz")


def predict_all(
    predictor: Predictor, cases: cohort.Cases, output: Path, reference: bool, as_dicom: bool
) -> tuple[list[pd.DataFrame], dict[str, str]]:
    """Predict case by case, each into a folder below `output`; other arguments as of `predict`.

    Returns:
        The scores of each case that was finished, and what went wrong in each of the others.
    """
    scores, failed = [], {}
    for case, scans in tqdm(cases.items(), "predict", disable=None):
        try:
            with publish_folder(output / case) as folder:
                scores.append(predict(predictor, scans, folder, reference, as_dicom))
        except (ValueError, RuntimeError, MemoryError) as error:
            failed[case] = " ".join(str(error).split()) or type(error).__name__
            if len(cases) > 1:
                sys.stderr.write(f"skipped: case {case}: {failed[case]}\n")
    return scores, failed


def main() -> None:
    """Parse the command line, check all that is given, predict, and write the scores where there is a reference."""
    parser = argparse.ArgumentParser(prog="python -m enrich.predict", description=__doc__)
    parser.add_argument("bundle", type=Path)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--image", type=named_path, action="append", metavar="MODALITY=IMAGE", help="of one case")
    what.add_argument("--cases", type=Path, metavar="CSV", help="with the columns case, modality and image")
    what.add_argument(
        "--reference", type=Path, metavar="CSV", help="with the column label too, which is scored against"
    )
    parser.add_argument("--structures", help="values in the label maps, if not those of the data that trained, as JSON")
    parser.add_argument("--window-hu", type=float, nargs=2, metavar=("LOW", "HIGH"), help="display window of CT files")
    parser.add_argument("--dicom-seg", action="store_true", help="write DICOM SEG too, of DICOM series")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    found, scored = bundle.read(arguments.bundle), arguments.reference is not None
    given = None if arguments.structures is None else cohort.read_structures(arguments.structures)
    where = arguments.reference or arguments.cases or cohort.IMAGES
    rows = cohort.rows_of(arguments.image) if arguments.image else table.read_rows(where, label=scored)
    window = None if arguments.window_hu is None else (arguments.window_hu[0], arguments.window_hu[1])
    cases = cohort.cases_of(rows, where, found, cohort.label_values(found, given), scored, window)
    scans = [scan for own in cases.values() for scan in own]
    if arguments.dicom_seg:
        for scan in scans:
            dicom_seg.require_series(scan.path)
    predictor = Predictor(found, scans)
    scores, failed = predict_all(predictor, cases, arguments.output, scored, arguments.dicom_seg)
    if scored and scores:
        index.write(pd.concat(scores), arguments.output / "scores.csv")
    if failed:
        sys.exit("\n".join(f"error: case {case}: {why}" for case, why in failed.items()))


if __name__ == "__main__":
    run(main)
