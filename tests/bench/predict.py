"""How long the next patients take: `python -m tests.bench.predict BUNDLE --cases cases.csv` prints JSON.

Every case of the CSV is predicted `--repeat` times by one process, as `enrich.predict` does it; loading the models
and the first time of all are told apart. Memory is the most that the process held.
"""

import argparse
import json
import resource
import statistics
import tempfile
import time
from pathlib import Path

import torch

from enrich import bundle, cohort
from enrich.datasets import table
from enrich.predict import Predictor, predict


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.predict", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    start = time.perf_counter()
    found = bundle.read(arguments.bundle)
    rows = table.read_rows(arguments.cases, label=False)
    cases = cohort.cases_of(rows, arguments.cases, found, found.label_values)
    predictor = Predictor(found, [scan for scans in cases.values() for scan in scans])
    loaded, seconds, voxels = time.perf_counter() - start, [], []
    for _ in range(arguments.repeat):
        for scans in cases.values():
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                predict(predictor, scans, Path(folder), reference=False, as_dicom=False)
                seconds.append(time.perf_counter() - start)
            voxels.append(sum(scan.read()[0].array.size for scan in scans))
    told = {
        "cases": len(cases),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load_seconds": round(loaded, 2),
        "first_seconds": round(seconds[0], 2),
        "median_seconds_per_case": round(statistics.median(seconds[1:] or seconds), 2),
        "voxels_per_case": round(statistics.mean(voxels)),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9, 2),
    }
    print(json.dumps(told, indent=2))  # noqa: T201


if __name__ == "__main__":
    main()
