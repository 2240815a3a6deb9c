"""Every scan in every other modality, on the scan's own grid, by a trained translator."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from enrich import index, volume
from enrich.intensity import AIR_HU, Intensity, stored_range
from enrich.modality import is_ct
from enrich.translate import read_planes
from gan.errors import run
from gan.files import publish_folder, sha256
from gan.translator import Translator


def synthesize(
    path: Path, row: "pd.Series[str]", translator: Translator, intensity: Intensity
) -> Iterator[tuple[str, volume.Volume]]:
    """Yield (target modality, synthetic scan) for every modality that the translator knows from the scan's own.

    A synthetic scan lies on the grid of the source. It is exactly 0 outside nnU-Net's own non-zero mask of the source,
    so that neither the crop nor the normalization of the real channel changes, and whatever the translator says inside:
    `denormalize` gives the range.

    Args:
        path: the source's NIfTI.
        row: its row of `scans.csv`.
        translator: the trained models.
        intensity: as in the training.
    """
    planes, source = read_planes(path, row, translator.image_size, intensity), row["modality"]
    for target in (target for origin, target in translator.directions if origin == source):
        yield target, planes.translated(translator, source, target).stored(target, intensity)


def write_synthetic(scans_csv: Path, models: Sequence[Path], intensity: Intensity, folder: Path) -> pd.DataFrame:
    """Write every synthetic scan and its sidecar to `folder`; return the rows of the index."""
    translator, models_sha256 = Translator(models), [sha256(model) for model in models]
    scans = index.read(scans_csv, index.SCANS)
    rows = []
    for _, scan in tqdm(scans.iterrows(), "synthesize", len(scans), disable=None):
        path = index.file_of(scans_csv, scan["image"], scan["image_sha256"])
        for target, synthetic in synthesize(path, scan, translator, intensity):
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
                "models_sha256": models_sha256,
            }
            sidecar = json.dumps(facts, indent=2) + "\n"
            image.with_name(image.name.replace(".nii.gz", ".json")).write_text(sidecar)
            rows.append((scan["case"], scan["modality"], target, image.name, sha256(image)))
    return pd.DataFrame(rows, columns=["case", "source", "target", "image", "sha256"])


def main() -> None:
    """Parse the command line and publish the folder of synthetic scans."""
    parser = argparse.ArgumentParser(description="Translate every scan into every other modality.")
    parser.add_argument("--scans", type=Path, required=True)
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="of all pairs or directions")
    parser.add_argument("--intensity", type=json.loads, required=True, help="the config's key intensity, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="index.csv of the folder to write")
    arguments = parser.parse_args()
    with publish_folder(arguments.output.parent) as folder:
        rows = write_synthetic(arguments.scans, arguments.models, Intensity(**arguments.intensity), folder)
        rows.to_csv(folder / "index.csv", index=False)


if __name__ == "__main__":
    run(main)
