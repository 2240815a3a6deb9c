import gc
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from enrich import volume
from enrich.config import resolve as resolve_config
from enrich.datasets.table import COLUMNS
from enrich.forecast.__main__ import forecast, summary
from enrich.forecast.cohort import count, few, patients_of, scans_of
from enrich.forecast.estimate import Estimate, Study, estimate
from enrich.forecast.jobs import Job, resolve
from enrich.forecast.miniature import Measured, Miniature, config_of, imports_s, run
from enrich.forecast.plans import batch_sizes
from enrich.forecast.rounds import Pace, measure
from enrich.forecast.schedule import Schedule, simulate
from enrich.forecast.trainings import Training, trainings
from gan.errors import InputError
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


def job(*needs: int, threads: int = 1, gpus: int = 0, rule: str = "rule") -> Job:
    return Job(rule, {}, threads, gpus, needs, (), Path("benchmark"), Path("log"))


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
    on_gpus = [job(gpus=1), job(gpus=1), job()]
    assert simulate(on_gpus, [3, 2, 4], [0, 0, 0], cores=4, gpus=1).wall_s == 5
    assert simulate(on_gpus, [3, 2, 4], [0, 0, 0], cores=4, gpus=0).wall_s == 4
    shared = [job(gpus=2), job(gpus=1), job(gpus=1)]
    assert simulate(shared, [3, 2, 2], [0, 0, 0], cores=4, gpus=2).wall_s == 5
    assert simulate(shared, [3, 2, 2], [0, 0, 0], cores=4, gpus=3).wall_s == 4
    assert simulate([job(threads=2), job(threads=2)], [1, 1], [0, 0], cores=2, gpus=0).wall_s == 2


@pytest.fixture(scope="module")
def study():
    config = resolve_config(yaml.safe_load(DEMO.read_text()), DEMO)
    counts = count(config, patients_of(config, []))
    planned = trainings(config)
    paces = {key: Pace(2, 0, 1, 0.1) for key in planned}
    batches = {(modality, cases): 2 * cases for modality in config["modalities"] for cases in (2, 3)}
    return Study(config, counts, resolve(DEMO, PROJECT, 2), planned, paces, batches, 0)


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
    assert study.counts.gan == study.counts.labelled == {"ct": 2, "t1": 2, "t2": 2}  # one of three is watched
    assert study.counts.slices == {"ct": 3, "t1": 3, "t2": 3}


def seconds(study, small, rule, **wildcards):
    found = zip(study.jobs, estimate(study, small), strict=True)
    return next(one for job, one in found if job.rule == rule and wildcards.items() <= job.wildcards.items()).seconds


def test_work_grows_with_scans_and_the_start_does_not(study, small):
    assert seconds(study, small, "nnunet_preprocess", modality="ct") == pytest.approx(4 + 6 * 3 / 2)  # 2 of 4 train
    assert seconds(study, small, "synthesize", name="targan") == pytest.approx(4 + 6 * 18 / 12)
    assert seconds(study, small, "slices") == pytest.approx(4 + 6 * 9 / 6)  # the watched patient's too
    # 12 batches for 1.2 s, 104 are asked for, of 6 cases where 2 patients' were of 4
    told = small.config["nnunet"]
    batches = 2 * (told["iterations"] + told["validation_iterations"])
    assert seconds(study, small, "nnunet_train") == pytest.approx(10 - 1.2 + 1.2 * 2 * 52 / batches * 6 / 4)


def test_a_longer_training_takes_longer_in_proportion(study, small):
    own = study.trainings["targan", ""]
    scans = study.counts.labelled
    assert own.rounds(scans, small.depth) == 500
    longer = replace(own, settings=replace(own.settings, rounds=1500))
    slow = replace(study, trainings=study.trainings | {("targan", ""): longer})
    before, after = (seconds(one, small, "train_gan", name="targan") for one in (study, slow))
    assert after - before == pytest.approx(1000 * 2)
    epochs = replace(own, settings=replace(own.settings, rounds=None, epochs=2))
    assert epochs.rounds(scans, small.depth) == 2 * (6 * 12 // 4)


def test_preparing_is_spread_over_cores(study, small):
    jobs = [replace(one, threads=2) if one.rule == "prepare" else one for one in study.jobs]
    assert seconds(replace(study, prepare_s=3, jobs=jobs), small, "prepare") == pytest.approx(4 + 18 * 3 / 2)


def test_the_mean_of_folds_is_translated_by_every_fold(study, small):
    wildcards = {"name": "targan", "seed": "0", "test": "mean"}
    tests = [replace(job(rule="synthesize_tests"), wildcards=wildcards | {"test": test}) for test in ("fold", "mean")]
    whole = next(one for one in study.jobs if one.rule == "synthesize")
    folded = replace(study, jobs=[whole, *tests], config=study.config | {"crossfit": 3, "crossfit_test": "mean"})
    works = [found.seconds - 4 for found in estimate(folded, small)]
    assert works == pytest.approx([6 * (9 + 3 * 9) / 12, 6 * 9 / 12, 6 * 3 * 9 / 12])


def test_a_segmenter_trains_on_the_scans_of_its_modality(study, small):
    kind = METHODS["segan"]
    settings = replace(resolve_settings(kind.paper, kind.official, {"batch_size": 2}, "segan"), epochs=1, rounds=None)
    one = replace(job(rule="train_segmenter"), wildcards={"name": "segan", "modality": "ct"})
    few = replace(
        small,
        config=small.config | {"methods": {"segan": {"batch_size": 2, "rounds": 2}}},
        jobs=[*small.jobs, (one, Measured(10, 4, 0, 0.5, 0.2))],
    )
    changed = replace(
        study,
        counts=replace(study.counts, training=Counter({"ct": 7, "t1": 3, "t2": 1})),
        trainings={("segan", ""): Training("segan", settings, {"all": ("ct", "t1", "t2")})},
        paces={("segan", ""): Pace(0.5, 0, 1, 0.1)},
        jobs=[one],
    )
    assert estimate(changed, few)[0].seconds == pytest.approx(10 - 2 * 0.5 + 7 * 12 // 2 * 0.5)


def test_several_devices_are_calibrated_by_one(study, small, monkeypatch):
    own = study.trainings["targan", ""]
    shared = replace(own, settings=replace(own.settings, batch_size=12, devices=2))
    sizes = []
    for gpu in (True, False):
        monkeypatch.setattr("torch.cuda.is_available", lambda gpu=gpu: gpu)
        assert shared.on_one_device.devices == 1
        sizes.append(shared.on_one_device.batch_size)
        config = study.config | {"nnunet": study.config["nnunet"] | {"devices": 2}}
        sizes.append(seconds(replace(study, config=config), small, "nnunet_train"))
    one = seconds(study, small, "nnunet_train")
    assert sizes == [6, pytest.approx((one + 8.8) / 2), 12, one]  # on a GPU half of each batch; 8.8 s of all else


def test_a_miniature_has_one_device_and_paths_that_hold_anywhere(study):
    config = study.config | {
        "methods": {"targan": study.config["methods"]["targan"] | {"devices": 2}},
        "nnunet": study.config["nnunet"] | {"devices": 2},
        "structures": ["liver", "spleen"],
        "distance_features": {"backbone": "inception", "weights": "weights.pth"},
    }
    data = study.config["data"] | {"phantom": None, "reader": "table", "folder": "/t.csv", "structures": {"liver": [1]}}
    found = config_of(config, data)
    assert "devices" not in found["methods"]["targan"]
    assert found["nnunet"]["devices"] == 1
    assert found["distance_features"]["weights"] == str(Path("weights.pth").absolute())
    written = {key: value for key, value in found.items() if key != "run"}
    assert resolve_config(written, Path("miniature.yaml"))["structures"] is None  # and the table has those it can


def test_hours_of_a_gpu_are_those_of_all_that_a_job_takes():
    found = summary([job(gpus=2), job(gpus=1), job()], [Estimate(3600, 1, 1)] * 3, 2, Schedule(1, 1))
    assert found["total"]["gpu_hours"] == 3
    assert summary([job(gpus=2)], [Estimate(3600, 1, 1)], 0, Schedule(1, 1))["total"]["gpu_hours"] == 0


def test_imports_count_once_for_the_program_and_once_for_its_workers():
    line = "import time: {:9} | {:10} | {}\n".format
    parent = line(2_000_000, 2_500_000, "torch") + line(500_000, 500_000, "  numpy")
    worker = line(1_000_000, 1_200_000, "numpy")
    log = "import time: self [us] | cumulative | imported package\n" + parent + "prepare: 1/4\n" + 3 * worker
    assert imports_s(log) == pytest.approx(2 + 0.5 + 1)


@pytest.fixture
def listed(tmp_path):
    """A study of a user's table and split: six labelled patients and three others, each with two modalities."""
    for name in ("image", "label"):
        array = np.arange(4 * 32 * 32, dtype=np.int16).reshape(4, 32, 32) % (2 if name == "label" else 99)
        volume.write(volume.Volume(array, (1.0, 1.0, 2.0)), tmp_path / f"{name}.nii.gz")
    rows = [
        (f"p{number}", name, "image.nii.gz", "label.nii.gz" if number < 6 else "")
        for number in range(9)
        for name in ("flair", "t2")
    ]
    pd.DataFrame(rows, columns=COLUMNS).to_csv(tmp_path / "table.csv", index=False)
    sets = ["train", "train", "watch", "test", "test", "test"]
    users = pd.DataFrame({"patient": [f"p{number}" for number in range(6)], "set": sets})
    users.to_csv(tmp_path / "split.csv", index=False)
    data = {"reader": "table", "folder": str(tmp_path / "table.csv"), "structures": {"whole_tumour": [1]}}
    return resolve_config(SMALL | {"data": data, "split": str(tmp_path / "split.csv")}, tmp_path / "listed.yaml")


def test_scans_without_a_label_train_gans_alone(listed):
    scans = scans_of(listed)
    counts = count(listed, patients_of(listed, scans))
    assert counts.scans == {"flair": 9, "t2": 9}
    assert counts.slices == {"flair": 6, "t2": 6}  # 2 train, 1 is watched, 3 have no label
    assert counts.gan == {"flair": 5, "t2": 5}
    assert counts.labelled == {"flair": 2, "t2": 2}
    assert counts.training == counts.testing == {"flair": 3, "t2": 3}


def test_a_miniature_of_labelled_scans_is_timed_by_one_of_each_modality(listed, tmp_path):
    data, seconds = few(listed, scans_of(listed), tmp_path / "few", 1)
    rows = pd.read_csv(data["folder"], dtype=str, keep_default_na=False)
    assert sorted(rows["patient"]) == sorted(2 * ["p0", "p2", "p3", "p5"])
    assert (rows["label"] != "").all()
    assert len(list((tmp_path / "few/timed").glob("*[!l].nii.gz"))) == 2
    assert 0 < seconds < 5


def test_more_cases_fill_larger_batches(tmp_path):
    home = tmp_path / "single"
    raw, preprocessed = (home / name / "Dataset001_enriched" for name in ("raw", "preprocessed"))
    raw.mkdir(parents=True)
    preprocessed.mkdir(parents=True)
    volume.write(volume.Volume(np.ones((12, 64, 64), np.int16), (1.0, 1.0, 4.0)), raw / "a.nii.gz")
    dataset = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "liver": 1},
        "numTraining": 2,
        "file_ending": ".nii.gz",
        "dataset": {"a": {"images": ["a.nii.gz"], "label": "a.nii.gz"}},
    }
    (raw / "dataset.json").write_text(json.dumps(dataset))
    fingerprint = {
        "spacings": 2 * [[4.0, 1.0, 1.0]],
        "shapes_after_crop": 2 * [[12, 64, 64]],
        "median_relative_size_after_cropping": 1.0,
        "foreground_intensity_properties_per_channel": {},
    }
    (preprocessed / "dataset_fingerprint.json").write_text(json.dumps(fingerprint))
    nnunet = resolve_config(SMALL, Path("small.yaml"))["nnunet"]
    ran = replace(job(rule="nnunet_preprocess"), wildcards={"modality": "ct"})
    ran = replace(ran, outputs=(Path("single/preprocessed/Dataset001_enriched/preprocessed.json"),))
    wanted = [("ct", 2), ("ct", 10), ("ct", 100), ("pooled", 10)]
    # 5 % of 12 slices of 64² a case, and never fewer than 2
    assert batch_sizes(nnunet, [ran], tmp_path, wanted) == dict(zip(wanted, (2, 6, 60, 6), strict=True))


def test_a_failed_calibration_says_why(tmp_path):
    project, folder = tmp_path / "project", tmp_path / "folder"
    project.mkdir()
    folder.mkdir()
    program = project / "program.py"
    program.write_text("import json\nraise SystemExit('error: scan.nii: found NaN')\n")
    rules = f"""
rule all:
    input:
        "results/x",
rule x:
    output:
        "results/x",
    log:
        "results/x.log",
    shell:
        "{sys.executable} {program} > {{log}} 2>&1"
"""
    (project / "Snakefile").write_text(rules)
    with pytest.raises(InputError, match=r"^calibration: found results/x.log: error: scan.nii: found NaN, expected"):
        run({}, folder, project, 1)


def test_what_the_workflow_misses_is_one_line_and_garbage_is_collected_again(tmp_path):
    config = tmp_path / "small.yaml"
    features = {"backbone": "inception", "weights": "/nowhere/weights.pth"}
    config.write_text(yaml.safe_dump(SMALL | {"distance_features": features}))
    with pytest.raises(InputError, match=r"config: found Missing input files .* /nowhere/weights.pth, expected"):
        resolve(config, PROJECT, 2)
    assert gc.isenabled()


def test_a_config_without_keys_is_refused(tmp_path):
    config = tmp_path / "empty.yaml"
    config.write_text("# nothing yet\n")
    with pytest.raises(InputError, match=r"empty.yaml: found no keys, expected the config of a study"):
        forecast(config, 2)


def test_memory_is_the_process_s_own():
    ballast = np.ones(2 * 10**8)  # 1.6 GB
    code = "from enrich.forecast.rounds import _peak_gb; print(_peak_gb())"
    told = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert 0.05 < float(told) < 1.2 < ballast.nbytes / 1e9


def of_folder(folder: Path) -> list[int]:
    """Return the processes that work in a folder or were told of it."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (path / "cmdline").read_bytes().decode().split("\0")
            if any(str(folder) in word for word in [*words, str((path / "cwd").readlink())]):
                found.append(int(path.name))
    return found


def test_an_ended_forecast_leaves_no_process_and_no_file(tmp_path):
    config, temporary = tmp_path / "small.yaml", tmp_path / "temporary"
    temporary.mkdir()
    config.write_text(yaml.safe_dump(SMALL | {"threads": 2}))
    command = [sys.executable, "-m", "enrich.forecast", str(config), "--cores", "2"]
    process = subprocess.Popen(command, cwd=PROJECT, env=os.environ | {"TMPDIR": str(temporary)})
    while process.poll() is None and not list(temporary.glob("*/results/miniature/logs/slices.log")):
        time.sleep(0.1)
    assert len(of_folder(tmp_path)) > 2  # the forecast, Snakemake and a job
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert not of_folder(tmp_path)
    assert not list(temporary.glob("tmp*"))


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
