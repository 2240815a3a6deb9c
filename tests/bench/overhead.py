"""What of a finished run was not its networks: `python -m tests.bench.overhead results/phantom` prints a table.

Overhead is the seconds of all jobs, `benchmarks/**/*.tsv`, without those that they waited for a GPU and those inside
GAN training (its rounds), the translators' and segmenters' networks, nnU-Net's training and its prediction, which the
programs say in their logs. Of a training that was resumed, all are of the last attempt alone. With `--times JOB=FACTOR
…`, the seconds inside networks of the jobs whose names begin so are multiplied: trainings of a few rounds count as
whole ones.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from gan.stopwatch import INSIDE, WAITING, said


def jobs(results: Path) -> pd.DataFrame:
    """Return a row a job: its name, rule, seconds without waiting for a GPU, and those of them inside networks."""
    rows = []
    for benchmark in sorted(results.rglob("benchmarks/**/*.tsv")):
        run = next(parent for parent in benchmark.parents if parent.name == "benchmarks").parent
        name = benchmark.relative_to(run / "benchmarks").with_suffix("")
        log = run / "logs" / f"{name}.log"
        seconds = float(pd.read_csv(benchmark, sep="\t")["s"].iloc[0]) - said(log, WAITING)
        rows.append((name.as_posix(), name.parts[0], seconds, said(log, INSIDE)))
    return pd.DataFrame(rows, columns=["job", "rule", "seconds", "inside"])


def overhead(found: pd.DataFrame, factors: dict[str, float]) -> pd.DataFrame:
    """Return a row a rule, sorted by seconds of overhead, and one of all."""
    factor = [next((factors[name] for name in factors if job.startswith(name)), 1.0) for job in found["job"]]
    more = found["inside"] * (np.array(factor) - 1)
    found = found.assign(seconds=found["seconds"] + more, inside=found["inside"] + more)
    table = found.groupby("rule").agg(jobs=("job", "size"), seconds=("seconds", "sum"), inside=("inside", "sum"))
    table["overhead"] = table["seconds"] - table["inside"]
    table = table.sort_values("overhead", ascending=False)
    table.loc["all"] = table.sum()
    table["percent"] = 100 * table["overhead"] / table["seconds"]
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.overhead", description=__doc__)
    parser.add_argument("results", type=Path, help="folder of a finished run")
    parser.add_argument("--times", nargs="+", default=[], metavar="JOB=FACTOR")
    arguments = parser.parse_args()
    factors = {name: float(factor) for name, _, factor in (text.partition("=") for text in arguments.times)}
    table = overhead(jobs(arguments.results), factors)
    print(table.astype({"jobs": int}).round(1).to_string())  # noqa: T201


if __name__ == "__main__":
    main()
