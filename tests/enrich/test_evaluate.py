import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from enrich import evaluate, volume
from enrich.columns import METRICS
from gan.errors import InputError
from tests.real import real


def write(path, mask, spacing_mm=(0.5, 2.0, 3.0)):
    volume.write(mask if isinstance(mask, volume.Volume) else volume.Volume(np.asarray(mask), spacing_mm), path)
    return path


def cube(value=1, offset=0):
    array = np.zeros((8, 8, 8), np.uint8)
    array[2:5, 2:5, 2 + offset : 5 + offset] = value
    return array


def printed(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["evaluate", *map(str, arguments)])
    evaluate.main()
    return json.loads(capsys.readouterr().out)


def test_prints_every_metric(tmp_path, monkeypatch, capsys):
    reference, prediction = write(tmp_path / "r.nii.gz", cube()), write(tmp_path / "p.nii.gz", cube(offset=1))
    found = printed(monkeypatch, capsys, prediction, reference)
    assert list(found) == METRICS
    assert found["dice_percent"] == pytest.approx(200 / 3)
    assert found["mssd_mm"] == 0.5  # one voxel along x
    assert found["slice_dice_percent"] == pytest.approx(100 * (5 + 3 * 13 / 19) / 8)  # 5 empty slices, 3 of 6 in 9


def test_undefined_is_null(tmp_path, monkeypatch, capsys):
    reference, prediction = write(tmp_path / "r.nii.gz", cube()), write(tmp_path / "p.nii.gz", cube(0))
    found = printed(monkeypatch, capsys, prediction, reference)
    expected = {"dice_percent": 0, "ravd_percent": 100, "assd_mm": None, "mssd_mm": None, "hd95_mm": None}
    assert found == expected | {"chaos_score": 0, "slice_dice_percent": 100 * (5 + 3 / 10) / 8}


def test_slices_are_axial_in_every_orientation(tmp_path, monkeypatch, capsys):
    masks = {"r": cube(), "p": cube(offset=1)}
    found = []
    for code in ("LPS", "SAR"):
        folder = tmp_path / code
        files = [
            write(folder / f"{name}.nii.gz", volume.reorient(volume.Volume(mask, (1, 1, 1)), code))
            for name, mask in masks.items()
        ]
        found.append(printed(monkeypatch, capsys, *reversed(files)))
    assert found[0] == pytest.approx(found[1])
    assert found[0]["slice_dice_percent"] == pytest.approx(100 * (5 + 3 * 13 / 19) / 8)


def test_label_picks_a_structure(tmp_path, monkeypatch, capsys):
    both = cube(3) + cube(1, offset=3)
    reference, prediction = write(tmp_path / "r.nii.gz", both), write(tmp_path / "p.nii.gz", cube(3))
    assert printed(monkeypatch, capsys, prediction, reference, "--label", 3)["dice_percent"] == 100
    assert printed(monkeypatch, capsys, prediction, reference, "--label", 1)["dice_percent"] == 0


@pytest.mark.parametrize(("array", "label"), [(cube(2), None), (cube(1) * 0.5, 1)])
def test_other_values_are_refused(tmp_path, array, label):
    path = write(tmp_path / "odd.nii.gz", array)
    with pytest.raises(InputError, match=r"odd\.nii\.gz: found label values .*expected"):
        evaluate.read_mask(path, label)


def test_other_grid_is_one_line_and_exit_code_1(tmp_path):
    reference = write(tmp_path / "r.nii.gz", cube())
    prediction = write(tmp_path / "p.nii.gz", cube(), spacing_mm=(0.5, 2.0, 3.1))
    command = [sys.executable, "-m", "enrich.evaluate", prediction, reference]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert "p.nii.gz" in result.stderr
    assert "3.1" in result.stderr


def test_equals_the_evaluation_program_of_chaos(tmp_path, monkeypatch, capsys):
    stacks = {"Ground": [], "submission": []}
    with tarfile.open(real("chaos_ct3.tar.xz")) as archive:
        for member in archive.getmembers():
            folder, name = Path(member.name).parts[-2:] if "/" in member.name else ("", "")
            if folder in stacks and name.endswith(".png"):
                stacks[folder].append((name, np.asarray(Image.open(archive.extractfile(member))) > 0))
    spacing_mm = (0.7265625, 0.7265625, 2.0)
    for planes in stacks.values():
        planes.sort(key=lambda plane: plane[0])
    paths = [
        write(tmp_path / f"{folder}.nii.gz", np.stack([mask for _, mask in planes]).astype(np.uint8), spacing_mm)
        for folder, planes in stacks.items()
    ]
    assert volume.read(paths[0]).array.sum() == 1342595
    assert volume.read(paths[1]).array.sum() == 1333673
    found = printed(monkeypatch, capsys, paths[1], paths[0])
    expected = {
        "dice_percent": 97.84341478506637,
        "ravd_percent": 0.6645339808356205,
        "assd_mm": 0.7341309688269261,
        "mssd_mm": 14.0,
        "chaos_score": (97.84341478506637 + 86.70932038328759 + 95.10579354115382 + 76.66666666666667) / 4,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=0, abs=1e-9)
