"""What translations were scored: those of test patients, by the models that the config and the folds say."""

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import permutations
from pathlib import Path

import pandas as pd

from enrich import index
from enrich.audit.channels import fit_of
from enrich.audit.check import Check
from enrich.audit.scored import require_gathered, require_made_by
from enrich.audit.segmenters import trained_folds
from enrich.audit.study import Split, Study, examine
from enrich.columns import CEILING, DISTRIBUTION, OF_REAL_TARGETS, TRANSLATION
from enrich.gather import read_scores
from enrich.rows import folder_for_tests


def translations_of_test_patients(study: Study) -> Check:
    """The scores and distances of translations are of test patients, by the models that their place says."""
    claim = (
        "Every segmented translation is the indexed file, of a labelled scan of a test patient, made by Single's "
        "networks and of the index whose hashes lie beside it. Every score in scores/translation.csv and "
        "scores/distribution.csv is that of a translator of the config, or of the floor or ceiling, and of a seed and "
        "an outer fold of the config; it is of test patients, and of the fit by which they are translated; and all "
        "of these, each labelled test scan in every direction, are there once. None is compared with a dropped scan."
    )
    check = Check("translations", claim, study.files)
    examine(check, study, "segmented", _require_segmented)
    for kind, require in (("translation", _require_scores), ("distribution", _require_distances)):
        tables = examine(check, study, kind, require)
        gathered = study.results.gathered.get(kind)  # none without a translator
        if gathered is not None and (tables or gathered.is_file()):
            for split in study.splits:
                for path in study.results.missing(split.folder, kind):
                    check.require(False, path, "no such file", "a score of every translator and bound")
            with check.reading():
                require_gathered(check, study, kind, tables)
    return check


def _place(split: Split, folder: Path) -> tuple[str, str, Sequence[str]]:
    """Return the translator or bound, the seed, and the one kind of models of a folder, `<name>/seed<k>[/<kind>]`."""
    name, seed, *test = folder.relative_to(split.folder / "translations").parts
    return name, seed, test


def _fit(study: Study, split: Split, patient: str, test: Sequence[str]) -> str:
    return fit_of(study, split, patient, test[0]) if test else ""


def _require_segmented(check: Check, study: Study, split: Split, path: Path) -> None:
    rows = index.read(path, index.SEGMENTED)
    name, seed, test = _place(split, path.parents[1])
    folds = trained_folds(study, split, path.parent.name, "single", seed)
    networks = [folds[str(fold)] for fold in study.config["nnunet"]["folds"] if str(fold) in folds]
    made = [split.folder / "synthetic" / name / folder_for_tests(study.config, seed, fit) / "index.csv" for fit in test]
    require_made_by(check, study, path, networks, made)
    study.files.prefetch([path, *(path.parent / image for image in rows["image"])])
    for case, source, image, digest in rows[[*index.SEGMENTED]].itertuples(index=False):
        check.require_file(path.parent / image, digest, path)
        _require_test(check, study, split, path, case, source)


def _require_test(check: Check, study: Study, split: Split, path: Path, case: str, source: str) -> str:
    """Require that a scan is one of a test patient, and is labelled; return the patient."""
    patient = study.patient_of.get((case, source), "unknown")
    found = f"case {case} {source} of patient {patient}"
    check.require(case in study.labelled_tests(split, source), path, found, "labelled scans of test patients only")
    return patient


def _require_scores(check: Check, study: Study, split: Split, path: Path) -> pd.DataFrame:
    scores, (name, seed, test) = read_scores(path, TRANSLATION), _place(split, path.parent)
    study.files.sha256(path)
    _require_own(check, path, scores, name, seed)
    names = scores[["case", "source", "patient", "fit"]].drop_duplicates()
    for case, source, patient, fit in names.itertuples(index=False):
        owner = _require_test(check, study, split, path, case, source)
        check.require(patient == owner, path, f"patient {patient} for case {case}", owner)
        expected = _fit(study, split, owner, test)
        check.require(fit == expected, path, f"patient {patient} translated by fit {fit}", expected or "none")
    dropped = set(zip(study.dropped["case"], study.dropped["modality"], strict=True))
    for row in (
        scores[[*OF_REAL_TARGETS, "case", "target"]].dropna(how="all", subset=OF_REAL_TARGETS).to_dict("records")
    ):
        name_of = f"{row['case']} compared with its {row['target']}"
        check.require(
            (row["case"], row["target"]) not in dropped, path, f"{name_of}, which was dropped", "not compared"
        )
    modalities = study.config["modalities"]
    directions = [(each, each) for each in modalities] if name == CEILING else permutations(modalities, 2)
    wanted = {(case, *both) for both in directions for case in study.labelled_tests(split, both[0])}
    _require_once(check, path, scores[["case", "source", "target"]], wanted)
    return scores


def _require_distances(check: Check, study: Study, split: Split, path: Path) -> pd.DataFrame:
    scores, (name, seed, test) = read_scores(path, DISTRIBUTION), _place(split, path.parent)
    study.files.sha256(path)
    _require_own(check, path, scores, name, seed)
    for source, fit, outer in scores[["source", "fit", "outer"]].drop_duplicates().itertuples(index=False):
        check.require(outer == split.number, path, f"outer fold {outer}", split.number)
        patients = {study.patient_of[case, source] for case in study.labelled_tests(split, source)}
        expected = "+".join(sorted({_fit(study, split, patient, test) for patient in patients}))
        check.require(fit == expected, path, f"{source} translated by fit {fit}", expected or "none")
    scanned = [modality for modality in study.config["modalities"] if study.labelled_tests(split, modality)]
    _require_once(check, path, scores[["source", "target"]], {*permutations(scanned, 2)})
    return scores


def _require_once(check: Check, path: Path, scored: pd.DataFrame, wanted: Collection[tuple[str, ...]]) -> None:
    times = Counter(scored.itertuples(index=False, name=None))
    for key in sorted({*times, *wanted}):
        *case, source, target = key
        found = f"{' '.join(case)} {source} to {target} {times[key]} times".strip()
        expected = "once" if key in wanted else "never"
        check.require(times[key] == (key in wanted), path, found, expected)


def _require_own(check: Check, path: Path, scores: pd.DataFrame, name: str, seed: str) -> None:
    own = set(zip(scores["method"], scores["seed"], strict=True)) == {(name, int(seed.removeprefix("seed")))}
    check.require(own, path, "a score of another translator or seed", f"{name}, {seed}")
