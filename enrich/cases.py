"""Further training cases for a segmenter: the other modalities' scans translated, its own translated there and back.

The offline augmentation that Zhang et al. (CVPR 2018, section 5.3) compare with, ADA: a segmenter that was trained on
real scans is fine-tuned on these cases together with the real ones.
"""

import argparse
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from enrich import index, splits, volume
from enrich.crossfit import FIT_HELP, Fits, models_of_fits
from enrich.intensity import AIR_HU, Intensity, stored_range
from enrich.modality import is_ct
from enrich.splits import Splits
from enrich.translate import Planes
from enrich.translating import Translating
from enrich.volume import Volume
from gan.errors import InputError, run
from gan.files import publish_folder, publish_json, sha256
from gan.lease import lease


def ways(source: str, modality: str, modalities: Sequence[str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield what is made of a scan of modality `source` for a segmenter of `modality`, as (through, directions).

    A scan of another modality is translated once, through nothing; one of `modality` to every other one and back.
    """
    if source != modality:
        yield "", [(source, modality)]
        return
    for through in modalities:
        if through != modality:
            yield through, [(modality, through), (through, modality)]


def as_real(planes: Planes, source: str, modality: str, intensity: Intensity) -> Volume:
    """Return what was made of a scan of modality `source`, stored as a real scan of `modality`: int16, on its grid.

    CT in HU within the config's window, MR from 0 to 1000, which nnU-Net normalizes by the case. Outside nnU-Net's
    non-zero mask of the scan, a synthetic CT is air, -1024 HU: nnU-Net clips it, as all below its real scans' targets.
    Synthetic MR is exactly 0 there, as the background of real MR; so is a reconstructed scan of either kind, as the
    scan itself.
    """
    stored = planes.stored(modality, intensity)
    if not is_ct(modality):
        return stored
    outside = 0 if is_ct(source) else AIR_HU
    return stored.with_array(np.where(planes.inside.array, stored.array + np.int16(AIR_HU), np.int16(outside)))


@dataclass(frozen=True)
class Making(Translating[tuple["pd.Series[str]", dict[str, Planes]]]):
    """A scan on its way to further cases.

    Attributes:
        modality: of the segmenter.
    """

    modality: str

    def translate(self, read: tuple["pd.Series[str]", Planes]) -> tuple["pd.Series[str]", dict[str, Planes]]:
        """Translate it in all `ways`, by the modality that each leads through: the network's part."""
        scan, planes = read
        fit = self.fits.of(scan["patient"])
        modalities = list(dict.fromkeys(name for direction in self.fits.directions for name in direction))
        made = {}
        for through, directions in ways(scan["modality"], self.modality, modalities):
            found = planes
            for direction in directions:
                found = fit.translated(found, *direction)
            made[through] = found
        return scan, made

    def write(self, translated: tuple["pd.Series[str]", dict[str, Planes]]) -> list[tuple[str, ...]]:
        """Write the cases; return their rows of the index."""
        scan, made = translated
        source, fit = scan["modality"], self.fits.of(scan["patient"])
        label = index.file_of(self.scans_csv, scan["label"], scan["label_sha256"])
        relative = os.path.relpath(label.absolute(), self.folder.absolute())
        rows: list[tuple[str, ...]] = []
        for through, planes in made.items():
            name = f"{scan['case']}_{source}_" + (f"by_{through}" if through else f"to_{self.modality}")
            image = self.folder / f"{name}.nii.gz"
            volume.write(as_real(planes, source, self.modality, self.intensity), image)
            names = (name, scan["patient"], source, self.modality, through)
            rows.append((*names, image.name, sha256(image), relative, scan["label_sha256"], fit.name))
        return rows


def write_cases(
    scans_csv: Path, who: Splits, fits: Fits, modality: str, intensity: Intensity, folder: Path, workers: int = 1
) -> pd.DataFrame:
    """Write every case for a segmenter of `modality` to `folder`; return the rows of the index.

    The scans are those of the patients who train the segmenter, as far as they have a label, which is the case's label.
    While the network translates a scan, `workers` threads read the next ones and write the last.

    Raises:
        InputError: a direction that no model has learned, or no scan to make a case of.
    """
    scans = index.read(scans_csv, index.SCANS)
    scans = scans[scans["patient"].isin([*who.train, *who.watch]) & (scans["label"] != "")]
    rows = Making(scans_csv, fits, intensity, folder, modality).rows(scans, "cases", workers)
    if not rows:
        raise InputError(scans_csv, f"no labelled training scan to make a {modality} case of", "at least one")
    return pd.DataFrame(rows, columns=[*index.CASES, "fit"])


def facts_of(modality: str, intensity: Intensity, models: Mapping[str, Sequence[Path]]) -> dict[str, object]:
    """Return what the numbers in the images mean, and which models made them."""
    offset = AIR_HU if is_ct(modality) else 0
    return {
        "modality": modality,
        "unit": "HU" if is_ct(modality) else "arbitrary",
        "range": [bound + offset for bound in stored_range(modality, intensity)],
        "outside": {"synthetic": offset, "reconstructed": 0},
        "models_sha256": {fit: [sha256(model) for model in paths] for fit, paths in models.items()},
    }


def main() -> None:
    """Parse the command line and publish the folder of cases."""
    parser = argparse.ArgumentParser(description="Translate the training scans to a modality, as cases of it.")
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--fit", nargs="+", action="append", required=True, metavar="NAME MODEL", help=FIT_HELP)
    parser.add_argument("--modality", required=True, help="modality of the segmenter that the cases train")
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--workers", type=int, default=1, help="threads that read and write beside the network")
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    lease()
    who, intensity = splits.read(arguments.splits), Intensity(**arguments.intensity)
    models = models_of_fits(arguments.fit)
    fits = Fits(models, who)
    with publish_folder(arguments.output.parent) as folder:
        rows = write_cases(arguments.scans, who, fits, arguments.modality, intensity, folder, arguments.workers)
        index.write(rows, folder / arguments.output.name)
        publish_json(folder / "cases.json", facts_of(arguments.modality, intensity, models))


if __name__ == "__main__":
    run(main)
