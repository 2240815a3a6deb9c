"""The three files that name versions say the same."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from itertools import chain
from pathlib import Path

import yaml
from packaging.requirements import Requirement

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


def installed():
    """Return the version of every package that the project needs, itself or through another, and that is installed."""
    wanted = [*PROJECT["dependencies"], *chain.from_iterable(PROJECT["optional-dependencies"].values())]
    todo, seen, found = [Requirement(text) for text in wanted], set(), {}
    while todo:
        one = todo.pop()
        if (key := (canonical(one.name), *sorted(one.extras))) in seen:
            continue
        seen.add(key)
        try:
            found[key[0]] = version(one.name).partition("+")[0]
        except PackageNotFoundError:  # of an optional dependency
            continue
        others = map(Requirement, requires(one.name) or [])
        extras = ("", *one.extras)
        todo += [o for o in others if o.marker is None or any(o.marker.evaluate({"extra": e}) for e in extras)]
    return found


def test_everything_that_runs_is_pinned_at_its_version():
    found = installed()
    assert found.keys() >= {"torch", "torchvision", "nnunetv2", "snakemake", "simpleitk"}
    assert found == {name: CONSTRAINTS.get(name) for name in found}
