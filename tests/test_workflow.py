"""The whole DAG, run once on a tiny phantom in a copy of the project, and what a rerun would then do."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from tests import warm
from tests.faults.chain import Fault, assert_same_results, resume
from tests.tampering import Programs, changed, flipped, listed_jobs, padded, readers, state, truncated

ROOT = Path(__file__).parents[1]
CONFIG = {
    "run": "tiny",
    "data": {"reader": "chaos", "phantom": {"ct_patients": 3, "mr_patients": 3, "slices": 10, "size": 64, "seed": 1}},
    "modalities": ["ct", "t1"],
    "target": "liver",
    "split": {"train": 0.67, "watch": 1, "seed": 0},
    "image_size": 64,
    "methods": {
        "stargan": {"width": 4, "batch_size": 2, "rounds": 5, "checkpoint_every": 2},
        "thin": {"method": "targan", "width": 4, "batch_size": 2, "rounds": 3, "weights": {"crossing": 0}},
    },
    "nnunet": {
        "configuration": "2d",
        "folds": ["all"],
        "epochs": 1,
        "iterations": 1,
        "validation_iterations": 1,
        "foreground_samples": 10000,
        "mirroring": False,
        "augmentation_workers": 0,
    },
    "threads": 1,
}


def snakemake(project, *arguments, config=CONFIG):
    """Run snakemake in the copy with a config; return the finished process."""
    path = project / "tiny.yaml"
    path.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile", str(path)]
    environment = os.environ | warm.environment(project)
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def planned(project, *arguments, config=CONFIG):
    """Return the jobs that a dry run lists: rule and wildcards."""
    done = snakemake(project, "--dry-run", *arguments, config=config)
    assert done.returncode == 0, done.stderr
    jobs = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", done.stdout + done.stderr, re.MULTILINE)
    return {(rule, tuple(re.findall(r"\b(?:name|channels|seed|fit)=([^,\n]+)", text))) for rule, text in jobs}


def trained(jobs):
    return {wildcards for rule, wildcards in jobs if rule == "train_gan"}


def listed():
    """Return the names of the project's files."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in found if (ROOT / name).is_file()]


def copy_project(folder):
    """Copy the project's files to a folder."""
    for name in listed():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    copy = tmp_path_factory.mktemp("project")
    copy_project(copy)
    done = snakemake(copy, "all")
    assert done.returncode == 0, done.stderr[-5000:]
    return copy


@pytest.fixture
def edit(project):
    """Append a comment to a file of the copy, and take it back after the test."""
    texts = {}

    def append(name):
        texts[name] = (project / name).read_bytes()
        (project / name).write_bytes(texts[name] + b"\n# edited\n")

    yield append
    for name, text in texts.items():
        (project / name).write_bytes(text)


def test_the_table_has_every_method_and_modality(project):
    table = pd.read_csv(project / "results/tiny/tables/segmentation.csv")
    assert set(table["method"]) == {"single", "zero", "stargan", "thin"}
    assert set(table["modality"]) == {"ct", "t1"}
    scores = pd.read_csv(project / "results/tiny/scores/segmentation.csv")
    assert scores.groupby(["modality", "structure"]).size().to_dict() == {
        ("ct", "liver"): 4,
        **{("t1", name): 4 for name in ("left_kidney", "liver", "right_kidney", "spleen")},
    }
    for name in (
        "tables/segmentation.md",
        "tables/segmentation.tex",
        "tables/translation.md",
        "tables/ablation.md",
        "tables/cost.md",
        "figures/segmentation.png",
        "figures/translation.png",
        "report/index.html",
    ):
        assert (project / "results/tiny" / name).stat().st_size > 0


def test_tables_and_figures_are_attached_to_snakemakes_own_report(project, tmp_path):
    done = snakemake(project, "--report", str(tmp_path / "report.html"), "all")
    assert done.returncode == 0, done.stderr
    attached = set(re.findall(r"Adding (\S+) \(", done.stdout + done.stderr))
    names = ("segmentation", "comparisons", "translation", "ablation", "cost", "availability")
    assert attached == {f"{name}.md" for name in names} | {f"{names[k]}.png" for k in (0, 2, 5)}
    assert (tmp_path / "report.html").stat().st_size > 10**6


def test_a_run_that_is_ended_three_times_and_resumed_ends_as_an_undisturbed_one(project, tmp_path):
    copy_project(tmp_path)
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    training = "results/tiny/gan/stargan/all/seed0"
    assert resume(tmp_path, Fault(signal.SIGKILL, "before:results/tiny/slices"))
    assert resume(tmp_path, Fault(signal.SIGTERM, f"after:{training}/checkpoint.pt"))
    assert (tmp_path / training / "checkpoint.pt").is_file()
    assert resume(tmp_path, Fault(signal.SIGKILL, "before:results/tiny/scores/segmentation.csv"))
    log = (tmp_path / "results/tiny/logs/gan/stargan_all_seed0.log").read_text()
    assert "going on after round" in log
    resume(tmp_path)
    assert_same_results(project / "results/tiny", tmp_path / "results/tiny")


def test_every_job_left_a_log_and_a_benchmark(project):
    done = snakemake(project, "--dry-run", "--forceall", "all")
    jobs = dict(re.findall(r"^(\w+) +(\d+)$", done.stdout + done.stderr, re.MULTILINE))
    count = int(jobs["total"]) - sum(name in jobs for name in ("all", "tables", "figures"))
    assert count > 60
    assert len(list((project / "results/tiny/benchmarks").rglob("*.tsv"))) == count
    assert len(list((project / "results/tiny/logs").rglob("*.log"))) == count


def test_nothing_is_written_outside_the_results(project):
    allowed = {".snakemake", "results", "__pycache__", "tiny.yaml"}
    files = {path.relative_to(project) for path in project.rglob("*") if path.is_file()}
    written = {path for path in files if not allowed & set(path.parts)}
    assert written == {Path(name) for name in listed() if not allowed & set(Path(name).parts)}
    assert {path.name for path in (project / "results").iterdir()} == {"README.md", "tiny"}


@pytest.mark.parametrize("run", ["gan", "segmenters", "nnunet"])
def test_a_run_may_be_called_as_one_of_its_folders(tmp_path, run):
    copy_project(tmp_path)
    jobs = planned(tmp_path, f"results/{run}/audit.json", config=CONFIG | {"run": run})
    assert {rule for rule, _ in jobs} >= {"train_gan", "audit"}


def test_a_finished_run_has_nothing_to_do(project):
    assert planned(project, "all") == set()


def test_editing_a_method_retrains_it_and_nothing_else(project, edit):
    edit("gan/methods/targan.py")
    jobs = planned(project, "all")
    assert trained(jobs) == {("thin", "seed0")}
    assert {rule for rule, _ in jobs} & {"prepare", "slices", "split", "control", "phantom"} == set()
    assert not any("single" in wildcards or "stargan-seed0" in wildcards for _, wildcards in jobs)


@pytest.mark.parametrize("name", ["gan/losses.py", "gan/trainer.py", "gan/layers.py"])
def test_editing_what_every_training_runs_retrains_all(project, edit, name):
    edit(name)
    assert trained(planned(project, "all")) == {("thin", "seed0"), ("stargan", "seed0")}


def test_editing_another_reader_changes_nothing(project, edit):
    edit("enrich/datasets/brats.py")
    edit("enrich/datasets/__init__.py")
    assert {rule for rule, _ in planned(project, "results/tiny/scans.csv")} == set()


def test_a_new_method_or_ablation_trains_only_itself(project):
    more = {"targan": {"width": 4, "batch_size": 2, "rounds": 3}}
    jobs = planned(project, "all", config=CONFIG | {"methods": CONFIG["methods"] | more})
    assert trained(jobs) == {("targan", "seed0")}
    assert {wildcards[0] for rule, wildcards in jobs if rule == "nnunet_train"} == {"targan-seed0"}
    assert {rule for rule, _ in jobs} & {"prepare", "slices", "split", "control", "phantom"} == set()


def test_a_new_seed_trains_only_itself(project):
    jobs = planned(project, "all", config=CONFIG | {"seeds": [0, 1]})
    assert trained(jobs) == {("thin", "seed1"), ("stargan", "seed1")}
    assert {wildcards[-1] for rule, wildcards in jobs if rule == "nnunet_train"} == {"1"}


def test_a_single_rule_is_rerun_on_demand(project):
    jobs = planned(project, "all", "--forcerun", "train_gan")
    assert trained(jobs) == {("thin", "seed0"), ("stargan", "seed0")}
    target = planned(project, "results/tiny/tables/segmentation.csv", "--forcerun", "segmentation_table")
    assert {rule for rule, _ in target} == {"segmentation_table"}


def asked(project, *arguments):
    """Return the resources of every rule that a dry run lists, by name."""
    done = snakemake(project, "--dry-run", "all", "--forcerun", "train_gan", *arguments)
    found = re.findall(r"^rule (\w+):\n(?:    .*\n)*?    resources: (.*)", done.stdout + done.stderr, re.MULTILINE)
    return {rule: dict(word.split("=") for word in text.split(", ")) for rule, text in found}


def test_jobs_ask_for_what_their_scans_need(project):
    small = asked(project)
    table = project / "results/tiny/scans.csv"
    text, times = table.read_text(), (table.stat().st_atime_ns, table.stat().st_mtime_ns)
    try:
        pd.read_csv(table).assign(z=100, y=512, x=512).to_csv(table, index=False)
        os.utime(table, ns=times)
        large = asked(project)
    finally:
        table.write_text(text)
        os.utime(table, ns=times)
    assert small["evaluate"]["mem"] == "2 GB"  # 1 and a little
    assert large["evaluate"]["mem"] == "7 GB"  # 1 and 200 bytes for every voxel
    assert small["train_gan"] == large["train_gan"]


def test_without_gpus_no_job_asks_for_one(project):
    gpus = {rule: resources.get("gpu") for rule, resources in asked(project).items()}
    none = {rule: resources.get("gpu") for rule, resources in asked(project, "--resources", "gpu=0").items()}
    assert {rule for rule, gpu in gpus.items() if gpu == "1"} == {rule for rule, gpu in none.items() if gpu == "0"}
    assert {"train_gan", "synthesize", "nnunet_train"} <= {rule for rule, gpu in gpus.items() if gpu == "1"}


def test_changing_a_key_of_finished_results_is_refused_until_the_user_says_so(project):
    changed = CONFIG | {"methods": CONFIG["methods"] | {"thin": CONFIG["methods"]["thin"] | {"width": 8}}}
    done = snakemake(project, "--dry-run", "all", config=changed)
    assert done.returncode == 1
    assert "methods.thin.width: found 8, expected 4" in done.stdout + done.stderr
    jobs = planned(project, "all", config=changed | {"overwrite": True})
    assert trained(jobs) == {("thin", "seed0")}
    jobs = planned(project, "all", config=changed | {"run": "another"})
    assert trained(jobs) == {("thin", "seed0"), ("stargan", "seed0")}


def test_a_typo_is_named_before_any_job_starts(project):
    done = snakemake(project, "all", config=CONFIG | {"tagret": "liver"})
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "tiny.yaml: config: found Additional properties are not allowed ('tagret' was unexpected)" in said
    assert "Traceback" not in said
    assert "localrule" not in said


def test_the_reason_of_a_failure_stands_on_the_screen_and_nothing_is_written(project, tmp_path):
    config = CONFIG | {"run": "wrong", "data": {"reader": "chaos", "folder": str(tmp_path / "nowhere")}}
    done = snakemake(project, "all", config=config)
    assert done.returncode == 1
    assert re.search(rf"prepare\.log: error: {tmp_path}/nowhere: found .*, expected ", done.stderr)
    left = {path.name for path in (project / "results" / "wrong").iterdir()}
    assert left <= {"config.yaml", "config.yaml.sha256", ".running", "logs", "benchmarks"}


UNREAD = {
    ("prepare", "phantom.json"),  # stands for raw scans, which users have, without hashes
    ("cost_table", "segmentation.csv"),  # when these are there, all jobs that it counts are finished
    ("cost_table", "translation.csv"),
    ("html_report", "model.pt"),  # the log beside it is
}
"""Inputs that a rule waits for and does not read."""
COMPANIONS = [
    ("slices", "scans.csv", "structures.json"),
    ("slices", "scans.csv", "scans/*_ct.nii.gz"),
    ("slices", "scans.csv", "scans/*_label.nii.gz"),
    *(("train_gan", "slices.json", name) for name in ("index.csv", "images.npy", "targets.npy", "body.npy")),
    ("nnunet_preprocess", "ct/*/raw/*/dataset.json", "../../../../../scans/*_ct.nii.gz"),
    ("nnunet_preprocess", "ct/*/raw/*/dataset.json", "../../../../../scans/*_ct_label.nii.gz"),
    ("nnunet_train", "preprocessed.json", "nnUNetPlans.json"),
    ("nnunet_train", "preprocessed.json", "dataset.json"),
    ("nnunet_train", "preprocessed.json", "dataset_fingerprint.json"),
    ("nnunet_train", "preprocessed.json", "nnUNetPlans_2d/*.b2nd"),
    ("nnunet_train", "preprocessed.json", "nnUNetPlans_2d/*.pkl"),
    ("nnunet_train", "preprocessed.json", "gt_segmentations/*.nii.gz"),
    ("nnunet_predict", "dataset.json", "imagesTs/*.nii.gz"),
    ("evaluate", "index.csv", "*.nii.gz"),
    ("score_translations", "index.csv", "ct02_*_to_t1.nii.gz"),
    ("html_report", "model.pt", "log.csv"),
    ("audit", "slices.json", "images.npy"),
    ("audit", "index.csv", "made_by.json"),
]
"""Rule, the pattern of one of its inputs, and what a program reads beside it."""


@pytest.fixture(scope="module")
def jobs(project):
    done = snakemake(project, "--dry-run", "--forceall", "--printshellcmds", "all")
    found = listed_jobs(done.stdout + done.stderr)
    rules = set(re.findall(r"^(\w+) +\d+$", done.stdout + done.stderr, re.MULTILINE))
    assert {job.rule for job in found} == rules - {"all", "tables", "figures", "total"}
    return found


@pytest.fixture(scope="module")
def programs(project, jobs, tmp_path_factory):
    """Return what runs programs, and the folder in which it does, with links to the results."""
    folder = tmp_path_factory.mktemp("tampered")
    shutil.copytree(project / "results", folder / "results", symlinks=True, copy_function=os.link)
    found = Programs(folder, sorted({job.command[0] for job in jobs}))
    yield found, folder
    found.close()


def assert_refused(project, programs, job, path, damage, told=None):
    """Run a job's program while a file has another content: one line names it as `told`, and nothing is written."""
    run, folder = programs
    before = state(folder)
    with changed(folder / path, project / path, damage):
        code, said = run.run(job.command)
        after = state(folder)
    where = f"{job.rule}: {path}: {said}"
    assert code == 1, where
    assert "Traceback" not in said, where
    name = re.escape(told or path.name)
    errors = [line for line in said.splitlines() if line.startswith("error: ")]  # libraries may speak after it
    assert len(errors) == 1, where
    assert re.fullmatch(rf"error: (\S*: )?(\S+/)?{name}: found .*, expected .*", errors[0]), where
    gone = {folder / output for output in job.outputs} - after.keys()
    assert {file: facts for file, facts in before.items() if file not in gone | {folder / path}} == {
        file: facts for file, facts in after.items() if file != folder / path
    }, where
    for output in gone:
        os.link(project / output.relative_to(folder), output)


@pytest.mark.parametrize("damage", [padded, truncated])
def test_no_program_takes_an_artifact_that_changed_after_it_was_published(project, jobs, programs, damage):
    pairs = [(job, path) for job, path in readers(jobs) if (job.rule, path.name) not in UNREAD]
    assert len(pairs) > 60
    for job, path in pairs:
        assert_refused(project, programs, job, path, damage)


@pytest.mark.parametrize(("rule", "beside", "glob"), COMPANIONS, ids=lambda text: text)
def test_no_program_takes_a_changed_file_of_an_artifact(project, jobs, programs, rule, beside, glob):
    wanted = ((job, path) for job in jobs if job.rule == rule for path in job.inputs if path.match(beside))
    job, path = next((job, file) for job, path in wanted for file in sorted(project.glob(f"{path.parent}/{glob}")))
    assert_refused(project, programs, job, path.resolve().relative_to(project), flipped, told=path.name)


def test_what_nnunet_reads_beside_a_checkpoint_is_put_back(project, jobs, programs):
    run, folder = programs
    job = next(job for job in jobs if job.rule == "nnunet_predict")
    model = next(path for path in job.inputs if path.name == "checkpoint_final.pth").parents[1]
    for name in ("plans.json", "dataset.json"):
        (folder / model / name).unlink()
    (folder / model / "plans.json").write_text("{")
    code, said = run.run(job.command)
    assert code == 0, said
    for path in (model / "plans.json", model / "dataset.json", *job.outputs):
        assert (folder / path).read_bytes() == (project / path).read_bytes()


def test_a_table_cut_by_hand_stops_the_run_and_once_deleted_is_made_again(project):
    scores, tables = project / "results/tiny/scores/segmentation.csv", project / "results/tiny/tables"
    timed = {"cost"}
    before = {path.name: path.read_bytes() for path in tables.iterdir() if path.stem not in timed}
    scores.write_bytes(truncated(scores.read_bytes()))
    done = snakemake(project, "all")
    assert done.returncode == 1
    assert re.search(r"\.log: error: results/tiny/scores/segmentation\.csv: found another file than was", done.stderr)
    assert all(path.read_bytes() == before[path.name] for path in tables.iterdir() if path.name in before)
    scores.unlink()
    done = snakemake(project, "all")
    assert done.returncode == 0, done.stderr[-5000:]
    assert {path.name: path.read_bytes() for path in tables.iterdir() if path.name in before} == before
    assert planned(project, "all") == set()


def test_other_slices_retrain_all_even_if_they_were_made_alone(project):
    cache = project / "results/tiny/slices"
    before = (cache / "index.csv").read_bytes()
    window = CONFIG | {"intensity": {"ct_window_hu": [-100, 300]}, "overwrite": True}
    done = snakemake(project, "results/tiny/slices/index.csv", config=window)
    assert done.returncode == 0, done.stderr
    assert (cache / "index.csv").read_bytes() == before
    assert trained(planned(project, "all", config=window)) == {("thin", "seed0"), ("stargan", "seed0")}
