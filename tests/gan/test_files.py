import hashlib
from pathlib import Path

import pytest

from gan.errors import InputError
from gan.files import (
    checked,
    digests,
    publish,
    publish_folder,
    publish_json,
    rename_sealed,
    require_recorded,
    seal,
    sha256,
)


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


def published(path, text):
    with publish(path, sealed=True) as temporary:
        temporary.write_text(text)
    return path


def test_a_sealed_file_has_its_hash_beside_it_as_sha256sum_writes_it(tmp_path):
    path = published(tmp_path / "new" / "table.csv", "one\n")
    beside = path.with_name("table.csv.sha256")
    assert beside.read_text() == f"{hashlib.sha256(b'one' + bytes([10])).hexdigest()}  table.csv\n"
    assert sorted(path.parent.iterdir()) == [path, beside]
    assert checked(path) == sha256(path)
    publish_json(path, {"a": [1]})
    assert (path.read_text(), checked(path)) == ('{\n  "a": [\n    1\n  ]\n}\n', sha256(path))


def test_a_file_that_is_not_the_sealed_one_is_refused_in_one_line(tmp_path):
    path = published(tmp_path / "table.csv", "one")
    other = published(tmp_path / "other.csv", "one")
    beside = path.with_name("table.csv.sha256")
    whole, seal_of_it = path.read_bytes(), beside.read_bytes()
    for spoil in (
        lambda: path.write_text("onf"),
        lambda: path.write_text("on"),
        lambda: path.write_text(""),
        lambda: beside.write_text(""),
        lambda: beside.write_bytes(other.with_name("other.csv.sha256").read_bytes()),
    ):
        spoil()
        with pytest.raises(InputError, match=r"table\.csv: found another file than was published, expected .* delete"):
            checked(path)
        path.write_bytes(whole)
        beside.write_bytes(seal_of_it)
        assert checked(path)
    beside.unlink()
    with pytest.raises(InputError, match=r"table\.csv: found no table\.csv\.sha256 beside it, expected .* run again"):
        checked(path)
    seal(path)
    assert checked(path)
    path.unlink()
    with pytest.raises(InputError, match=r"table\.csv: found no such file"):
        checked(path)


@pytest.mark.parametrize("former", [True, False])
@pytest.mark.parametrize("renames", [0, 1, 2, 3])
def test_whenever_publishing_is_killed_what_is_there_passes(tmp_path, monkeypatch, former, renames):
    path, done, replace = tmp_path / "model.pt", [], Path.replace
    if former:
        published(path, "old")

    def until_killed(self, target):
        if len(done) == renames:
            raise KeyboardInterrupt
        done.append(target)
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", until_killed)
        try:
            published(path, "new")
        except KeyboardInterrupt:
            assert renames < (3 if former else 2)
    content = path.read_text() if path.exists() else None
    assert content == ("new" if renames >= 2 else "old" if former else None)
    if content:
        assert checked(path)
        path.write_text("ne")
        with pytest.raises(InputError, match="another file than was published"):
            checked(path)
    published(path, "newer")
    assert path.with_name("model.pt.sha256").read_text().count("\n") == 1
    assert checked(path)
    assert {file.name for file in tmp_path.iterdir()} <= {"model.pt", "model.pt.sha256"}


def test_a_file_is_renamed_to_a_sealed_one(tmp_path):
    (tmp_path / "checkpoint.pt").write_text("weights")
    rename_sealed(tmp_path / "checkpoint.pt", tmp_path / "model.pt")
    assert {path.name for path in tmp_path.iterdir()} == {"model.pt", "model.pt.sha256"}
    assert checked(tmp_path / "model.pt")


def test_a_record_names_the_files_of_a_folder(tmp_path):
    for name in ("a", "below/b"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    found = digests(tmp_path)
    assert found == {name: sha256(tmp_path / name) for name in ("a", "below/b")}
    record = tmp_path / "record.json"
    assert require_recorded(tmp_path / "a", found["a"], record) == tmp_path / "a"
    with pytest.raises(InputError, match=r"below/b: found sha256 .{12}…, expected .{12}… as .*record\.json says"):
        require_recorded(tmp_path / "below/b", found["a"], record)
    with pytest.raises(InputError, match=r"/c: found no such file, expected the file that .*record\.json names"):
        require_recorded(tmp_path / "c", found["a"], record)


def test_sha256(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"nnEnrich")
    assert sha256(path) == hashlib.sha256(b"nnEnrich").hexdigest()
