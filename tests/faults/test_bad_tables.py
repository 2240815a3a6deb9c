"""Tables and JSON files, from users and from earlier steps: what is read of them can be used, or they are refused."""

import json
import os
from functools import partial

import numpy as np
import pytest
from hypothesis import strategies as st

from enrich import bundle, gather, index, splits, structures, unlike
from enrich.columns import SEGMENTATION
from enrich.datasets import msd, nnunet_raw, table
from enrich.volume import Volume, write
from gan import reading
from gan.errors import InputError
from gan.files import seal
from tests.faults.mutations import cut_short, damages, drawn
from tests.faults.trials import INPUT, Trial, require_good

NAMES = (
    *("", " ", "a b", "ä", "../x", "../../x", "a/b", "/no/such", "a\nb", "a\0b", ".", "..", "-", "a" * 300, "a,b"),
    *('"', "'", "%s", "{0}", "$HOME", "~", "CON", "a\\b", "\u202e", "\ud7ff", "0", "1e5", "NaN", "nan", "None", "null"),
)
ODD = (
    *("null", "true", "0", "-1", "1e400", "NaN", '"text"', "[]", "{}", "[[]]", '{"a": 1, "a": 2}', "[1, 2", "{,}", ""),
    *("\ufeff{}", "'a'", "1" * 5000, "[" * 100_000, '{"a":' * 100_000, '"\\ud800"', "\0", "// comment", "{}{}"),
)


def content_of(kind):
    """Return the name and the content of a sound file."""
    cases = [(f"case{number}", f"person{number}") for number in range(4)]
    return {
        "scans": (
            "scans.csv",
            ",".join([*index.SCANS, "window_high_hu"])
            + "\n"
            + "".join(f"{case},{who},ct,scans/{case}.nii.gz,,{'0' * 64},,-150,12.5,250\n" for case, who in cases),
        ),
        "table": (
            "scans.csv",
            "case,modality,image,label,patient\n" + "".join(f"{case},t1,a.nii,a.nii,{who}\n" for case, who in cases),
        ),
        "split": (
            "split.csv",
            "patient,set\nperson0,train\nperson1,train\nperson2,watch\nperson3,test\n",
        ),
        "scores": (
            "scores.csv",
            ",".join(SEGMENTATION.columns) + "\nperson0,case0,ct,single,0,liver,90,1,1,2,2,80,90,1,1,\n",
        ),
        "splits": (
            "splits.json",
            json.dumps({"train": ["a", "b"], "watch": ["c"], "test": ["d"], "folds": [["a"], ["b"]]}),
        ),
        "structures": ("structures.json", json.dumps({"target": ["liver"], "values": {"ct": {"liver": [1]}}})),
        "bundle": ("bundle.json", json.dumps(BUNDLE)),
        "msd": (
            "dataset.json",
            json.dumps({"modality": {k: name for k, (name, _) in msd.SEQUENCES.items()}, "labels": msd.LABELS}),
        ),
        "nnunet": (
            "dataset.json",
            json.dumps(
                {
                    "channel_names": {"0": "CT"},
                    "labels": {"background": 0, "liver": 1},
                    "file_ending": ".nii",
                    "dataset": {"a": {"images": ["../a.nii"], "label": "../a.nii"}},
                }
            ),
        ),
    }[kind]


FACTS = {
    "spacing_mm": [[1, 1, 1], [2, 2, 3]],
    "extent_mm": [[1, 1, 1], [9, 9, 9]],
    "quantiles": list(range(25)),
    "minimum": -1,
    "spread": 40,
    "profiles": [],
}
BUNDLE = {
    "format": bundle.FORMAT,
    "run": "study",
    "method": "single",
    "title": "Single",
    "seed": 0,
    "outer": None,
    "modalities": ["ct"],
    "target": ["liver"],
    "kind": "",
    "together": False,
    "missing": None,
    "test_fit": "all",
    "translators": {},
    "image_size": 256,
    "intensity": {"preset": "default", "ct_window_hu": [-160, 240], "mr_percentiles": [0.5, 99.5]},
    "correction": {"n4": False, "ct_field_of_view_mm": None},
    "mirroring": False,
    "structures": {"target": ["liver"], "values": {"ct": {"liver": [1]}}},
    "label_values": {"ct": {"liver": [1]}},
    "training": {"ct": FACTS},
    "files": {},
}


def read_split(path):
    found = splits.read_user_split(path, {f"person{number}" for number in range(4)})
    assert sorted([*found.train, *found.watch, *found.test, *found.gan]) == [f"person{number}" for number in range(4)]


def read_splits(path):
    found = splits.read(path)
    everyone = [*found.train, *found.watch, *found.test, *found.unlabelled, *found.gan]
    assert all(type(patient) is str for patient in [*everyone, *(one for fold in found.folds for one in fold)])
    found.fold_of("a")


def read_structures(path):
    found = structures.read(path.with_name("scans.csv"))
    for modality in found.of:
        found.target_of(modality, np.zeros((2, 2, 2), np.uint8))
        assert found.own_value(modality) > 0


def read_bundle(path):
    found = bundle.read(path.parent)
    told = (
        found.method,
        found.modalities,
        found.enriched,
        found.structures,
        found.label_values,
        found.intensity,
        found.test_fit,
    )
    assert all(name in found.structures.of and name in found.label_values for name in found.modalities)
    for paths in found.translators().values():
        assert all(path.is_relative_to(found.folder) and ".." not in path.parts for path in paths)
    for name in found.modalities:
        assert found.segmenter(name).parent == found.folder / "nnunet"
    assert all(value is not None for value in told)
    scan = Volume(np.arange(60, dtype=np.int16).reshape(3, 4, 5), (1.0, 1.0, 2.0))
    for name in found.modalities:
        unlike.warnings(scan, name, found.told["training"], path)


def read_index(path):
    rows = index.read(path, index.SCANS)
    for row in rows.to_dict("records"):
        for name in ("case", "patient", "modality"):
            assert type(row[name]) is str
            assert "/" not in row[name]
            assert "\n" not in row[name]
            assert row[name] not in ("", ".", "..")
        float(row["window_low_hu"]), float(row["target_ml"])


def read_scans(scans):
    for scan in scans:
        assert "/" not in scan.case + scan.patient + scan.modality
        assert scan.case.isascii()
        scan.read()


READERS = {
    "scans": read_index,
    "table": lambda path: read_scans(table.scans(path, {"liver": [1]})),
    "split": read_split,
    "scores": gather.read_scores,
    "splits": read_splits,
    "structures": read_structures,
    "bundle": read_bundle,
    "msd": lambda path: list(msd.scans(path.parent)),
    "nnunet": lambda path: read_scans(nnunet_raw.scans(path.parent)),
}


def of(kind, content):
    """Return what writes and reads a file of a kind; images that it may name lie beside it."""
    name, _ = content_of(kind)

    def attempt(folder):
        place = folder / INPUT / "study"
        place.mkdir()
        for path in (place / "a.nii", folder / INPUT / "a.nii") if kind in ("table", "nnunet") else ():
            write(Volume(np.arange(60, dtype=np.int16).reshape(3, 4, 5) % 2, (1.0, 1.0, 2.0)), path)
        if kind == "msd":
            for path in (place / "imagesTr" / "a.nii.gz", place / "labelsTr" / "a.nii.gz"):
                path.parent.mkdir()
                path.touch()
        (place / name).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        seal(place / name)  # as if an earlier step had published it so
        READERS[kind](place / name)

    return attempt


@pytest.mark.parametrize("kind", READERS)
def test_bytes(tmp_path, record_property, kind):
    content = (text := content_of(kind)[1]).encode()
    trials = [Trial(name, of(kind, changed)) for name, changed in [*cut_short(content), *damages(content, 15)]]
    trials += [
        Trial("sound", of(kind, content)),
        Trial("UTF-16", of(kind, text.encode("utf-16"))),
        Trial("Latin-1", of(kind, text.replace("a", "ä").encode("latin-1"))),
        Trial("with a byte order mark", of(kind, b"\xef\xbb\xbf" + content)),
        Trial("with carriage returns", of(kind, content.replace(b"\n", b"\r\n"))),
        Trial("zeros", of(kind, bytes(1000))),
        Trial("twice", of(kind, content * 2)),
    ]
    found = require_good(trials, tmp_path, record_property)
    assert next(outcome.kind for outcome in found if outcome.name == "sound") == "accepted", found


@pytest.mark.parametrize("kind", ["scans", "table", "split", "scores"])
def test_fields_of_tables(tmp_path, record_property, kind):
    lines = content_of(kind)[1].splitlines()
    trials = []

    def line_with(place, name):
        fields = lines[1].split(",")
        fields[place] = f'"{name}"' if set(name) & set(',\n"') else name
        return "\n".join([lines[0], ",".join(fields), *lines[2:]]) + "\n"

    for place, column in enumerate(lines[0].split(",")):
        trials += [Trial(f"{column} {name[:9]!r}", of(kind, line_with(place, name))) for name in NAMES]
        trials.append(
            Trial(
                f"no {column}",
                of(kind, "\n".join(",".join(f for n, f in enumerate(line.split(",")) if n != place) for line in lines)),
            )
        )
    trials += [
        Trial("header alone", of(kind, lines[0] + "\n")),
        Trial("a row twice", of(kind, "\n".join([*lines, lines[1]]))),
        Trial("a column twice", of(kind, "\n".join(f"{line},{line.split(',')[0]}" for line in lines))),
        Trial("semicolons", of(kind, "\n".join(lines).replace(",", ";"))),
        Trial("an open quote", of(kind, "\n".join([lines[0], '"' + lines[1], *lines[2:]]))),
        Trial("a longer row", of(kind, "\n".join([*lines, lines[1] + ",more,and,more"]))),
        Trial("a shorter row", of(kind, "\n".join([*lines, "x"]))),
        Trial("a huge field", of(kind, "\n".join([*lines, "x" * 10_000_000]))),
        Trial("a million commas", of(kind, lines[0] + "\n" + "," * 1_000_000)),
    ]
    require_good(trials, tmp_path, record_property)


def values():
    """Return a strategy of JSON values."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(NAMES)
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )


@pytest.mark.parametrize("kind", ["splits", "structures", "bundle", "msd", "nnunet"])
def test_values_of_json(tmp_path, record_property, kind):
    sound = json.loads(content_of(kind)[1])
    trials = [Trial(f"all {number}: {text[:9]!r}", of(kind, text)) for number, text in enumerate(ODD)]
    for key in sound:
        trials.append(Trial(f"no {key}", of(kind, json.dumps({k: v for k, v in sound.items() if k != key}))))
        for number, value in enumerate(
            [None, 0, -1, 1.5, "", "x", [], {}, [[]], [None], {"x": None}, *drawn(values(), 3)]
        ):
            trials.append(Trial(f"{key} {number}: {str(value)[:20]!r}", of(kind, json.dumps(sound | {key: value}))))
    for key in FACTS if kind == "bundle" else ():
        for number, value in enumerate([None, 0, -1, "x", [], [[1, 1, 1]] * 3, [[0, 1, 1]] * 2, [[1]] * 25]):
            training = {"training": {"ct": FACTS | {key: value}}}
            trials.append(Trial(f"training.{key} {number}", of(kind, json.dumps(sound | training))))
    require_good(trials, tmp_path, record_property)


def test_a_bundle_of_another_format_is_called_so_though_it_has_no_hash(tmp_path):
    (tmp_path / "bundle.json").write_text(json.dumps(BUNDLE | {"format": 2}))
    with pytest.raises(InputError, match=r"found a bundle of format 2, expected format \d+: export it again"):
        bundle.read(tmp_path)


@pytest.mark.parametrize("read", [partial(reading.read_json, rules={}), reading.read_yaml])
def test_a_file_that_is_too_large_is_not_opened(tmp_path, read):
    path = tmp_path / "large"
    path.touch()
    os.truncate(path, reading.LARGEST_BYTES + 1)
    with pytest.raises(InputError, match=r"found \d+ bytes, expected at most"):
        read(path, expected="a file")
