import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from enrich.config import resolve as resolve_config
from enrich.forecast.cohort import count, patients_of
from enrich.forecast.estimate import Study, estimate
from enrich.forecast.jobs import Job, resolve
from enrich.forecast.miniature import Measured, Miniature, config_of
from enrich.forecast.rounds import Pace, measure
from enrich.forecast.schedule import simulate
from enrich.forecast.trainings import trainings
from gan.methods import METHODS
from gan.settings import resolve as resolve_settings

PROJECT = Path(__file__).parents[2]
DEMO = PROJECT / "workflow/config/phantom.yaml"
SMALL = {
    "run": "small",
    "data": {"reader": "brats", "release": "2021", "phantom": {"patients": 6, "slices": 8, "size": 32}},
    "modalities": ["flair", "t2"],
    "target": "whole_tumour",
    "image_size": 64,
    "methods": {"pix2pix": {"width": 4, "batch_size": 2, "downs": 4, "rounds": 40}},
    "controls": ["single"],
    "nnunet": {
        "configuration": "2d",
        "folds": ["all"],
        "epochs": 3,
        "iterations": 4,
        "validation_iterations": 1,
        "foreground_samples": 100000,
        "mirroring": False,
        "augmentation_workers": 0,
    },
    "threads": 1,
}


def job(*needs: int, threads: int = 1, gpu: bool = False, rule: str = "rule") -> Job:
    return Job(rule, {}, threads, gpu, needs, (), Path("benchmark"), Path("log"))


def test_the_jobs_are_those_of_the_dry_run():
    jobs = resolve(DEMO, PROJECT, 2)
    command = [sys.executable, "-m", "snakemake", "-n", "--forceall", "all", "--configfile", str(DEMO)]
    told = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    stats = told.partition("Job stats:")[2].partition("total")[0]
    assert Counter(job.rule for job in jobs) == {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", stats, re.M)}
    assert all(needed < place for place, job in enumerate(jobs) for needed in job.needs)


def test_a_schedule_waits_for_cores_gpus_and_files():
    apart, chain = [job(), job(), job()], [job(), job(0), job(1)]
    assert simulate(apart, [3, 2, 2], [1, 1, 1], cores=2, gpus=0).wall_s == 4  # 3 beside 2 and 2
    assert simulate(apart, [3, 2, 2], [1, 2, 4], cores=2, gpus=0).memory_gb == 5  # the first and the third
    assert simulate(chain, [3, 2, 2], [1, 1, 1], cores=2, gpus=0).wall_s == 7
    games = [job(gpu=True), job(gpu=True), job()]
    assert simulate(games, [3, 2, 4], [0, 0, 0], cores=4, gpus=1).wall_s == 5
    assert simulate(games, [3, 2, 4], [0, 0, 0], cores=4, gpus=0).wall_s == 4
    assert simulate([job(threads=2), job(threads=2)], [1, 1], [0, 0], cores=2, gpus=0).wall_s == 2


@pytest.fixture(scope="module")
def study():
    config = resolve_config(yaml.safe_load(DEMO.read_text()), DEMO)
    counts = count(config, patients_of(config, []))
    planned = trainings(config)
    return Study(config, counts, resolve(DEMO, PROJECT, 2), planned, {key: Pace(2, 0, 1, 0.1) for key in planned}, 0)


@pytest.fixture(scope="module")
def small(study, tmp_path_factory):
    """The demo's miniature, as if every job of it had taken 10 s, 4 of them to start."""
    phantom = study.config["data"] | {"phantom": study.config["data"]["phantom"] | {"ct_patients": 4, "mr_patients": 4}}
    config = config_of(study.config, phantom)
    file = tmp_path_factory.mktemp("miniature") / "miniature.yaml"
    file.write_text(yaml.safe_dump(config))
    jobs = [job for job in resolve(file, PROJECT, 2) if job.benchmark]
    took = [(job, Measured(10, 4, 1.2 if job.rule == "nnunet_train" else 0, 0.5, 0.2)) for job in jobs]
    return Miniature(config, patients_of(config, []), dict.fromkeys(config["modalities"], 12.0), took)


def test_the_demo_counts_its_scans(study):
    assert study.counts.scans == {"ct": 6, "t1": 6, "t2": 6}
    assert study.counts.training == study.counts.testing == {"ct": 3, "t1": 3, "t2": 3}
    assert study.counts.gan == {"ct": 2, "t1": 2, "t2": 2}  # one of three is watched


def seconds(study, small, rule, **wildcards):
    found = zip(study.jobs, estimate(study, small), strict=True)
    return next(one for job, one in found if job.rule == rule and wildcards.items() <= job.wildcards.items()).seconds


def test_work_grows_with_scans_and_the_start_does_not(study, small):
    assert seconds(study, small, "nnunet_preprocess", modality="ct") == pytest.approx(4 + 6 * 3 / 2)  # 2 of 4 train
    assert seconds(study, small, "synthesize", name="targan") == pytest.approx(4 + 6 * 18 / 12)
    # 12 batches for 1.2 s, 104 are asked for
    told = small.config["nnunet"]
    batches = 2 * (told["iterations"] + told["validation_iterations"])
    assert seconds(study, small, "nnunet_train") == pytest.approx(10 - 1.2 + 1.2 * 2 * 52 / batches)


def test_a_longer_training_takes_longer_in_proportion(study, small):
    own = study.trainings["targan", ""]
    assert own.rounds("all", study.counts, small.depth) == 500
    longer = replace(own, settings=replace(own.settings, rounds=1500))
    slow = replace(study, trainings=study.trainings | {("targan", ""): longer})
    before, after = (seconds(one, small, "train_gan", name="targan") for one in (study, slow))
    assert after - before == pytest.approx(1000 * 2)
    epochs = replace(own, settings=replace(own.settings, rounds=None, epochs=2))
    assert epochs.rounds("all", study.counts, small.depth) == 2 * (6 * 12 // 4)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_pace(name):
    kind = METHODS[name]
    few = 2 if kind.scope.value in ("2", "1→1") else 3
    small = {key: value for key, value in {"dimensions": 2, "downs": 4}.items() if hasattr(kind.paper, key)}
    entry = {"width": 4, "batch_size": few if few == 3 else 2, **small}
    settings = resolve_settings(kind.paper, kind.official, entry, name)
    found = measure(name, settings, few, 64, 1, least_s=0.01)
    assert found.round_s > 0
    assert (found.image_s > 0) == kind.translates
    assert found.model_gb > 0


def test_an_unknown_key_is_one_line(tmp_path):
    config = tmp_path / "wrong.yaml"
    config.write_text(yaml.safe_dump(SMALL | {"colour": "blue"}))
    command = [sys.executable, "-m", "enrich.forecast", str(config)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "colour" in done.stderr


def test_forecasts_a_study(tmp_path):
    config, output = tmp_path / "small.yaml", tmp_path / "forecast.json"
    config.write_text(yaml.safe_dump(SMALL))
    command = [sys.executable, "-m", "enrich.forecast", str(config), "--cores", "2", "--output", str(output)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    rules, total = found["rules"], found["total"]
    assert {rule: figures["jobs"] for rule, figures in rules.items()} == Counter(
        job.rule for job in resolve(config, PROJECT, 2)
    )
    for key in ("jobs", "hours", "gpu_hours", "disk_gb"):
        assert total[key] == pytest.approx(sum(figures[key] for figures in rules.values()))
    assert total["memory_gb"] == max(figures["memory_gb"] for figures in rules.values())
    assert total["hours"] / 2 <= total["wall_hours"] <= total["hours"]
    assert all(figures["hours"] > 0 and figures["memory_gb"] > 0 for rule, figures in rules.items() if rule != "all")
    assert not (PROJECT / "results" / "small").exists()
