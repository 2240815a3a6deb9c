"""Every scan in every other modality, on the scan's own grid, by a trained translator."""

import argparse
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from enrich import index, splits, volume
from enrich.crossfit import ALL, FIT_HELP, FOLD, MEAN, Fit, Fits, models_of_fits
from enrich.intensity import AIR_HU, Intensity, stored_range
from enrich.modality import is_ct
from enrich.translate import read_planes
from gan.errors import run
from gan.files import publish_folder, sha256
from gan.lease import lease


def synthesize(
    path: Path, row: "pd.Series[str]", fit: Fit, targets: Sequence[str], image_size: int, intensity: Intensity
) -> Iterator[tuple[str, volume.Volume]]:
    """Yield (target modality, synthetic scan) for every target modality.

    A synthetic scan lies on the grid of the source. It is exactly 0 outside nnU-Net's own non-zero mask of the source,
    so that neither the crop nor the normalization of the real channel changes, and whatever the translator says inside:
    `denormalize` gives the range.

    Args:
        path: the source's NIfTI.
        row: its row of `scans.csv`.
        fit: the models that translate this patient.
        targets: modalities.
        image_size: rows and columns of the GAN's grid.
        intensity: as in the training.
    """
    planes = read_planes(path, row, image_size, intensity)
    for target in targets:
        yield target, fit.translated(planes, row["modality"], target).stored(target, intensity)


def write_synthetic(
    scans_csv: Path, fits: Fits, intensity: Intensity, folder: Path, patients: Collection[str] | None = None
) -> pd.DataFrame:
    """Write the synthetic scans of `patients`, or of all, and their sidecars to `folder`; return the index."""
    scans = index.read(scans_csv, index.SCANS)
    if patients is not None:
        scans = scans[scans["patient"].isin(patients)]
    rows = []
    for _, scan in tqdm(scans.iterrows(), "synthesize", len(scans), disable=None):
        path = index.file_of(scans_csv, scan["image"], scan["image_sha256"])
        fit = fits.of(scan["patient"])
        targets = [target for origin, target in fits.directions if origin == scan["modality"]]
        for target, synthetic in synthesize(path, scan, fit, targets, fits.image_size, intensity):
            image = folder / f"{scan['case']}_{scan['modality']}_to_{target}.nii.gz"
            volume.write(synthetic, image)
            low, high = stored_range(target, intensity)
            facts = {
                "modality": target,
                "unit": f"HU + {-AIR_HU}" if is_ct(target) else "arbitrary",
                "offset": -AIR_HU if is_ct(target) else 0,
                "range": [low, high],
                "outside": 0,
                "source": scan["image"],
                "source_sha256": scan["image_sha256"],
                "fit": fit.name,
                "models_sha256": fit.models_sha256,
            }
            sidecar = json.dumps(facts, indent=2) + "\n"
            image.with_name(image.name.replace(".nii.gz", ".json")).write_text(sidecar)
            rows.append((scan["case"], scan["modality"], target, image.name, sha256(image), fit.name))
    return pd.DataFrame(rows, columns=[*index.SYNTHETIC, "fit"])


def main() -> None:
    """Parse the command line and publish the folder of synthetic scans."""
    parser = argparse.ArgumentParser(description="Translate every scan into every other modality.")
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True)
    parser.add_argument("--fit", nargs="+", action="append", required=True, metavar="NAME MODEL", help=FIT_HELP)
    parser.add_argument("--test", choices=[ALL, FOLD, MEAN], default=ALL, help="what translates those who test")
    parser.add_argument("--test-only", action="store_true", help="translate nobody else")
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    lease()
    who = splits.read(arguments.splits)
    fits = Fits(models_of_fits(arguments.fit), who, arguments.test)
    patients = who.test if arguments.test_only else None
    with publish_folder(arguments.output.parent) as folder:
        rows = write_synthetic(arguments.scans, fits, Intensity(**arguments.intensity), folder, patients)
        rows.to_csv(folder / "index.csv", index=False)


if __name__ == "__main__":
    run(main)
