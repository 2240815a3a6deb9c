"""The batches that nnU-Net plans for a study's data sets, larger than those of its miniature's few cases.

Its default planner lets a batch hold at most a share of a data set's voxels (`max_dataset_covered`, 5 %).
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from io import StringIO
from math import ceil
from multiprocessing import get_context
from pathlib import Path

from enrich.config import Config
from enrich.forecast.cohort import Counts
from enrich.forecast.jobs import Job
from enrich.nnunet import environment
from enrich.rows import SHARES

Planned = tuple[str, int]
"""A modality, or `pooled`, and the number of cases that train."""


def planned(job: Job, config: Config, counts: Counts) -> Planned:
    """Return what the plans of a job's data set depend on; further synthetic cases take over those of the real ones."""
    modality = job.wildcards["modality"]
    names = [modality] if modality in config["modalities"] else config["transfer_from"] or config["modalities"]
    share = SHARES.search(job.wildcards["channels"])
    labels = int((share and share["labels"]) or 100) / 100
    return modality, max(1, ceil(sum(counts.training[name] for name in names) * labels - 1e-9))


def batch_sizes(nnunet: Config, ran: Sequence[Job], folder: Path, wanted: Iterable[Planned]) -> dict[Planned, int]:
    """Return the cases in a batch of each wanted data set.

    Args:
        nnunet: the config's key of that name.
        ran: the jobs of a miniature, which left the fingerprint of a data set of each modality.
        folder: in which they ran.
        wanted: a modality without a data set is planned by another one's.
    """
    made = {job.wildcards["modality"]: folder / job.outputs[0] for job in ran if job.rule == "nnunet_preprocess"}
    cases: dict[str, list[int]] = {}
    for modality, number in dict.fromkeys(wanted):
        cases.setdefault(modality, []).append(number)
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting = {
            modality: pool.submit(_plan, made.get(modality, next(iter(made.values()))), nnunet, numbers)
            for modality, numbers in cases.items()
        }
        return {
            (modality, number): size
            for modality, numbers in cases.items()
            for number, size in zip(numbers, waiting[modality].result(), strict=True)
        }


def _plan(preprocessed: Path, nnunet: Config, cases: Sequence[int]) -> list[int]:
    """Return the batch sizes for numbers of cases; for a process of its own, where nnU-Net is told of its folders."""
    home = preprocessed.parents[1]
    environment.configure(1, raw=home.with_name("raw"), preprocessed=home)
    with environment.importing():
        import nnunetv2
        from nnunetv2.experiment_planning.plan_and_preprocess_api import recursive_find_python_class

    where = Path(nnunetv2.__path__[0]) / "experiment_planning"
    kind = recursive_find_python_class(str(where), nnunet["planner"], "nnunetv2.experiment_planning")
    spacing_mm, memory_gb = nnunet["spacing_mm"], nnunet["gpu_memory_gb"]
    options = {} if memory_gb is None else {"gpu_memory_target_in_gb": memory_gb}
    spacing = None if spacing_mm is None else [float(edge) for edge in spacing_mm]
    planner = kind(preprocessed.parent.name, overwrite_target_spacing=spacing, **options)
    sizes = []
    for number in cases:
        planner.dataset_json["numTraining"] = number
        with redirect_stdout(StringIO()):
            plans = planner.plan_experiment()
        sizes.append(int(plans["configurations"][nnunet["configuration"]]["batch_size"]))
    return sizes
