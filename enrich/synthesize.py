"""Every scan in every other modality, on the scan's own grid, by a trained translator."""

import argparse
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from enrich import index, splits, volume
from enrich.crossfit import ALL, FIT_HELP, FOLD, MEAN, Fit, Fits, models_of_fits
from enrich.intensity import AIR_HU, Intensity, stored_range
from enrich.modality import is_ct
from enrich.translate import Planes
from enrich.translating import Translating
from gan.errors import run
from gan.files import publish_folder, sha256
from gan.lease import lease


@dataclass(frozen=True)
class Synthesis(Translating[tuple["pd.Series[str]", Fit, dict[str, Planes]]]):
    """A scan on its way to the other modalities.

    A synthetic scan lies on the grid of the source. It is exactly 0 outside nnU-Net's own non-zero mask of the source,
    so that neither the crop nor the normalization of the real channel changes, and whatever the translator says inside:
    `denormalize` gives the range.
    """

    def translate(self, read: tuple["pd.Series[str]", Planes]) -> tuple["pd.Series[str]", Fit, dict[str, Planes]]:
        """Translate it to every modality that its patient's models know, by name: the network's part."""
        scan, planes = read
        fit, source = self.fits.of(scan["patient"]), scan["modality"]
        targets = [target for origin, target in self.fits.directions if origin == source]
        return scan, fit, {target: fit.translated(planes, source, target) for target in targets}

    def write(self, translated: tuple["pd.Series[str]", Fit, dict[str, Planes]]) -> list[tuple[str, ...]]:
        """Write the translations; return their rows of the index."""
        scan, fit, found = translated
        rows: list[tuple[str, ...]] = []
        for target, planes in found.items():
            image = self.folder / f"{scan['case']}_{scan['modality']}_to_{target}.nii.gz"
            volume.write(planes.stored(target, self.intensity), image)
            low, high = stored_range(target, self.intensity)
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
        return rows


def write_synthetic(
    scans_csv: Path,
    fits: Fits,
    intensity: Intensity,
    folder: Path,
    patients: Collection[str] | None = None,
    workers: int = 1,
) -> pd.DataFrame:
    """Write the synthetic scans of `patients`, or of all, and their sidecars to `folder`; return the index.

    While the network translates a scan, `workers` threads read the next ones and write the last.
    """
    scans = index.read(scans_csv, index.SCANS)
    if patients is not None:
        scans = scans[scans["patient"].isin(patients)]
    rows = Synthesis(scans_csv, fits, intensity, folder).rows(scans, "synthesize", workers)
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
    parser.add_argument("--workers", type=int, default=1, help="threads that read and write beside the network")
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    lease()
    who = splits.read(arguments.splits)
    fits = Fits(models_of_fits(arguments.fit), who, arguments.test)
    patients = who.test if arguments.test_only else None
    with publish_folder(arguments.output.parent) as folder:
        rows = write_synthetic(
            arguments.scans, fits, Intensity(**arguments.intensity), folder, patients, arguments.workers
        )
        index.write(rows, folder / "index.csv")


if __name__ == "__main__":
    run(main)
