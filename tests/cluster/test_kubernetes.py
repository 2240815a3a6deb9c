"""The Kubernetes profile: what Snakemake's executor sends to an API server for every job of a study."""

import json
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pandas as pd
import pytest
import yaml

from enrich.forecast.jobs import resolve
from tests.cluster.api_server import api_server
from tests.cluster.study import PROFILES, project

pytestmark = pytest.mark.cluster

VOXELS = (60, 256, 256)
PROFILE = PROFILES / "kubernetes"


def container(job):
    (found,) = job["spec"]["template"]["spec"]["containers"]
    return found


def target(job):
    """Return the rule of a job that was sent, and its wildcards."""
    rule, wildcards = re.search(r"--target-jobs ['\"]?(\w+):([^'\" ]*)", container(job)["args"][1]).groups()
    return rule, dict(word.split("=") for word in wildcards.split(",") if word)


def attempt(job):
    return int(re.search(r"--attempt (\d+)", container(job)["args"][1])[1])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The jobs of a study, and those that were sent to a cluster where they only leave their files, empty.

    The first training of a GAN fails.
    """
    pytest.importorskip("snakemake_executor_plugin_kubernetes", reason="the extra kubernetes is not installed")
    folder = tmp_path_factory.mktemp("kubernetes") / "project"
    config = project(folder)
    planned = [job for job in resolve(config, folder, cores=1) if job.benchmark]

    def pod(sent):
        (own,) = [job for job in planned if (job.rule, job.wildcards) == target(sent)]
        if own.rule == "train_gan" and attempt(sent) == 1:
            return False
        for path in (*own.outputs, own.benchmark):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
        if own.rule == "prepare":
            pd.DataFrame([dict(zip("zyx", VOXELS, strict=True))]).to_csv(folder / "results/tiny/scans.csv")
        return True

    with api_server(folder, pod) as (kubeconfig, sent):
        command = [sys.executable, "-m", "snakemake", "--profile", str(PROFILE), "all", "--configfile", str(config)]
        done = subprocess.run(
            [*command, "--seconds-between-status-checks", "1", "--latency-wait", "5"],
            cwd=folder,
            env=os.environ | {"KUBECONFIG": str(kubeconfig), "PYTHONPATH": str(PROFILE)},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return planned, sent


def test_every_job_is_sent_once_and_one_that_fails_again_with_more_memory(run):
    planned, sent = run
    first = [target(job) for job in sent if attempt(job) == 1]
    assert sorted(map(str, first)) == sorted(str((job.rule, job.wildcards)) for job in planned)
    assert len({rule for rule, _ in first}) > 25
    (again,) = [job for job in sent if attempt(job) == 2]
    (before,) = [job for job in sent if target(job) == target(again) and attempt(job) == 1]
    assert target(again)[0] == "train_gan"
    asked = [int(container(job)["resources"]["limits"]["memory"].removesuffix("M")) for job in (before, again)]
    assert asked[1] > 1.5 * asked[0]


def test_every_job_is_one_that_kubernetes_knows(run):
    client = pytest.importorskip("kubernetes").client.ApiClient()
    for job in run[1]:
        typed = client.deserialize(SimpleNamespace(data=json.dumps(job)), "V1Job")
        assert client.sanitize_for_serialization(typed) == job


def test_jobs_run_in_the_project_on_the_volume_in_the_image(run):
    profile = yaml.safe_load((PROFILE / "config.yaml").read_text())
    (volume,) = profile["kubernetes-volume-persistent-volumes"]
    claim, place = volume.split(":")
    for job in run[1]:
        found, pod = container(job), job["spec"]["template"]["spec"]
        assert found["image"] == profile["container-image"]
        assert found["command"] == ["/bin/sh"]
        assert found["args"][0] == "-c"
        assert found["args"][1].startswith(f"cd {place} && python -m snakemake ")
        assert {"name": claim, "mountPath": place} in found["volumeMounts"]
        assert {"name": claim, "persistentVolumeClaim": {"claimName": claim}} in pod["volumes"]
        assert pod["restartPolicy"] == "Never"
        assert job["spec"]["backoffLimit"] == 0


def test_only_jobs_that_use_a_gpu_get_one(run):
    planned, sent = run
    gpus = {job.rule: job.gpus for job in planned}
    assert 0 < sum(map(bool, gpus.values())) < len(gpus)
    for job in sent:
        limits = container(job)["resources"]["limits"]
        assert limits.get("nvidia.com/gpu", "0") == str(gpus[target(job)[0]])


def test_memory_follows_the_scans(run):
    voxels = VOXELS[0] * VOXELS[1] * VOXELS[2]
    for job in run[1]:
        limits, requests = (container(job)["resources"][key] for key in ("limits", "requests"))
        assert limits["memory"] == requests["memory"]
        if target(job)[0] == "evaluate":
            assert 1000 + 200 * voxels / 1e6 <= int(limits["memory"].removesuffix("M")) <= 2000 + 200 * voxels / 1e6
