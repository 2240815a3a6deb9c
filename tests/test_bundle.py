"""From a finished run to the next patient: exported bundles and predicted scans, of the worked example of CHAOS."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import highdicom
import numpy as np
import pandas as pd
import pytest

from enrich import index, volume
from enrich.datasets import dicom
from gan.files import publish_json, sha256
from tests import planted
from tests.examples import run_example

RESULTS = "results/my-chaos"
SCORES = f"{RESULTS}/scores/segmentation.csv"
SCANS = "data/CHAOS_Train_Sets/Train_Sets"


def program(name, *arguments, cwd=None):
    """Run a program in a process of its own; return it."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", f"enrich.{name}", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    copy = tmp_path_factory.mktemp("chaos")
    run_example("chaos", copy)
    return copy


@pytest.fixture(scope="module")
def bundle(project):
    return project / "bundle"


def held_out(project):
    scans = index.read(project / f"{RESULTS}/scans.csv", index.SCANS)
    who = json.loads((project / f"{RESULTS}/splits.json").read_text())
    return scans[scans["patient"].isin(who["test"])]


def test_the_worked_example_ends_with_a_report_and_the_next_patient(project):
    assert json.loads((project / RESULTS / "audit.json").read_text())["passed"]
    assert (project / RESULTS / "report/index.html").is_file()
    made = {path.name for path in (project / "out/case").iterdir()}
    assert made >= {"ct_segmentation.nii.gz", "ct_segmentation.dcm", "ct_to_t1.nii.gz"}


def test_a_bundle_holds_no_pickle_and_nobody(project, bundle):
    suffixes = {path.suffix for path in bundle.rglob("*") if path.is_file()}
    assert suffixes == {".safetensors", ".json", ".sha256", ".md", ""}  # the last is the mark of a published folder
    patients = set(index.read(project / f"{RESULTS}/scans.csv", index.SCANS)["patient"])
    text = "".join(path.read_text() for path in bundle.rglob("*") if path.suffix in (".json", ".md"))
    assert not [patient for patient in patients if f'"{patient}"' in text or f" {patient} " in text]
    card = (bundle / "README.md").read_text()
    assert "It is no medical device" in card
    assert "| liver | CT | " in card


def test_nobody_is_named_in_what_a_study_leaves_behind(project):
    """Names, ids and dates of the DICOM headers, in any file; DICOM SEG refers to a patient, as its readers need."""
    assert planted.found_below(project / "data")
    found = planted.found_below(project)
    places = {path.partition("/")[0] for path in found} - {"data", "tests"}
    assert places == {"out"}, found
    assert [path for path in found if path.startswith("out/")] == ["out/case/ct_segmentation.dcm"]
    told = dicom.read_header(project / "out/case/ct_segmentation.dcm")
    named = {element.keyword for element in told.iterall() if planted.NAME in str(element.value)}
    dated = {element.keyword for element in told.iterall() if str(element.value) in planted.DATES.values()}
    study = {"AccessionNumber", "ReferringPhysicianName", "StudyDescription", "StudyID"}
    assert named == {"PatientComments", "PatientID", "PatientName"} | study
    assert dated == {"PatientBirthDate", "StudyDate"}


def test_the_next_patient_is_segmented_as_the_test_patients_were(project, bundle, tmp_path):
    """The raw scans of the test patients, through the bundle: the same segmentations, voxel for voxel, and scores."""
    results, rows = project / RESULTS, []
    scans = held_out(project)
    raw = {"ct": "CT/{}/DICOM_anon", "t1": "MR/{}/T1DUAL/DICOM_anon/InPhase"}
    for row in scans.to_dict("records"):
        image = project / SCANS / raw[row["modality"]].format(int(row["case"][2:]))
        rows.append((row["case"], row["modality"], image, results / row["label"]))
    table = tmp_path / "cases.csv"
    pd.DataFrame(rows, columns=["case", "modality", "image", "label"]).drop(columns="label").to_csv(table, index=False)
    done = program("predict", bundle, "--cases", table, "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for row in scans.to_dict("records"):
        modality, case = row["modality"], row["case"]
        made = volume.read(tmp_path / "out" / case / f"{modality}_segmentation.nii.gz")
        ours = volume.read(results / f"nnunet/{modality}/stargan-seed0/seed0/predictions/{case}.nii.gz")
        assert np.array_equal(volume.placed(ours, made).array, made.array)
        other = "t1" if modality == "ct" else "ct"
        synthetic = volume.read(tmp_path / "out" / case / f"{modality}_to_{other}.nii.gz")
        stored = volume.read(results / f"synthetic/stargan/seed0/{case}_{modality}_to_{other}.nii.gz")
        assert volume.same_grid(synthetic, made)
        assert np.array_equal(synthetic.array, volume.placed(stored, made).array - (1024 if other == "ct" else 0))


def test_a_labelled_cohort_is_scored_as_the_run_scores(project, bundle, tmp_path):
    """Though one more case turns out to be empty: it is told at the end, and the others are scored."""
    results, scans = project / RESULTS, held_out(project)
    rows = scans.assign(image=[results / p for p in scans["image"]], label=[results / p for p in scans["label"]])
    rows = rows[["case", "modality", "image", "label"]]
    blank = volume.read(results / scans["image"].iloc[0])
    volume.write(blank.with_array(np.zeros_like(blank.array)), tmp_path / "blank.nii.gz")
    empty = rows.head(1).assign(case="blank", image=tmp_path / "blank.nii.gz")
    pd.concat([empty, rows]).to_csv(tmp_path / "cohort.csv", index=False)
    done = program("predict", bundle, "--reference", tmp_path / "cohort.csv", "--output", tmp_path / "out")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: case blank: {tmp_path / 'blank.nii.gz'}: found a constant")
    keys = ["case", "modality", "structure"]
    paths = (tmp_path / "out/scores.csv", project / SCORES)
    found, ours = (pd.read_csv(path).set_index(keys).sort_index() for path in paths)
    ours = ours[ours["method"] == "stargan"]
    assert list(found.columns) == list(ours.columns)
    numbers = ours.select_dtypes("number").columns
    assert np.allclose(found[numbers], ours[numbers], equal_nan=True)


def test_a_dicom_series_is_answered_with_dicom_seg(project, bundle, tmp_path):
    scan = held_out(project).query("modality == 'ct'").iloc[0]
    series = project / f"{SCANS}/CT/{int(scan['case'][2:])}/DICOM_anon"
    done = program("predict", bundle, "--image", f"ct={series}", "--dicom-seg", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    found = highdicom.seg.segread(tmp_path / "out/case/ct_segmentation.dcm")
    assert [segment.SegmentLabel for segment in found.SegmentSequence] == ["liver"]
    headers = [dicom.read_header(path) for path in series.iterdir()]
    uids = [one.SOPInstanceUID for one in sorted(headers, key=lambda one: one.ImagePositionPatient[2])]
    masks = found.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)[..., 0]
    made = volume.read(tmp_path / "out/case/ct_segmentation.nii.gz")
    assert made.array.any()
    assert np.array_equal(masks, made.array == 1)


def test_a_case_that_keeps_its_scans_is_given_what_it_lacks(project, bundle, tmp_path):
    """The bundle of a run with the key `missing`: of a case with one scan nothing but the way there differs."""
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    told = json.loads((copy / "bundle.json").read_text())
    publish_json(copy / "bundle.json", told | {"missing": {"source": "mean"}})
    scan = held_out(project).query("modality == 't1'").iloc[0]
    results, made = project / RESULTS, tmp_path / "out/case"
    done = program("predict", copy, "--image", f"t1={results / scan['image']}", "--output", made.parent)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in made.glob("*.nii.gz")) == ["t1_segmentation.nii.gz", "t1_to_ct.nii.gz"]
    ours = results / f"nnunet/t1/stargan-seed0/seed0/predictions/{scan['case']}.nii.gz"
    assert np.array_equal(volume.read(made / "t1_segmentation.nii.gz").array, volume.read(ours).array)


def test_a_wrong_modality_is_warned_of(project, bundle, tmp_path):
    scan = held_out(project).query("modality == 't1'").iloc[0]
    image = project / RESULTS / scan["image"]
    done = program("predict", bundle, "--image", f"ct={image}", "--output", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "intensities unlike CT in training" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image", "pet={image}"], "found modality pet, expected one of ct, t1"),
        (["--image", "ct={image}", "--image", "ct={image}"], "found a second ct of case case"),
        (["--image", "ct=nowhere.nii.gz"], "nowhere.nii.gz: found no such file"),
        (["--image", "ct={image}", "--dicom-seg"], "found a file, expected the folder of a DICOM series"),
        (["--image", "ct={image}", "--structures", "liver"], "--structures: found liver, expected values above 0"),
    ],
)
def test_one_line_for_a_wrong_call(project, bundle, tmp_path, arguments, message):
    image = project / RESULTS / held_out(project).iloc[0]["image"]
    done = program("predict", bundle, *(text.format(image=image) for text in arguments), "--output", tmp_path / "out")
    assert done.returncode == 1
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_a_changed_bundle_is_refused(project, bundle, tmp_path):
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    (path,) = copy.glob("nnunet/ct/*.safetensors")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    done = program("predict", copy, "--image", "ct=x.nii.gz", "--output", tmp_path / "out")
    assert "found another file, expected the one that" in done.stderr
    path = copy / "bundle.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    done = program("predict", copy, "--image", "ct=x.nii.gz", "--output", tmp_path / "out")
    assert "bundle.json: found another file than was published" in done.stderr


def test_a_bundle_that_names_code_is_refused_and_runs_none(project, bundle, tmp_path):
    """Whoever makes a bundle also writes its hashes."""
    copy = tmp_path / "bundle"
    shutil.copytree(bundle, copy)
    (copy / "hubconf.py").write_text("from pathlib import Path\nPath('executed').touch()\n\n\ndef network(**_): pass\n")
    path = copy / "nnunet/ct/plans.json"
    plans, told = json.loads(path.read_text()), json.loads((copy / "bundle.json").read_text())
    architecture = plans["configurations"]["2d"]["architecture"]
    architecture["network_class_name"] = "torch.hub.load"
    architecture["arch_kwargs"] |= {"repo_or_dir": str(copy), "model": "network", "source": "local"}
    path.write_text(json.dumps(plans))
    told["files"]["nnunet/ct/plans.json"] = sha256(path)
    publish_json(copy / "bundle.json", told)
    image = project / RESULTS / held_out(project).query("modality == 'ct'").iloc[0]["image"]
    done = program("predict", copy, "--image", f"ct={image}", "--output", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"error: {path}: found the name torch.hub.load, expected nnU-Net's own, of "
        "dynamic_network_architectures.architectures."
    ]
    assert not (tmp_path / "executed").exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "message"),
    [("oracle", "no row of its tables"), ("targan", "expected one of single, zero, stargan")],
)
def test_only_rows_of_the_run_are_exported(project, tmp_path, method, message):
    done = program("export", project / RESULTS, method, "--output", tmp_path / "bundle")
    assert message in done.stderr
    assert not (tmp_path / "bundle").exists()


def test_a_control_is_a_bundle_too(project, tmp_path):
    scan = held_out(project).iloc[0]
    for method in ("single", "zero"):
        done = program("export", project / RESULTS, method, "--output", tmp_path / method)
        assert done.returncode == 0, done.stderr
        image = f"{scan['modality']}={project / RESULTS / scan['image']}"
        done = program("predict", tmp_path / method, "--image", image, "--output", tmp_path / f"{method}-out")
        assert done.returncode == 0, done.stderr
        made = volume.read(tmp_path / f"{method}-out" / "case" / f"{scan['modality']}_segmentation.nii.gz")
        ours = project / f"{RESULTS}/nnunet/{scan['modality']}/{method}/seed0/predictions/{scan['case']}.nii.gz"
        assert np.array_equal(made.array, volume.read(ours).array)
