"""Audit a finished run: prove from recorded patients and hashes that nobody who tests was trained on.

`python -m enrich.audit --run results/<run> --output results/<run>/audit.json` writes what was proved, the hash of every
file that was read, and the leftovers: results of other configs, that nothing of this one is made with and of which
nothing is claimed. Where anything contradicts it, every contradiction goes to standard error, the first one again
last, and no `audit.json` is left.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from enrich.audit.channels import cases_made_as_configured, channels_made_as_configured
from enrich.audit.check import Check
from enrich.audit.datasets import datasets_of_training_patients
from enrich.audit.filled import channels_filled_as_configured, dropped_scans_unseen
from enrich.audit.patients import as_configured, every_patient_tests_once, one_person_one_set, scans_as_recorded
from enrich.audit.scored import every_test_case_scored_once
from enrich.audit.seals import results_as_published
from enrich.audit.segmenters import no_test_patient_trains
from enrich.audit.study import Study
from enrich.audit.translations import translations_of_test_patients
from enrich.audit.translators import caches_without_tests, no_test_patient_translates
from gan.errors import run
from gan.files import publish_json

CHECKS: tuple[Callable[[Study], Check], ...] = (
    results_as_published,
    one_person_one_set,
    every_patient_tests_once,
    as_configured,
    scans_as_recorded,
    caches_without_tests,
    no_test_patient_translates,
    channels_made_as_configured,
    channels_filled_as_configured,
    dropped_scans_unseen,
    cases_made_as_configured,
    datasets_of_training_patients,
    no_test_patient_trains,
    every_test_case_scored_once,
    translations_of_test_patients,
)


def audit(folder: Path, workers: int) -> tuple[Study, list[Check]]:
    """Return a run and its checks, of which those that found nothing to examine claim nothing.

    Raises:
        InputError: a file without which nothing can be checked is missing or broken.
    """
    study = Study(folder, workers)
    checks = [check(study) for check in CHECKS]
    return study, [check for check in checks if check.examined]


def main() -> None:
    """Parse the command line and audit."""
    parser = argparse.ArgumentParser(prog="python -m enrich.audit", description="Audit a finished run.")
    parser.add_argument("--run", type=Path, required=True, help="results/<run>")
    parser.add_argument("--workers", type=int, default=1, help="threads that hash files")
    parser.add_argument("--output", type=Path, required=True, help="audit.json")
    arguments = parser.parse_args()
    arguments.output.unlink(missing_ok=True)  # a former one says nothing of these files
    study, checks = audit(arguments.run, arguments.workers)
    if found := [f"{check.name}: {line}" for check in checks for line in check.found]:
        print(*found, sep="\n", file=sys.stderr)  # noqa: T201
        further = f" (and {len(found) - 1} further)" if len(found) > 1 else ""
        sys.exit(f"error: {found[0]}{further}")
    leftovers = sorted(path.relative_to(arguments.run).as_posix() for path in study.results.all_leftovers)
    files = study.files.relative_to(arguments.run)
    content = {"passed": True, "checks": [check.as_json() for check in checks], "leftovers": leftovers, "files": files}
    publish_json(arguments.output, content)


if __name__ == "__main__":
    run(main)
