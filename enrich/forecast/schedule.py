"""How long jobs take together: each starts as soon as what it needs is there, and free cores and GPUs."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from enrich.forecast.jobs import Job


@dataclass(frozen=True)
class Schedule:
    """What a study takes.

    Attributes:
        wall_s: seconds from the first job's start to the last one's end.
        memory_gb: the most that jobs hold at once.
    """

    wall_s: float
    memory_gb: float


def simulate(
    jobs: Sequence[Job], seconds: Sequence[float], memory_gb: Sequence[float], cores: int, gpus: int
) -> Schedule:
    """Run jobs, in the order of the list where several are ready; without a GPU, theirs run on cores alone.

    No job takes more cores or GPUs than there are.
    """
    waiting = [len(job.needs) for job in jobs]
    followers: list[list[int]] = [[] for _ in jobs]
    for place, job in enumerate(jobs):
        for needed in job.needs:
            followers[needed].append(place)
    ready = [place for place, count in enumerate(waiting) if not count]
    running: list[tuple[float, int]] = []
    now = held = most = 0.0
    taken_gpus = [job.gpus if gpus else 0 for job in jobs]
    free_cores, free_gpus = cores, gpus
    while ready or running:
        later = []
        while ready and free_cores:
            place = heapq.heappop(ready)
            job = jobs[place]
            if job.threads > free_cores or taken_gpus[place] > free_gpus:
                later.append(place)
                continue
            free_cores -= job.threads
            free_gpus -= taken_gpus[place]
            held += memory_gb[place]
            most = max(most, held)
            heapq.heappush(running, (now + seconds[place], place))
        for place in later:
            heapq.heappush(ready, place)
        now, place = heapq.heappop(running)
        free_cores += jobs[place].threads
        free_gpus += taken_gpus[place]
        held -= memory_gb[place]
        for follower in followers[place]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, follower)
    return Schedule(now, most)
