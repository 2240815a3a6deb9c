"""Whether every result is the file that its rule published."""

from enrich import missing, structures
from enrich.audit.check import Check
from enrich.audit.study import Study


def results_as_published(study: Study) -> Check:
    """Every result is the file that was sealed when it was published."""
    check = Check("files", "Every result of the config is the file whose hash was put beside it.", study.files)
    home = study.folder
    shared = [study.scans_csv, home / structures.FILE, *study.results.controls]
    shared += [path for path in (home / missing.DROPPED, *study.results.gathered.values()) if path.is_file()]
    own = [path for split in study.splits for paths in (*split.found.values(), [split.path]) for path in paths]
    study.files.prefetch([*shared, *own])
    for path in (*shared, *own):
        check.require_sealed(path)
    return check
