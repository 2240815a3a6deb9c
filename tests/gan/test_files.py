import hashlib
from pathlib import Path

import pytest

from gan.errors import InputError
from gan.files import publish, publish_folder, sha256


def test_a_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "table.nii.gz"
    with publish(path) as temporary:
        temporary.write_text("one")
        assert temporary.name.endswith(".nii.gz")
        assert not path.exists()
    assert path.read_text() == "one"
    with pytest.raises(ZeroDivisionError), publish(path) as temporary:
        temporary.write_text("two")
        raise ZeroDivisionError
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_replaces_the_former_one_only_when_it_is_complete(tmp_path):
    path = tmp_path / "scans"
    for name in ("old", "new"):
        with publish_folder(path) as temporary:
            (temporary / name).touch()
    assert {file.name for file in path.iterdir()} == {"new", ".published"}
    with pytest.raises(ZeroDivisionError), publish_folder(path) as temporary:
        (temporary / "half").touch()
        raise ZeroDivisionError
    assert {file.name for file in path.iterdir()} == {"new", ".published"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="a folder with other files"), publish_folder(tmp_path):
        pass
    with pytest.raises(InputError, match="a folder of its own"), publish_folder(Path()):
        pass
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_sha256(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"nnEnrich")
    assert sha256(path) == hashlib.sha256(b"nnEnrich").hexdigest()
