"""A run that is killed at every kind of publish point and at random moments, NNENRICH_KILLS times in all."""

import os
import random
import re
import shutil
import signal
from pathlib import Path

from tests.faults.chain import KILLS, Fault, assert_same_results, faults, resume

SEED = int(os.environ.get("NNENRICH_SEED", "0"))
AT_POINTS = 0.7  # of the kills; the others come at any moment
NEXT = 20  # publish points of which one is drawn
MOMENTS_S = (4, 20)  # a start takes the first of them
VARIABLE = r"\b(ct|t1|stargan|thin|single|zero|copy|real)\b|\d+"


def kind(path: Path) -> str:
    """Return what stands for a published file and its like of other methods, modalities and patients."""
    return re.sub(VARIABLE, "*", str(path))


def next_points(project: Path, points: list[Path], tried: set[str]) -> list[Path]:
    """Return the next publish points of untried kinds that are still ahead."""

    def ahead(path: Path) -> bool:
        made = path.with_name("model.pt") if path.name == "checkpoint.pt" else path
        return not (project / made).exists()

    return [path for path in points if kind(path) not in tried and ahead(path)][:NEXT]


@faults
def test_a_run_survives_every_kill(undisturbed, project):
    published = undisturbed.with_name("published.txt").read_text().splitlines()
    points = [Path(line).relative_to(undisturbed) for line in dict.fromkeys(published)]
    kinds = len({kind(path) for path in points})

    rng = random.Random(SEED)
    tried: set[str] = set()
    told, struck, came = [], set(), 0
    while came < KILLS and len(told) < 2 * KILLS:
        ahead = next_points(project, points, tried)
        point = rng.choice(ahead) if ahead and rng.random() < AT_POINTS else None
        if point is not None:
            tried.add(kind(point))
            fault = Fault(signal.SIGKILL, f"{rng.choice(['before', 'after'])}:{point}")
        else:
            fault = Fault(rng.choice([signal.SIGKILL, signal.SIGTERM]), rng.uniform(*MOMENTS_S))
        ended = resume(project, fault)
        came += ended
        struck |= {kind(point)} if ended and point else set()
        told.append(f"{fault}: {'ended' if ended else 'the run was complete'}")
        if not ended:  # complete: from the beginning again
            assert_same_results(undisturbed / "results/tiny", project / "results/tiny")
            shutil.rmtree(project / "results/tiny")
    resume(project)
    print(*told, f"{came} kills survived, {len(struck)} of {kinds} kinds of publish points", sep="\n")  # noqa: T201
    assert_same_results(undisturbed / "results/tiny", project / "results/tiny")
    assert came == KILLS
    assert struck
