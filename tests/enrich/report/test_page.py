"""The report as a file; `test_parts.py` looks at its parts, `test_in_browser.py` opens it."""

import base64
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from enrich import volume
from enrich.config import digest
from enrich.report import pictures
from gan.errors import InputError
from gan.files import publish_json, seal, sha256
from tests.enrich.report.run_tree import AUDIT, build, pixels, write_report

SMALL = {"patients": 4, "size": 48, "slices": 8}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The arguments of a report on CT and MR of different patients, and its text."""
    arguments = build(tmp_path_factory.mktemp("chaos"), **SMALL)
    return arguments, write_report(arguments).read_text()


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    """The text of a report on aligned MR sequences, every patient tested in one of two outer folds."""
    folder = tmp_path_factory.mktemp("brats")
    return write_report(build(folder, "brats", outer=2, seeds=[0], **SMALL)).read_text()


def replaced(arguments, **options):
    """Return arguments with other values of some options."""
    for name, value in options.items():
        option = f"--{name}"
        if option in arguments:
            position = arguments.index(option) + 1
            arguments = [*arguments[:position], str(value), *arguments[position + 1 :]]
        else:
            arguments = [option, str(value), *arguments]
    return arguments


def within(arguments, megabytes, output):
    """Return arguments for a page whose slices take no more."""
    config = json.loads(arguments[arguments.index("--config-json") + 1]) | {"report_megabytes": megabytes}
    return replaced(arguments, **{"config-json": json.dumps(config), "output": output})


def data_of(page):
    text = re.search(r'<script type="application/json" id="slices-data">(.*?)</script>', page, re.DOTALL)[1]
    return json.loads(text)


def test_equal_runs_give_equal_bytes(run, tmp_path):
    arguments, page = run
    assert write_report(replaced(arguments, output=tmp_path / "index.html")).read_text() == page


def test_no_id_is_used_twice_and_every_reference_has_its_id(run):
    _, page = run
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    used = re.findall(r'(?:url\(#|href="#)([^)"]+)', page)
    assert used
    assert set(used) <= set(ids)


def test_the_page_names_no_other_file(run):
    _, page = run
    assert not re.findall(
        r'(?:src|href|url)\s*[=(]\s*["\']?(?!data:|#)[^\s"\')]+', re.sub(r"(?s)<script.*?</script>", "", page)
    )
    assert "@import" not in page


def test_what_was_run_is_said(run):
    arguments, page = run
    config = json.loads(arguments[1])
    for text in ("preset: default", "crossfit: 0", "nnU-Net", "SimpleITK", "Snakemake", "torch", "Python"):
        assert text in page
    assert digest(config) in page
    for option in ("--scans", "--scores", "--audit", "--comparisons"):
        path = Path(arguments[arguments.index(option) + 1])
        assert re.search(rf"{re.escape(str(path))}</th>\s*<td[^>]*>{sha256(path)}</td>", page)


def test_failures_are_listed_and_a_failed_audit_is_said(run, tmp_path):
    arguments, page = run
    assert "✔ passed" in page
    assert len(re.findall("empty prediction</td>", page)) == 3
    found = "patient <b>ct01</b> & others"
    check = AUDIT["checks"][0] | {"passed": False, "found": [found]}
    path = tmp_path / "audit.json"
    publish_json(path, AUDIT | {"passed": False, "checks": [check]})
    failed = write_report(replaced(arguments, audit=path, output=tmp_path / "index.html")).read_text()
    assert "✘ failed" in failed
    assert "✔ passed" not in failed
    assert "patient &lt;b&gt;ct01&lt;/b&gt; &amp; others" in failed


@pytest.mark.parametrize(("text", "found"), [("{}", "keys"), ("[]", "no readable file"), ("", "no readable file")])
def test_another_file_than_an_audit_is_refused(run, tmp_path, text, found):
    path = tmp_path / "audit.json"
    path.write_text(text)
    seal(path)
    with pytest.raises(InputError, match=f"audit.json: found {found}"):
        write_report(replaced(run[0], audit=path, output=tmp_path / "index.html"))
    assert not (tmp_path / "index.html").exists()


def test_a_changed_prediction_is_refused(tmp_path):
    arguments = build(tmp_path, patients=3, size=32, slices=8)
    path = next(tmp_path.rglob("single/seed0/predictions/*.nii.gz"))
    volume.write(volume.read(path).with_array(np.ones_like(volume.read(path).array)), path)
    with pytest.raises(InputError, match=path.name):
        write_report(arguments)


def test_a_synthetic_scan_without_a_split_is_refused(tmp_path):
    arguments = build(tmp_path, patients=3, size=32, slices=8)
    moved = replaced(arguments, splits=tmp_path / "elsewhere" / "splits.json")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "splits.json").write_bytes((tmp_path / "results/small/splits.json").read_bytes())
    seal(tmp_path / "elsewhere" / "splits.json")
    with pytest.raises(InputError, match="a folder of no split"):
        write_report(moved)


def test_the_slider_shows_every_test_scan_with_its_channels_and_outlines(run):
    arguments, page = run
    data, config = data_of(page), json.loads(arguments[1])
    scans = pd.read_csv(arguments[3])
    test = json.loads(Path(arguments[5]).read_text())["test"]
    assert len(data["scans"]) == len(scans[scans["patient"].isin(test)])
    for scan in data["scans"]:
        titles = [method["title"] for method in scan["methods"]]
        assert titles == ["Single", "Zero channels", "Source copied", "StarGAN", "TarGAN"]
        assert [len(method["channels"]) for method in scan["methods"]] == [0, 2, 2, 2, 2]
        assert scan["methods"][scan["start"]]["title"] == "StarGAN"
        assert any(scan["reference"])
        assert len(data["images"][scan["source"]]) == len(scan["slices"]) == len(scan["reference"]) <= 9
        zero, copy = (scan["methods"][k]["channels"][0]["images"] for k in (1, 2))
        assert pixels(data["images"][zero][0]).max() == 0
        assert data["images"][copy] == data["images"][scan["source"]]
    used = {channel["images"] for scan in data["scans"] for method in scan["methods"] for channel in method["channels"]}
    assert used | {scan["source"] for scan in data["scans"]} == set(data["images"])
    assert config["seeds"] == [0, 1]
    failed = data["scans"][0]["methods"][3]["scores"]
    assert re.fullmatch(r"DICE \d+\.\d %, RAVD .* with seed 0, which is shown; mean of 2 seeds DICE .*", failed)


def test_pictures_show_the_scan_and_outlines_its_target(run):
    arguments, page = run
    data, scans = data_of(page), pd.read_csv(arguments[3])
    scan = next(scan for scan in data["scans"] if scan["modality"] == "CT")
    row = scans[scans["case"] == scan["title"].removeprefix("CT of ")].iloc[0]
    label = volume.reorient(volume.read(Path(arguments[3]).parent / row["label"]), "LPS").array > 0
    areas = [label[number - 1].any() for number in scan["slices"]]
    assert [bool(path) for path in scan["reference"]] == areas
    numbers = [[float(value) for value in re.findall(r"[\d.]+", path)] for path in scan["reference"] if path]
    xs, ys = [value for path in numbers for value in path[::2]], [value for path in numbers for value in path[1::2]]
    assert 0 < min(xs) < max(xs) < scan["width"]
    assert 0 < min(ys) < max(ys) < scan["height"]
    picture = pixels(data["images"][scan["source"]][len(scan["slices"]) // 2])
    assert picture.shape[:2] == (scan["height"], scan["width"])


def test_the_slider_stays_within_its_bound_and_names_whom_it_leaves_out(run, tmp_path):
    arguments, _ = run
    everyone = json.dumps(data_of(run[1]))
    bound = len(everyone) / 1e6 / 2
    page = write_report(within(arguments, bound, tmp_path / "half.html")).read_text()
    data = data_of(page)
    assert 0 < len(data["scans"]) < len(data_of(run[1])["scans"])
    assert len(json.dumps(data)) <= bound * 1e6 * 1.01
    left = re.search(r"<strong>Left out, .*?: (.*?)\.</strong>", page)[1].split(", ")
    shown = re.search(r"Test patients shown: (.*?)\. Of each", page)[1].split(", ")
    test = json.loads(Path(arguments[5]).read_text())["test"]
    assert sorted(left + shown) == sorted(test)
    assert {name[:2] for name in shown} == {"ct", "mr"}  # they take turns
    page = write_report(within(arguments, 0.012, tmp_path / "few.html")).read_text()
    assert {len(scan["slices"]) for scan in data_of(page)["scans"]} in ({1}, {2}, {4})
    page = write_report(within(arguments, 0.0001, tmp_path / "none.html")).read_text()
    assert data_of(page) == {"scans": [], "images": {}}
    assert "Left out" in page


def test_differences_are_shown_where_scans_are_aligned_and_else_said_to_be_absent(run, aligned):
    assert "Difference of" not in run[1]
    assert "No difference map where a patient has no scan of the wanted modality on the same grid" in run[1]
    assert len(re.findall('alt="Difference of StarGAN’s', aligned)) == 2
    assert len(re.findall('alt="Real T2w, ', aligned)) == 2  # once as the source
    assert "No difference map" not in aligned


def test_every_patient_of_every_outer_fold_is_shown(aligned):
    data = data_of(aligned)
    assert len(data["scans"]) == 4 * 2
    assert all(len(scan["methods"]) == 5 for scan in data["scans"])
    assert "outer1 all seed0" in aligned


def test_the_power_of_two_patients_is_said(run):
    assert "no difference, however large, could have been significant" in run[1]
    assert "significantly better</td>" not in run[1]


def test_a_figure_is_shown_as_it_is(run, tmp_path):
    arguments, page = run
    path = Path(arguments[arguments.index("--figures") + 1])
    assert f'src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}" alt="Label budget: ' in page
    (tmp_path / "other.png").write_text("no picture")
    seal(tmp_path / "other.png")
    with pytest.raises(InputError, match=r"other\.png: found no PNG"):
        pictures.data_uri(tmp_path / "other.png")
