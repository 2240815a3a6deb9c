"""How a study grows with its patients: python -m tests.bench.growth FOLDER [--patients 20 200 2000].

Runs a study of phantoms of 32² × 8 voxels from end to end for each number of patients, with trainings of two rounds and
two batches, each in a folder of its own under FOLDER, and plots time, memory and disk of every rule against patients.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import yaml

from tests.bench.forecast import measured

PROJECT = Path(__file__).parents[2]
STUDY: dict[str, Any] = {
    "data": {"reader": "brats", "release": "2021", "phantom": {"slices": 8, "size": 32}},
    "modalities": ["flair", "t2"],
    "target": "whole_tumour",
    "image_size": 64,
    "methods": {"stargan": {"width": 4, "batch_size": 4, "rounds": 2}},
    "controls": ["single"],
    "nnunet": {
        "configuration": "2d",
        "folds": ["all"],
        "epochs": 1,
        "iterations": 2,
        "validation_iterations": 1,
        "foreground_samples": 100_000,
        "mirroring": False,
        "augmentation_workers": 0,
    },
    "threads": 1,
}
DRAWN = 8  # rules in a panel
PANELS = {"hours": "hours of all jobs", "memory_gb": "memory of the largest job, GB", "disk_gb": "disk, GB"}


def run(patients: int, folder: Path, cores: int) -> pd.DataFrame:
    """Run the study of some patients unless it is finished; return patients, rule, jobs, hours, memory and disk."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Snakefile", "workflow", "enrich", "gan"):
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(PROJECT / name)
    config = folder / "growth.yaml"
    data = STUDY["data"] | {"phantom": STUDY["data"]["phantom"] | {"patients": patients}}
    config.write_text(yaml.safe_dump(STUDY | {"data": data}, sort_keys=False))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "all", "--configfile", str(config.absolute())]
    start = time.monotonic()
    subprocess.run(command, cwd=folder, check=True)
    sys.stderr.write(f"{patients} patients: {time.monotonic() - start:.0f} s\n")
    rules = pd.DataFrame(measured(config, folder.absolute(), cores)).T.rename_axis("rule").reset_index()
    everything = {"rule": "total", **rules[["jobs", "hours", "disk_gb"]].sum(), "memory_gb": rules["memory_gb"].max()}
    return pd.concat([rules, pd.DataFrame([everything])], ignore_index=True).assign(patients=patients)


def slopes(found: pd.DataFrame) -> pd.DataFrame:
    """Return, of every rule, the growth for each patient between the two largest studies, and its bend.

    The bend is that growth over the one between the two smallest: 1 for a straight line, more where it steepens.
    """
    rows = []
    for rule, own in found.sort_values("patients").groupby("rule", sort=False):
        row: dict[str, object] = {"rule": rule}
        for key in PANELS:
            growth = own[key].diff() / own["patients"].diff()
            row |= {f"{key}_per_patient": growth.iloc[-1], f"{key}_bend": growth.iloc[-1] / growth.iloc[1]}
        rows.append(row)
    return pd.DataFrame(rows)


def plot(found: pd.DataFrame, path: Path) -> None:
    """Draw time, memory and disk against patients: of all rules together, thick, and of those that take the most."""
    figure, axes = plt.subplots(1, len(PANELS), figsize=(18, 6), constrained_layout=True)
    largest = found[found["patients"] == found["patients"].max()].set_index("rule")
    for axis, (key, title) in zip(axes, PANELS.items(), strict=True):
        for rule in largest[key].drop("total").nlargest(DRAWN).index.insert(0, "total"):
            own = found[found["rule"] == rule]
            axis.plot(own["patients"], own[key], marker=".", label=rule, linewidth=3 if rule == "total" else 1)
        axis.set(title=title, xlabel="patients", xlim=(0, None), ylim=(0, None))
        axis.legend(fontsize="small")
    figure.savefig(path, dpi=150)


def main() -> None:
    """Run, plot and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--patients", type=int, nargs="+", default=[20, 200, 2000])
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    if len(set(arguments.patients)) < 3:
        parser.error("--patients: three numbers or more tell whether a line is straight")
    runs = [run(number, arguments.folder / str(number), arguments.cores) for number in arguments.patients]
    found = pd.concat(runs, ignore_index=True)
    found.to_csv(arguments.folder / "growth.csv", index=False)
    plot(found, arguments.folder / "growth.png")
    lines = slopes(found)
    lines.to_csv(arguments.folder / "slopes.csv", index=False)
    sys.stdout.write(json.dumps(lines.set_index("rule").T.to_dict(), indent=2) + "\n")


if __name__ == "__main__":
    main()
