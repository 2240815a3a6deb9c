"""What a real Snakemake says of jobs that were killed, or that failed."""

import subprocess
import sys

from enrich.last_words import KILLED, last_words

SNAKEFILE = """
rule all:
    input: "killed", "silent", "failed", "ended"

rule killed:
    output: "killed"
    log: "killed.log"
    shell: "python -c 'import os; print(\\"half a\\", end=str(), flush=True); os.kill(os.getpid(), 9)' > {log:q} 2>&1"

rule silent:
    output: "silent"
    log: "silent.log"
    shell: "python -c 'import os; os.kill(os.getpid(), 9)' > {log:q} 2>&1"

rule failed:
    output: "failed"
    log: "failed.log"
    shell: "(echo error: a reason; echo a library; exit 1) > {log:q} 2>&1"

rule ended:  # by another of its processes, which said why
    output: "ended"
    log: "ended.log"
    shell: "(echo error: a batch; kill -9 $BASHPID) > {log:q} 2>&1"
"""


def test_a_job_that_was_killed_is_told_from_one_that_failed(tmp_path, monkeypatch):
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--keep-going"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1
    monkeypatch.chdir(tmp_path)
    found = last_words(map(str, (tmp_path / ".snakemake/log").glob("*.log")))
    assert sorted(found) == [
        "ended.log: error: a batch",
        "failed.log: error: a reason",
        f"killed.log: {KILLED}",
        f"silent.log: {KILLED}",
    ]
