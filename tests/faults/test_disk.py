"""A disk that is full, or may not be written: one line, nothing half written, and the run goes on when it can."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from enrich.last_words import FULL, last_words
from gan.errors import InputError
from gan.files import publish, publish_folder
from tests.faults.chain import RESUME, assert_same_results, faults, start


def mount(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = ["mount", "-t", "tmpfs", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def disk(tmp_path):
    """Mount small disks; what is mounted goes with the test."""
    mounted = []

    def small(folder: Path, options: str) -> None:
        folder.mkdir(exist_ok=True)
        done = mount("-o", options, "tmpfs", folder)
        if done.returncode:
            pytest.skip(f"no disk of its own: {done.stderr.strip()}")
        mounted.append(folder)

    yield small
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_one_line_and_nothing_is_left(tmp_path, disk):
    folder = tmp_path / "disk"
    disk(folder, "size=3m")
    with (
        pytest.raises(InputError, match=r"large.bin: found a full disk or quota, expected room"),
        publish(folder / "large.bin") as path,
    ):
        path.write_bytes(os.urandom(4 * 2**20))
    with pytest.raises(InputError, match="found a full disk"), publish_folder(folder / "made") as made:
        (made / "large.bin").write_bytes(os.urandom(4 * 2**20))
    assert list(folder.iterdir()) == []


def test_a_job_whose_log_found_no_room_is_told(tmp_path, disk):
    folder = tmp_path / "disk"
    disk(folder, "size=3m")
    log, run_log = folder / "job.log", tmp_path / "snakemake.log"
    log.touch()
    run_log.write_text(f"    log: {log} (check log file(s) for error details)\n")
    assert last_words([str(run_log)]) == []
    (folder / "large.bin").write_bytes(bytes(3 * 2**20 - 2**16))
    assert last_words([str(run_log)]) == [f"{log}: {FULL}"]
    log.write_text("epoch 1\n")
    assert last_words([str(run_log)]) == [f"{log}: {FULL}"]
    log.write_text("epoch 1\nerror: a reason\n")
    assert last_words([str(run_log)]) == [f"{log}: error: a reason"]


@faults
def test_a_run_goes_on_whenever_its_disk_has_room_again(undisturbed, project, disk):
    disk(project / "results", "size=1m")
    sizes = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 1024]
    failed = 0
    for megabytes in sizes:
        assert mount("-o", f"remount,size={megabytes}m", "tmpfs", project / "results").returncode == 0
        (project / "said.txt").unlink(missing_ok=True)
        code = start(project, RESUME).wait()
        said = (project / "said.txt").read_text()
        if code == 0:
            break
        failed += 1
        assert "found a full disk" in said or "No space left on device" in said, said[-3000:]
        assert "Traceback" not in said, f"{megabytes} MB: {said[-3000:]}"
    print(f"{failed} sizes were too small, {megabytes} MB enough")  # noqa: T201
    assert code == 0
    assert failed > 5
    assert_same_results(undisturbed / "results/tiny", project / "results/tiny")


@faults
@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--config", "run=new"], "results/new: found Read-only file system, expected a folder to write to"),
        (["--forceall"], "Write-protected output files for rule"),
    ],
)
def test_a_folder_that_may_not_be_written_is_told(undisturbed, project, disk, more, expected):
    disk(project / "results", "size=1g")
    shutil.copytree(undisturbed / "results", project / "results", dirs_exist_ok=True)
    assert mount("-o", "remount,ro", "tmpfs", project / "results").returncode == 0
    assert start(project, ["snakemake", "--cores", "2", "all", "--configfile", "tiny.yaml", *more]).wait() == 1
    said = (project / "said.txt").read_text()
    assert expected in said
    assert "Traceback" not in said
