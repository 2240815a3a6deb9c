"""Two snakemake of one study at once: one makes it, the other says why it does not."""

import subprocess

import pytest

from tests.faults.chain import assert_same_results, faults, start

ALL = ["snakemake", "--cores", "1", "all", "--configfile", "tiny.yaml"]


@faults
@pytest.mark.parametrize("unlocked", [False, True])
def test_one_makes_the_study_and_the_other_says_why_not(undisturbed, project, unlocked):
    command = [*ALL, "--nolock"] if unlocked else ALL
    both = [start(project, command) for _ in range(2)]
    assert sorted(process.wait() for process in both) == [0, 1]
    said = (project / "said.txt").read_text()
    assert ("results/tiny: found another snakemake" if unlocked else "LockException") in said
    assert "Traceback" not in said
    assert_same_results(undisturbed / "results/tiny", project / "results/tiny")
    assert subprocess.run([*ALL, "--dry-run"], cwd=project, capture_output=True, check=False).returncode == 0
