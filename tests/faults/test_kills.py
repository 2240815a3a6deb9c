"""A run that is killed again and again: at random moments, and at a publish point of each kind."""

import os
import random
import re
import shutil
import signal
from pathlib import Path

from tests.faults.chain import KILLS, Fault, assert_same_results, faults, resume

SEED = int(os.environ.get("NNENRICH_SEED", "0"))
MOMENTS_S = (4, 20)  # a start takes the first of them
TRIES = 3  # at a kind, whose file may be published while another's is waited for
VARIABLE = r"\b(ct|t1|stargan|thin|single|zero|copy|real)\b|\d+"


def kind(path: Path) -> str:
    """Return what stands for a published file and its like of other methods, modalities and patients."""
    return re.sub(VARIABLE, "*", str(path))


def is_ahead(path: Path) -> bool:
    """Return whether a run has yet to publish a file."""
    return not (path.with_name("model.pt") if path.name == "checkpoint.pt" else path).exists()


def assert_complete(undisturbed: Path, project: Path) -> None:
    """Compare a run that has ended with the undisturbed one, and remove it."""
    assert_same_results(undisturbed / "results/tiny", project / "results/tiny")
    shutil.rmtree(project / "results/tiny")


@faults
def test_a_run_survives_kills_at_random_moments(undisturbed, project):
    rng = random.Random(SEED)
    kills = 0
    while kills < KILLS:
        fault = Fault(rng.choice([signal.SIGKILL, signal.SIGTERM]), rng.uniform(*MOMENTS_S))
        ended = resume(project, fault)
        print(fault if ended else "complete", flush=True)  # noqa: T201
        kills += ended
        if not ended:
            assert_complete(undisturbed, project)
    resume(project)
    assert_complete(undisturbed, project)


@faults
def test_a_run_survives_a_kill_at_each_kind_of_publish_point(undisturbed, project):
    published = undisturbed.with_name("published.txt").read_text().splitlines()
    points = [Path(line).relative_to(undisturbed) for line in dict.fromkeys(published)]
    kinds = {kind(point) for point in points}

    rng = random.Random(SEED)
    tries = dict.fromkeys(kinds, 0)
    struck: set[str] = set()
    while missing := {kind for kind in kinds - struck if tries[kind] < TRIES}:
        point = next((point for point in points if kind(point) in missing and is_ahead(project / point)), None)
        fault = Fault(signal.SIGKILL, f"{rng.choice(['before', 'after'])}:{point}") if point else None
        ended = resume(project, fault)
        print(fault if ended else f"complete, {fault} did not come", flush=True)  # noqa: T201
        if ended and point:
            struck.add(kind(point))
        elif point:
            tries[kind(point)] += 1
        if not ended:
            assert_complete(undisturbed, project)
    resume(project)
    print(f"{len(struck)} of {len(kinds)} kinds")  # noqa: T201
    assert_complete(undisturbed, project)
    assert struck == kinds
