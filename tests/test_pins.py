"""The three files that name versions say the same."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(lines):
    return {canonical(name): pin for name, pin in (line.split("==") for line in lines if "==" in line)}


CONSTRAINTS = pins((ROOT / "constraints.txt").read_text().splitlines())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]


def test_conda_users_get_every_dependency_at_its_pinned_version():
    requirements = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    names = {canonical(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}
    assert pins(ENVIRONMENT[-1]["pip"]) == {name: CONSTRAINTS[name] for name in names}


def test_the_python_of_conda_users_is_one_that_the_project_supports():
    python = next(line for line in ENVIRONMENT if str(line).startswith("python="))
    assert PROJECT["requires-python"] == ">=" + python.removeprefix("python=")


@pytest.mark.parametrize("name", ["torch", "torchvision", "nnunetv2", "snakemake", "SimpleITK"])
def test_what_runs_is_what_is_pinned(name):
    assert version(name).split("+")[0] == CONSTRAINTS[canonical(name)]
