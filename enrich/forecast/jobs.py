"""The jobs of a study, as Snakemake resolves them."""

import gc
import os
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path

from snakemake.api import SnakemakeApi
from snakemake.exceptions import RuleException, WorkflowError
from snakemake.settings.enums import Quietness
from snakemake.settings.types import ConfigSettings, DAGSettings, OutputSettings, ResourceSettings

from gan.errors import InputError

TARGET = "all"


@dataclass(frozen=True)
class Job:
    """One job of a study.

    Attributes:
        rule: its name.
        wildcards: their values, by name.
        threads: that it takes, at most the cores there are.
        gpus: that it takes.
        needs: places, in the list of all jobs, of those whose files it reads; all before its own.
        outputs: its files, relative to the project.
        benchmark: where Snakemake notes its time and memory; None for a job that runs nothing.
        log: its log; None without one.
    """

    rule: str
    wildcards: Mapping[str, str]
    threads: int
    gpus: int
    needs: tuple[int, ...]
    outputs: tuple[Path, ...]
    benchmark: Path | None
    log: Path | None


def resolve(config: Path, project: Path, cores: int) -> list[Job]:
    """Return all jobs of a config in an order in which they can run, whatever is finished.

    Args:
        config: file of the study.
        project: folder of the Snakefile, in which results would be made.
        cores: that the study may take.

    Raises:
        InputError: what the workflow says of the config.
    """
    settings = ConfigSettings(configfiles=[config.absolute()])
    dag_settings = DAGSettings(targets={TARGET}, forceall=True)
    output = OutputSettings(quiet={Quietness.ALL})
    try:
        with chdir(project), _quiet(), SnakemakeApi(output) as api:
            resources = ResourceSettings(cores=cores)
            workflow = api.workflow(resources, settings, snakefile=project / "Snakefile").dag(dag_settings).workflow_api
            study = workflow._workflow
            study._prepare_dag(forceall=True, ignore_incomplete=True, lock_warn_only=True)
            study._build_dag()
            found = [job for level in study.dag.toposorted() for job in level]
            places = {job: place for place, job in enumerate(found)}
            return [
                Job(
                    rule=job.rule.name,
                    wildcards=dict(job.wildcards_dict),
                    threads=min(job.threads, cores),
                    gpus=int(job.resources.get("gpu", 0)),
                    needs=tuple(places[other] for other in study.dag.dependencies[job]),
                    outputs=tuple(Path(path) for path in job.output),
                    benchmark=Path(job.benchmark) if job.benchmark else None,
                    log=Path(job.log[0]) if job.log else None,
                )
                for job in found
            ]
    except (WorkflowError, RuleException) as error:
        raise InputError("config", str(error), "one that the workflow takes") from error
    finally:
        gc.enable()  # the workflow resolves its jobs without


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what Snakemake tells its user from the standard error."""
    with Path(os.devnull).open("w") as nowhere, redirect_stderr(nowhere):
        yield
