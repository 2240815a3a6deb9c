"""Every system of the papers through the DAG, once, on a tiny aligned phantom in a copy of the project.

Of nnU-Net, which reads the channels of all translators alike, the composition with fine-tuning runs here and the rest
in `test_workflow`.
"""

import pandas as pd
import pytest

from enrich.audit.__main__ import audit
from gan.methods import METHODS
from tests.gan import tiny
from tests.test_workflow import CONFIG, copy_project, planned, snakemake

ENTRIES = {name for name, kind in METHODS.items() if kind.translates or kind.segments}
TRANSLATORS = [name for name in METHODS if METHODS[name].translates]
SEGMENTERS = [name for name in METHODS if METHODS[name].segments]
LENGTH = {"rounds": 2}


def entry(name):
    """Return a tiny entry of the config, with those of the networks that it starts from."""
    own = tiny.entry(name, width=4, **LENGTH) | ({"batch_size": 2} if METHODS[name].scope.value != "1→n" else {})
    own.pop("segmentor_width", None)
    return own | {network: tiny.entry(other, **LENGTH) for network, other in METHODS[name].pretrained.items()}


SYSTEMS = CONFIG | {
    "run": "systems",
    "data": {
        "reader": "brats",
        "release": "2021",
        "phantom": {"patients": 4, "slices": 8, "size": 64, "seed": 1},
    },
    "modalities": ["t1", "t2"],
    "target": "whole_tumour",
    "split": {"train": 0.5, "watch": 1, "seed": 0},
    "methods": {name: entry(name) for name in METHODS if name in ENTRIES},
    "compositions": {
        "stargan-segan": {"translator": "stargan", "segmenter": "segan"},
        "ada": {"translator": "cyclegan", "use": "cases"},
    },
}
RESULTS = "results/systems"
WANTED = [
    *(f"{RESULTS}/synthetic/{name}/seed0/index.csv" for name in TRANSLATORS),
    *(f"{RESULTS}/segmenters/{name}/t1/single/seed0/scores.csv" for name in SEGMENTERS),
    f"{RESULTS}/segmenters/segan/t1/stargan-seed0/seed0/scores.csv",
    f"{RESULTS}/nnunet/t2/cyclegan-cases-seed0/seed0/scores.csv",
]


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    copy = tmp_path_factory.mktemp("systems")
    copy_project(copy)
    done = snakemake(copy, *WANTED, config=SYSTEMS)
    assert done.returncode == 0, done.stderr[-5000:]
    return copy


@pytest.mark.parametrize("name", TRANSLATORS)
def test_every_translator_fills_every_direction(project, name):
    table = pd.read_csv(project / f"{RESULTS}/synthetic/{name}/seed0/index.csv", dtype=str)
    scans = pd.read_csv(project / f"{RESULTS}/scans.csv", dtype=str)
    assert len(table) == len(scans) == 8
    assert set(zip(table["source"], table["target"], strict=True)) == {("t1", "t2"), ("t2", "t1")}


@pytest.mark.parametrize("name", TRANSLATORS)
def test_a_method_is_trained_once_for_each_training_of_its_scope(project, name):
    trained = {path.parents[1].name for path in (project / f"{RESULTS}/gan/{name}").glob("*/seed0/model.pt")}
    assert trained == METHODS[name].scope.trainings(["t1", "t2"]).keys()


def test_what_a_method_starts_from_is_trained_by_a_rule_of_its_own(project):
    for name in ("tc_mgan", "tc_mgan_bw"):
        for training in ("from-t1", "from-t2"):
            assert (project / f"{RESULTS}/gan/{name}/{training}/seed0/segmentor/model.pt").is_file()
            assert (project / f"{RESULTS}/logs/gan/{name}_{training}_seed0_segmentor.log").is_file()


@pytest.mark.parametrize(
    ("folder", "method", "structures"),
    [
        *((f"segmenters/{name}/t1/single", name, ["whole_tumour"]) for name in SEGMENTERS),
        ("segmenters/segan/t1/stargan-seed0", "stargan-segan", ["whole_tumour"]),
        ("nnunet/t2/cyclegan-cases-seed0", "ada", ["whole_tumour", "tumour_core", "enhancing_tumour"]),
    ],
)
def test_scores_of_a_row(project, folder, method, structures):
    scores = pd.read_csv(project / RESULTS / folder / "seed0/scores.csv")
    assert set(scores["method"]) == {method}
    assert scores["structure"].value_counts().to_dict() == dict.fromkeys(structures, 2)


def test_the_audit_misses_the_gathered_scores_alone(project):
    _, checks = audit(project / RESULTS, 1)
    examined = {check.name for check in checks}
    assert examined >= {"slices", "translators", "synthetic channels", "further cases", "datasets", "segmenters"}
    (found,) = (line for check in checks for line in check.found)
    assert found.startswith(f"{project / RESULTS}/scores/segmentation.csv: found no such file")


def test_the_whole_table_is_planned(project):
    jobs = planned(project, "all", config=SYSTEMS)
    channels = {wildcards[0] for rule, wildcards in jobs if rule == "nnunet_train"}
    tuned = {"cyclegan-cases-seed0"}  # that of t2 is there
    assert channels == {f"{name}-seed0" for name in TRANSLATORS} | {"zero", "single"} | tuned
    segmented = {wildcards for rule, wildcards in jobs if rule == "segment"}
    assert {wildcards[:2] for wildcards in segmented} >= {(name, "single") for name in SEGMENTERS}


def test_editing_the_pretrained_network_retrains_what_starts_from_it_alone(project):
    path = project / "gan/methods/conditional_segmentor.py"
    text = path.read_bytes()
    path.write_bytes(text + b"\n# edited\n")
    try:
        jobs = planned(project, *WANTED, config=SYSTEMS)
    finally:
        path.write_bytes(text)
    assert {wildcards[0] for rule, wildcards in jobs if rule in ("pretrain", "train_gan")} == {"tc_mgan", "tc_mgan_bw"}
