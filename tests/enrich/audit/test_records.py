"""Records that lack a key, or hold something of another kind there: one line that names the file, never a traceback."""

from functools import reduce

import pytest
import yaml

from gan.errors import InputError
from gan.files import publish_json, seal

from .edits import ct, edit_json, edit_model, found_by, who
from .run import CHECKPOINT, CONFIG, DATASET, MODEL, PREPROCESSED, RAW, SINGLE

NETWORK = f"nnunet/ct/single/seed0/{CHECKPOINT}"
MADE_BY = "nnunet/ct/single/seed0/predictions/made_by.json"
SUMMARY = f"nnunet/ct/single/{PREPROCESSED}"
MISSING = {
    "slices/slices.json": "sha256",
    "enriched/ct/single/slices.json": "provenance",
    "synthetic/stargan/seed0/ct01_ct_to_t1.json": "models_sha256",
    "cases/stargan/ct/seed0/cases.json": "models_sha256",
    DATASET: "provenance",
    SUMMARY: "sha256",
    SUMMARY.replace("preprocessed.json", "nnUNetPlans.json"): "configurations.2d.data_identifier",
    MADE_BY: "inputs_sha256",
    MODEL: "seed",
    "segmenters/segan/ct/single/seed0/model.pt": "pretrained",
    NETWORK: "settings.pretrained_sha256",
}


@pytest.mark.parametrize("name", MISSING)
def test_a_missing_key_is_one_line_that_names_the_file(root, name):
    *steps, last = MISSING[name].split(".")
    edit = edit_json if name.endswith(".json") else edit_model
    edit(root / name, lambda content: reduce(dict.__getitem__, steps, content).pop(last))
    found = [line for lines in found_by(root).values() for line in lines]
    assert any(
        line.startswith(f"{root / name}: found") and f"'{last}' is a required property" in line for line in found
    )


@pytest.mark.parametrize("key", ["images", "label"])
def test_a_case_without_images_or_label(root, caught, key):
    edit_json(root / SINGLE, lambda content: content["dataset"][ct(who(root).train)].pop(key))
    caught(SINGLE, f"found dataset.{ct(who(root).train)}: '{key}' is a required property")


def test_a_value_of_another_kind(root, caught):
    edit_json(root / SINGLE, lambda content: content.update(test_cases=7))
    caught(SINGLE, "found test_cases: 7 is not of type 'array', expected a record of this version")


@pytest.mark.parametrize("content", [7, {"train": []}, {"train": [], "val": 7}])
def test_folds_of_another_kind(root, caught, content):
    publish_json((root / SINGLE).with_name("splits_final.json"), [content])
    caught(f"nnunet/ct/single/{RAW}".replace("dataset.json", "splits_final.json"))


@pytest.mark.parametrize("key", ["train", "folds"])
@pytest.mark.parametrize("change", [dict.pop, lambda content, key: content.update({key: None})])
def test_splits_without_a_set(root, key, change):
    edit_json(root / "splits.json", lambda content: change(content, key))
    with pytest.raises(InputError, match=rf"splits\.json: found .*{key}"):
        found_by(root)


def test_splits_with_a_set_more(root):
    edit_json(root / "splits.json", lambda content: content.update(more=[]))
    with pytest.raises(InputError, match=r"splits\.json: .*'more'"):
        found_by(root)


@pytest.mark.parametrize("key", ["crossfit", "nnunet"])
def test_a_config_without_a_key(root, key):
    content = yaml.safe_load((root / "config.yaml").read_text())
    (root / "config.yaml").unlink()
    (root / "config.yaml").write_text(yaml.safe_dump({name: content[name] for name in content if name != key}))
    seal(root / "config.yaml")
    with pytest.raises(InputError, match=f"'{key}' is a required property"):
        found_by(root)


@pytest.mark.parametrize("text", ["", "7", "a: [", "methods: {}"])
def test_a_config_of_another_kind(root, text):
    (root / "config.yaml").unlink()
    (root / "config.yaml").write_text(text)
    seal(root / "config.yaml")
    with pytest.raises(InputError, match=r"config\.yaml: found"):
        found_by(root)


def test_a_method_of_another_version(root):
    content = yaml.safe_load((root / "config.yaml").read_text())
    (root / "config.yaml").unlink()
    (root / "config.yaml").write_text(yaml.safe_dump(content | {"methods": CONFIG["methods"] | {"newgan": {}}}))
    seal(root / "config.yaml")
    with pytest.raises(InputError, match="found method newgan"):
        found_by(root)
