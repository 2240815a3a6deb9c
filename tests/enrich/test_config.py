import shutil
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from enrich.config import PRECOMPUTED, changes, digest, record, refuse_overwriting, resolve, schema
from enrich.rows import rows
from gan.batch import Draw
from gan.errors import InputError
from gan.methods import METHODS

SOURCE = Path("workflow/config/mine.yaml")
MINIMAL = {"data": {"reader": "chaos", "folder": "data"}, "modalities": ["ct", "t1"], "target": "liver"}


def test_the_run_is_named_after_the_file_and_defaults_are_nnunets_own():
    config = resolve(MINIMAL, SOURCE)
    assert config["run"] == "mine"
    assert config["split"] == {"train": 0.5, "watch": 1, "seed": 0}
    assert config["nnunet"]["epochs"] is None
    assert config["nnunet"]["folds"] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"modalitys": []}, "config: found .*'modalitys' was unexpected"),
        ({"nnunet": {"epoch": 3}}, "nnunet: found .*'epoch' was unexpected"),
        ({"nnunet": {"epochs": "many"}}, "nnunet.epochs: found 'many'"),
        ({"threads": "a: b: c"}, "threads: found 'a: b: c'"),
        ({"image_size": 100}, "image_size: found 100"),
        ({"methods": {"targan": {"widht": 8}}}, "methods.targan: found .*'widht' was unexpected"),
        ({"methods": {"targan": {"width": "wide"}}}, "methods.targan.width: found 'wide'"),
        ({"methods": {"targan": {"epochs": 1, "rounds": 1}}}, "methods.targan: found epochs and rounds"),
        ({"methods": {"pix3pix": {}}}, "methods.pix3pix: found method pix3pix"),
        ({"methods": {"stargan": {"method": "targan"}}}, "methods.stargan: found method targan"),
        ({"methods": {"single": {"method": "targan"}}}, "methods: found 'single'"),
        ({"methods": {"tar.gan": {"method": "targan"}}}, "methods: found 'tar.gan'"),
        ({"methods": {}, "controls": []}, "methods, controls: found nothing"),
        ({"seeds": []}, r"seeds: found \[\]"),
        ({"data": {"reader": "chaos"}}, "data.folder: found neither"),
        ({"data": {"reader": "chaos", "folder": "a", "phantom": {}}}, "data.folder: found data.phantom beside it"),
        (
            {"nnunet": {"configuration": "2d", "spacing_mm": [1, 3, 3]}},
            r"nnunet.spacing_mm: found \[1, 3, 3\], expected",
        ),
        ({"data": {"reader": "brats", "folder": "a"}}, "data.release: found None"),
        ({"data": {"reader": "chaos", "folder": "a/{run}"}}, r"data.folder: found 'a/\{run\}' does not match"),
        ({"split": "{run}.csv"}, r"split: found '\{run\}.csv'"),
        ({"distance_features": {"backbone": "inception", "weights": "{}"}}, "distance_features.weights: found"),
        ({"methods": {"mine": {"method": "precomputed", "folder": "{run}"}}}, "methods.mine.folder: found"),
        ({"data": {"reader": "chaos", "folder": "a", "release": "2021"}}, "data.release: found 2021"),
        ({"data": {"reader": "table", "folder": "a"}}, "data.structures: found None"),
        ({"data": {"reader": "chaos", "folder": "a", "structures": {"liver": [1]}}}, "data.structures: found"),
        ({"data": {"reader": "msd", "phantom": {}}}, "data.phantom: found one with reader msd"),
        ({"data": {"reader": "chaos", "phantom": {"patients": 6}}}, "data.phantom: found patients"),
        ({"run": "../elsewhere"}, "run: found '../elsewhere'"),
        ({"target": "left liver"}, "target.0: found 'left liver'"),
        ({"split": {"train": 1.5}}, "split.train: found 1.5"),
        ({"split": "nowhere.csv"}, "split: found nowhere.csv"),
        ({"split": None}, "split: found None"),
        ({"outer_folds": 1}, "outer_folds: found 1"),
        ({"outer_folds": 2, "split": __file__}, "outer_folds: found 2, expected 0 beside the split"),
        ({"crossfit": 1}, "crossfit: found 1"),
        (
            {"crossfit": 2, "methods": {"csgan": {"patience": 2}}},
            "methods.csgan.patience: found 2, expected none beside",
        ),
        ({"crossfit": 2, "gan_patients": "disjoint"}, "crossfit: found it beside gan_patients: disjoint"),
        ({"controls": ["fake"]}, "controls.0: found 'fake'"),
        ({"label_fractions": [1.0]}, "label_fractions.0: found 1"),
        ({"synthetic_fractions": [0.14, 0.125]}, "synthetic_fractions: found 0.125"),
        ({"methods": {"oracle": {"method": "targan"}}}, "methods: found 'oracle'"),
        ({"methods": {"a-labels5": {"method": "targan"}}}, "methods: found 'a-labels5'"),
        ({"distance_features": {"backbone": "inception"}}, "distance_features.weights: found None"),
        ({"distance_features": {"weights": "w.pth"}}, "distance_features.weights: found w.pth"),
        ({"intensity": {"ct_window_hu": [240, -160]}}, r"intensity.ct_window_hu: found \[240, -160\]"),
    ],
)
def test_a_wrong_key_or_value_is_named(override, named):
    with pytest.raises(InputError, match=named) as caught:
        resolve(MINIMAL | override, SOURCE)
    assert "\n" not in str(caught.value)
    assert str(SOURCE) in str(caught.value)


def test_numbers_from_the_command_line_arrive_as_strings():
    config = resolve(
        MINIMAL
        | {"seeds": ["0", "1"], "nnunet": {"epochs": "3", "mirroring": "false"}, "methods": {"targan": {"width": "8"}}},
        SOURCE,
    )
    assert config["seeds"] == [0, 1]
    assert config["nnunet"]["epochs"] == 3
    assert config["nnunet"]["mirroring"] is False
    assert config["methods"]["targan"] == {"width": 8}


def test_methods_and_seeds_may_come_and_go_but_a_changed_key_is_a_change():
    before = resolve(MINIMAL | {"methods": {"targan": {"width": 8}, "stargan": {}}}, SOURCE)
    after = resolve(
        MINIMAL
        | {
            "methods": {"targan": {"width": 16}, "thin": {"method": "targan"}},
            "seeds": [0, 1],
            "threads": 2,
            "nnunet": {"epochs": 5},
        },
        SOURCE,
    )
    assert list(changes(after, before)) == [("methods.targan.width", 8, 16), ("nnunet.epochs", None, 5)]


def test_finished_results_are_not_overwritten_until_the_user_says_so(tmp_path):
    before = resolve(MINIMAL | {"methods": {"targan": {"width": 8}}}, SOURCE)
    after = resolve(MINIMAL | {"methods": {"targan": {"width": 16}}}, SOURCE)
    record(before, tmp_path)
    refuse_overwriting(after, tmp_path)
    assert digest(before) != digest(after)
    assert digest(before) == digest(before | {"threads": 3})
    model = tmp_path / "gan/targan/seed0/model.pt"
    model.parent.mkdir(parents=True)
    model.touch()
    with pytest.raises(InputError, match=r"methods\.targan\.width: found 16, expected 8"):
        refuse_overwriting(after, tmp_path)
    refuse_overwriting(after | {"overwrite": True}, tmp_path)
    refuse_overwriting(before, tmp_path)
    shutil.rmtree(tmp_path / "gan")
    refuse_overwriting(after, tmp_path)


def test_a_method_that_left_the_config_is_remembered_as_long_as_its_models_are_there(tmp_path):
    with_it = resolve(MINIMAL | {"methods": {"stargan": {}, "targan": {"width": 8}}}, SOURCE)
    without = resolve(MINIMAL | {"methods": {"stargan": {}}}, SOURCE)
    back = resolve(MINIMAL | {"methods": {"stargan": {}, "targan": {"width": 16}}}, SOURCE)
    model = tmp_path / "gan/targan/seed0/model.pt"
    model.parent.mkdir(parents=True)
    model.touch()
    record(with_it, tmp_path)
    assert "former_methods" not in recorded(tmp_path)
    for _ in range(2):  # a record of it is kept when the next one is made
        record(without, tmp_path)
        assert recorded(tmp_path) == without | {"former_methods": {"targan": {"width": 8}}}
    with pytest.raises(InputError, match=r"methods\.targan\.width: found 16, expected 8"):
        refuse_overwriting(back, tmp_path)
    record(back, tmp_path)
    assert recorded(tmp_path) == back
    record(without, tmp_path)
    model.unlink()
    record(without, tmp_path)
    assert recorded(tmp_path) == without
    refuse_overwriting(back, tmp_path)


def test_a_record_that_was_cut_by_hand_is_refused(tmp_path):
    record(resolve(MINIMAL, SOURCE), tmp_path)
    path = tmp_path / "config.yaml"
    path.write_text(path.read_text()[:40])
    for start in (refuse_overwriting, record):
        with pytest.raises(InputError, match=r"config\.yaml: found another file than was published"):
            start(resolve(MINIMAL, SOURCE), tmp_path)


def recorded(results):
    return yaml.safe_load((results / "config.yaml").read_text())


def test_a_record_without_a_key_that_came_later_has_its_default(tmp_path):
    config = resolve(MINIMAL, SOURCE)
    older = config | {"nnunet": {key: value for key, value in config["nnunet"].items() if key != "mirroring"}}
    record(older, tmp_path)
    (tmp_path / "nnunet/ct/single/preprocessed/Dataset001_enriched").mkdir(parents=True)
    (tmp_path / "nnunet/ct/single/preprocessed/Dataset001_enriched/preprocessed.json").touch()
    refuse_overwriting(config, tmp_path)


@pytest.mark.parametrize("name", METHODS)
def test_the_schema_knows_each_methods_own_keys_and_defaults(name):
    method, rules = METHODS[name], schema()["$defs"][name]
    foreign = {"method", "preset", *method.pretrained}
    defaults = {key: rule.get("default") for key, rule in rules["properties"].items() if key not in foreign}
    defaults["weights"] = {term: rule["default"] for term, rule in rules["properties"]["weights"]["properties"].items()}
    wanted = asdict(method.paper)
    if not method.segments:
        assert wanted.pop("patience") is None
    wanted_widths = {network: wanted.pop(f"{network}_width") for network in method.pretrained}
    assert defaults == wanted
    for network, other in method.pretrained.items():
        assert wanted_widths.pop(network) == METHODS[other].paper.width
        own = schema()["$defs"][other]["properties"]
        assert rules["properties"][network]["properties"] == {k: v for k, v in own.items() if k != "method"}
    assert schema()["$defs"].keys() == METHODS.keys() | {PRECOMPUTED}


@pytest.mark.parametrize("name", METHODS)
def test_the_schema_knows_each_methods_facts(name):
    method, rules = METHODS[name], schema()["$defs"][name]
    assert rules["title"] == method.title
    facts = dict(rules["facts"])
    for key in facts.pop("labels_unless", []):
        head, *rest = key.split(".")
        assert head in rules["properties"]
        assert not rest or rest[0] in method.paper.weights
    defaults = {"translates": True, "segments": False, "pretrained": {}, "balanced": False}
    assert defaults | facts == {
        "labels": method.labels_used,
        "scope": method.scope.value,
        "translates": method.translates,
        "segments": method.segments,
        "pretrained": dict(method.pretrained),
        "balanced": method.draw is Draw.BALANCED,
    }


def test_every_key_says_what_it_means():
    def undescribed(rules, path):
        for key, rule in rules.get("properties", {}).items():
            if "description" not in rule:
                yield f"{path}{key}"
            yield from undescribed(rule, f"{path}{key}.")

    rules = schema()
    assert list(undescribed(rules, "")) == []
    assert [key for method in rules["$defs"].values() for key in undescribed(method, "")] == []


@pytest.mark.parametrize("path", sorted(Path("workflow/config").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_configs_that_come_along_are_valid(path):
    resolve(yaml.safe_load(path.read_text()), path)


@pytest.mark.parametrize("path", sorted(Path("workflow/config/ablations").glob("*.yaml")), ids=lambda path: path.stem)
@pytest.mark.parametrize("base", ["chaos", "brats"])
def test_the_papers_ablations_lie_over_a_study(path, base):
    study = Path(f"workflow/config/{base}.yaml")
    config, over = (yaml.safe_load(file.read_text()) for file in (study, path))
    for key, value in over.items():
        config[key] = config.get(key, {}) | value
    resolved = resolve(config, study)
    names = {row.name for row in rows(resolved)}
    assert names >= over["methods"].keys() | over.get("compositions", {}).keys()
    assert resolved["run"] == base


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"methods": {"pix2pix": {}}, "image_size": 64},
            "downs: found 7, expected at most 6 for image_size 64",
        ),
        (
            {"methods": {"cyclegan": {"batch_size": 3}}},
            "batch_size: found 3, expected a multiple of the 2",
        ),
        (
            {"methods": {"remic": {"batch_size": 4}}},
            "batch_size: found 4, expected a multiple of the 3",
        ),
        (
            {"methods": {"csgan": {"patience": 3}}, "split": {"watch": 0}},
            "csgan.patience: found 3, expected none, or somebody to watch: split.watch",
        ),
        (
            {"methods": {"tc_mgan": {"segmentor": {"epochs": 1, "rounds": 2}}}},
            "methods.tc_mgan: found epochs and rounds, expected one of the two",
        ),
        (
            {
                "methods": {"stargan": {}},
                "compositions": {"ada": {"translator": "stargan", "use": "cases"}},
                "intensity": {"preset": "paper"},
            },
            "intensity.preset: found paper with compositions of cases of CT",
        ),
    ],
)
def test_methods_keys_that_contradict_each_other_or_the_study(change, message):
    given = yaml.safe_load(Path("workflow/config/chaos.yaml").read_text()) | {"image_size": 256} | change
    with pytest.raises(InputError, match=message):
        resolve(given, Path("study.yaml"))
