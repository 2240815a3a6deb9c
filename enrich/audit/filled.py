"""What fills the channels of every case, and what was dropped to see the effect."""

import os
from collections import Counter, defaultdict
from itertools import product
from pathlib import Path

from enrich import fill, index, missing
from enrich.audit import records
from enrich.audit.check import Check
from enrich.audit.records import read_json
from enrich.audit.study import Split, Study, examine
from enrich.audit.translators import read_slices
from enrich.rows import without_budget


def channels_filled_as_configured(study: Study) -> Check:
    """Every case keeps its own scans, and gets only what it lacks."""
    claim = (
        "Every scan has one channel of each modality: its case's own scan where the config keeps it, else what was "
        "synthesized from the scans that the config names, or a mean or resampling of these files that was recorded; "
        "each is the file that was indexed, and the index was made of scans.csv and of the synthetic channels on disk."
    )
    check = Check("filled channels", claim, study.files)
    examine(check, study, "filled", _require_filled)
    return check


def _require_filled(check: Check, study: Study, split: Split, path: Path) -> None:
    rows, made = index.read(path, fill.COLUMNS), path.parent.relative_to(split.folder / "filled")
    control = len(made.parts) == 1
    synthetic = (study if control else split).folder / "synthetic" / made / "index.csv"
    record = read_json(path.with_name(fill.RECORD), records.FILLED)
    for name, file in (("scans", study.scans_csv), ("synthetic", synthetic)):
        check.require_file(file, record[f"{name}_sha256"], path.with_name(fill.RECORD))
    study.files.prefetch([path, *(path.parent / image for image in rows["image"])])
    there = index.read(synthetic, index.SYNTHETIC).set_index(["case", "source", "target"])["sha256"].to_dict()
    has: defaultdict[str, list[str]] = defaultdict(list)
    for case, modality in study.patient_of:
        has[case].append(modality)
    times = Counter(zip(rows["case"], rows["source"], rows["target"], strict=True))
    for (case, reference), target in product(study.patient_of, study.config["modalities"]):
        number = times.pop((case, reference, target), 0)
        check.require(number == 1, path, f"{case} {reference} with {target} {number} times", "once")
    for case, reference, target in times:
        check.require(False, path, f"{case} {reference} with {target}", f"a scan of {study.scans_csv}")
    for row in rows.to_dict("records"):
        check.require_file(path.parent / row["image"], row["sha256"], path)
        if (row["case"], row["source"]) in study.patient_of:
            own = [row["source"]] if study.config["missing"] is None else has[row["case"]]
            order = (study.config["missing"] or {}).get("source", [])
            wanted = fill.made_of(order, own, row["source"], row["target"], str(made) == "oracle")
            found = f"{row['case']} {row['source']} with {row['target']} of {row['of']}"
            check.require(row["of"] == wanted, path, found, wanted)
            if row["target"] in own:
                made_of = [study.image_sha256[row["case"], row["target"]]]
            else:
                sources = [row["source"]] if wanted == fill.REAL else wanted.split("+")
                made_of = [there.get((row["case"], source, row["target"]), "none") for source in sources]
            same = row["of_sha256"] == "+".join(made_of)
            if Path(row["image"]).name != row["image"]:  # where it was indexed before, as it was
                same &= row["sha256"] == row["of_sha256"]
            check.require(same, path, f"{found}, another image", "the image of that case")


def dropped_scans_unseen(study: Study) -> Check:
    """What was dropped is seen by nobody but the oracle."""
    claim = (
        "The dropped scans are those that the config's draw says, and none of them is in scans.csv, in a slice cache "
        "that a GAN is trained on, among the channels or cases made for a segmenter, or in one of its data sets; but "
        "for those of the control oracle."
    )
    check = Check("dropped scans", claim, study.files)
    simulated = (study.config["missing"] or {}).get("simulate")
    if not simulated:
        return check
    with check.reading():
        _require_draw(check, study, simulated)
    examine(check, study, "slices", _require_not_sliced)
    for kind in ("synthetic", "filled", "cases"):
        examine(check, study, kind, _require_not_indexed)
    examine(check, study, "datasets", _require_not_given)
    return check


def _require_draw(check: Check, study: Study, simulated: dict[str, float]) -> None:
    complete = study.folder / "complete" / "scans.csv"
    everything = index.read(complete, index.SCANS)
    study.files.sha256(complete)
    drawn = missing.drop(everything, simulated, study.config["missing"]["seed"])
    there = ((study.scans_csv, study.scans), (study.dropped_csv, study.dropped))
    for (path, found), wanted in zip(there, drawn, strict=True):
        study.files.sha256(path)
        names, expected = (set(zip(rows["case"], rows["modality"], strict=True)) for rows in (found, wanted))
        for case, modality in sorted(names ^ expected):
            what = "a" if (case, modality) in names else "no"
            check.require(False, path, f"{what} {modality} of {case}", "the draw of the config")


def _require_not_sliced(check: Check, study: Study, _: Split, path: Path) -> None:
    rows = read_slices(path.with_name("index.csv"))
    names = set(zip(rows["case"], rows["modality"], strict=True))
    for case, modality in zip(study.dropped["case"], study.dropped["modality"], strict=True):
        check.require((case, modality) not in names, path, f"the dropped {modality} of {case}", "no slice of it")


def _require_not_indexed(check: Check, study: Study, _: Split, path: Path) -> None:
    if path.parent.name == "oracle":
        return
    names = study.dropped["case"] + " " + study.dropped["modality"]
    dropped = dict(zip(study.dropped["image_sha256"], names, strict=True))
    for image, digest in index.read(path, ("case", "image", "sha256"))[["image", "sha256"]].itertuples(index=False):
        check.require(digest not in dropped, path, f"{image}, the dropped {dropped.get(digest)}", "another image")


def _require_not_given(check: Check, study: Study, _: Split, path: Path) -> None:
    if without_budget(path.parents[2].name) == "oracle":
        return
    dropped = {os.path.realpath(study.folder / image) for image in study.dropped["image"]}
    cases = read_json(path, records.DATASET)["dataset"]
    for name, case in cases.items():
        for image in case["images"]:
            given = os.path.realpath(path.parent / image)
            check.require(given not in dropped, path, f"the dropped {image} in case {name}", "no dropped scan")
