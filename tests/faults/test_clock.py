"""A clock that jumps by days, backwards too: a run ends in a word of it, and goes on when the clock is right."""

import random
import time
from pathlib import Path

import pytest

from tests.faults.chain import RESUME, assert_same_results, faults, start

LIBRARY = next(iter(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)
RUNS = 12  # under the clock that jumps
JUMP_S = 8  # from one jump to the next


@faults
@pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime")
def test_a_run_under_a_jumping_clock_goes_on_when_the_clock_is_right(undisturbed, project, tmp_path):
    clock = tmp_path / "clock"
    clock.write_text("+0")
    fake = {"LD_PRELOAD": str(LIBRARY), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_CACHE_DURATION": "1"}
    rng, jumps, ended = random.Random(0), 0, 0
    for _ in range(RUNS):
        (project / "said.txt").unlink(missing_ok=True)
        process = start(project, RESUME, **fake, FAKETIME_DONT_FAKE_MONOTONIC="1", NO_FAKE_STAT="1")
        while process.poll() is None:
            time.sleep(JUMP_S)
            clock.write_text(f"{rng.uniform(-3, 3):+.3f}d")
            jumps += 1
        said = (project / "said.txt").read_text()
        assert "Traceback" not in said, said[-3000:]
        if process.returncode == 0:
            break
        ended += 1
        assert "older modification time" in said, said[-3000:]
    print(f"{jumps} jumps, which ended {ended} runs")  # noqa: T201
    assert ended
    assert start(project, RESUME).wait() == 0, (project / "said.txt").read_text()[-3000:]
    assert_same_results(undisturbed / "results/tiny", project / "results/tiny")
    (project / "said.txt").unlink()
    assert start(project, ["snakemake", "--cores", "2", "all", "--dry-run", "--configfile", "tiny.yaml"]).wait() == 0
    assert "Nothing to be done" in (project / "said.txt").read_text()
