"""How far a forecast was from what a run then took: python -m tests.bench.forecast RESULTS FORECAST.json."""

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

import pandas as pd

from enrich.forecast.jobs import Job, resolve
from enrich.forecast.miniature import disk


def measured(config: Path, project: Path, cores: int) -> dict[str, dict[str, float]]:
    """Return seconds, memory and disk of every rule of a finished run, from its benchmark files and its folder."""
    jobs = resolve(config, project, cores)
    rows: dict[str, list[tuple[Job, float, float, float]]] = defaultdict(list)
    for job, size in zip(jobs, disk(jobs, project), strict=True):
        if job.benchmark is not None:
            row = pd.read_csv(project / job.benchmark, sep="\t", na_values=["NA", "-"]).iloc[0]
            rows[job.rule].append((job, float(row["s"]), float(row["max_rss"]) * 2**20 / 1e9, size / 1e9))
    return {
        rule: {
            "jobs": len(found),
            "hours": sum(seconds for _, seconds, _, _ in found) / 3600,
            "memory_gb": float(pd.Series([memory for _, _, memory, _ in found]).max()),
            "disk_gb": sum(size for *_, size in found),
        }
        for rule, found in rows.items()
    }


def main() -> None:
    """Print forecast, measured and their ratio, by rule and in all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path, help="folder in which Snakemake ran")
    parser.add_argument("forecast", type=Path)
    parser.add_argument("--config", type=Path, default=Path("workflow/config/phantom.yaml"))
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    told = json.loads(arguments.forecast.read_text())
    found = measured(arguments.config, arguments.project.absolute(), arguments.cores)
    total = pd.DataFrame(found).T
    found["total"] = dict(total[["jobs", "hours", "disk_gb"]].sum()) | {"memory_gb": total["memory_gb"].max()}
    sys.stdout.write(
        "| rule | jobs | hours | measured | ratio | memory, GB | measured | ratio | disk, GB | measured |\n"
    )
    for rule, ours in found.items():
        theirs = told["total"] if rule == "total" else told["rules"][rule]
        cells = [rule, f"{ours['jobs']:.0f}"]
        for key in ("hours", "memory_gb"):
            cells += [f"{theirs[key]:.3f}", f"{ours[key]:.3f}", f"{theirs[key] / ours[key]:.2f}"]
        cells += [f"{theirs['disk_gb']:.3f}", f"{ours['disk_gb']:.3f}"]
        sys.stdout.write(f"| {' | '.join(cells)} |\n")


if __name__ == "__main__":
    main()
