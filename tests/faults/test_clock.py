"""A clock that jumps by days, backwards too, while a run is made: the same results, and nothing left to do."""

import random
import time
from pathlib import Path

import pytest

from tests.faults.chain import RESUME, assert_same_results, faults, start

LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


@faults
@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime")
def test_a_run_under_a_jumping_clock_ends_as_an_undisturbed_one(undisturbed, project, tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("+0")
    fake = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1"}
    process = start(project, RESUME, **fake, FAKETIME_DONT_FAKE_MONOTONIC="1", NO_FAKE_STAT="1")
    rng, jumps = random.Random(0), 0
    while process.poll() is None:
        time.sleep(3)
        clock.write_text(f"{rng.uniform(-3, 3):+.3f}d")
        jumps += 1
    said = (project / "said.txt").read_text()
    assert process.returncode == 0, said[-3000:]
    print(f"{jumps} jumps")  # noqa: T201
    assert_same_results(undisturbed / "results/tiny", project / "results/tiny")
    again = start(project, ["snakemake", "--cores", "2", "all", "--dry-run", "--configfile", "tiny.yaml"])
    assert again.wait() == 0
    assert "Nothing to be done" in (project / "said.txt").read_text()[len(said) :]
