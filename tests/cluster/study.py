"""The study that is run on clusters: as small as one with a translator can be."""

from pathlib import Path

import yaml

from tests.test_workflow import CONFIG, copy_project

PROFILES = Path("workflow/profiles")
STUDY = CONFIG | {
    "data": {"reader": "chaos", "phantom": {"ct_patients": 3, "mr_patients": 3, "slices": 8, "size": 32, "seed": 1}},
    "structures": ["liver"],
    "methods": {"stargan": {"width": 4, "batch_size": 2, "rounds": 1000, "checkpoint_every": 10}},
    "controls": ["single"],
}
TABLE = "results/tiny/tables/segmentation.csv"
SCORES = "results/tiny/scores/segmentation.csv"


def project(folder: Path) -> Path:
    """Copy the project to a folder, with the study's config; return the config."""
    folder.mkdir()
    copy_project(folder)
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path
