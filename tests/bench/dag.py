"""How long the jobs of a large study take to resolve: python -m tests.bench.dag [CONFIG]."""

import argparse
import json
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

STUDY = Path(__file__).with_name("study.yaml")


def measure(config: Path) -> dict[str, float]:
    """Return jobs, seconds and peak memory of a dry run of `all`, in a process of its own."""
    command = [sys.executable, "-m", "snakemake", "-n", "all", "--configfile", str(config)]
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.monotonic() - start
    jobs = re.search(r"^total +(\d+)$", done.stdout, re.MULTILINE)
    assert jobs is not None
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**10
    return {"jobs": int(jobs[1]), "seconds": round(seconds, 1), "peak_mib": round(peak)}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path, nargs="?", default=STUDY)
    sys.stdout.write(json.dumps(measure(parser.parse_args().config), indent=2) + "\n")


if __name__ == "__main__":
    main()
