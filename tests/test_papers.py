"""The papers' protocols: a dry run of each config on a phantom plans what its paper says that it did.

Counts and settings stand here as the papers state them, with the section; what a config cannot say is in its comments.
"""

import json
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd
import pytest
import yaml

from enrich.published import PROTOCOLS
from enrich.splits import Design, split_scans
from gan.methods import METHODS
from gan.settings import resolve
from tests.test_workflow import copy_project, snakemake

REPORTED = {
    *("comparisons", "segmentation_table", "translation_table", "ablation_table", "cost_table"),
    *("segmentation_figure", "translation_figure", "audit", "html_report"),
}


@dataclass(frozen=True)
class Paper:
    """What a paper says of its protocol.

    Attributes:
        data: of the config; what the paper had, or what stands in for it.
        phantom: just enough patients for the split.
        patients: in the paper's data, by the modalities that they have.
        sets: how many of these are in each set of the split, in the same order.
        trainings: by entry of `methods`, how many, and the settings and weights of each.
        rows: data sets that nnU-Net is trained on.
        nnunet: trainings of nnU-Net on each of them: outer folds times modalities times nnU-Net's folds.
        steps: what a rule's jobs are told.
        segmented: jobs in which a translator segments by itself.
        outer_folds: 1 where there is one split.
        reported: further figures.
    """

    data: dict[str, str]
    phantom: dict[str, int]
    patients: dict[tuple[str, ...], int]
    sets: dict[str, list[int]]
    trainings: dict[str, tuple[int, dict[str, Any]]]
    rows: set[str]
    nnunet: int
    steps: dict[str, dict[str, Any]]
    segmented: dict[str, int] = field(default_factory=dict)
    outer_folds: int = 1
    reported: set[str] = field(default_factory=set)


# Chen et al. 2021, section 3.1
TARGAN: dict[str, Any] = {
    **{"epochs": 50, "batch_size": 4, "learning_rate": 1e-4, "critic_learning_rate": 3e-4, "ema_decay": 0.999},
    **{f"{term}_{part}": 1 for term in ("modality_real", "modality", "reconstruction", "shape") for part in "xr"},
    **{f"{term}_{part}": weight for term, weight in (("penalty", 10), ("untraceable", 0.01)) for part in "xr"},
    **{"crossing": 50, "target_stream": True},
}
WITHOUT_SHAPE = {"shape_x": 0, "shape_r": 0}
# Zhang et al. 2018, sections 3.6 and 4.2; 100 of the 200 epochs before all play together
CSGAN = {
    **{"epochs": 200, "pretraining": 0.5, "learning_rate": 2e-4, "segmentor_learning_rate": 2e-4, "dimensions": 3},
    **{"cycle": 10, "shape": 1},
}
# Hiasa et al. 2018, section 2.2; the learning rate falls in the second half of the iterations
HIASA = {"rounds": 200_000, "learning_rate": 2e-4, "cycle": 3, "gradient_consistency": 0.3, "patient_fraction": 1}
WITHOUT_GC, FEW = {"gradient_consistency": 0}, {"patient_fraction": 0.25}
# Xin et al. 2020, section 3.1
XIN = {"epochs": 100, "batch_size": 64, "learning_rate": 2e-4, "l1": 0.1, "penalty": 100}
MGAN = XIN | {"modality_real": 10, "modality": 10}
SEGMENTOR = {"epochs": 30, "batch_size": 64, "learning_rate": 1e-3}

PAPERS = {
    "paper-targan": Paper(
        data={"reader": "chaos"},
        phantom={"ct_patients": 2, "mr_patients": 2},
        patients={("ct",): 20, ("t1", "t2"): 20},  # section 3.1, as is the half that trains
        sets={"train": [10, 10], "watch": [0, 0], "test": [10, 10], "gan": [0, 0]},
        trainings={  # Tables 1 to 3; the baselines as their own papers have them
            "stargan": (1, {"rounds": 200_000, "batch_size": 16}),
            "csgan": (3, CSGAN),
            "remic": (1, {}),
            "targan": (1, TARGAN),
            "targan-without-s-t-c": (1, TARGAN | WITHOUT_SHAPE | {"target_stream": False}),
            "targan-without-s-c": (1, TARGAN | WITHOUT_SHAPE | {"crossing": 0}),
            "targan-without-t-c": (1, TARGAN | {"target_stream": False}),
            "targan-without-c": (1, TARGAN | {"crossing": 0}),
            "targan-without-s": (1, TARGAN | WITHOUT_SHAPE),
        },
        rows={
            *("single", "stargan-seed0", "csgan-seed0", "remic-seed0", "targan-seed0", "targan-without-s-seed0"),
            *(f"targan-without-{parts}-seed0" for parts in ("s-t-c", "s-c", "t-c", "c")),
        },
        nnunet=3 * 5,
        segmented={"csgan": 3, "remic": 3},  # section 3.1, baseline methods
        steps={
            "prepare": {"--target": "liver", "--segment": "liver"},
            "slices": {"--image-size": "256", "preset": "paper"},
            "nnunet_preprocess": {"--configuration": "3d_fullres"},
            "nnunet_train": {"--epochs": None, "--iterations": None},  # nnU-Net's own
        },
    ),
    "paper-tcmgan": Paper(
        data={"reader": "brats", "release": "2018"},
        phantom={"patients": 3},
        patients={("flair", "t1", "t1ce", "t2"): 285},  # section 3.1, as are the three sets
        sets={"train": [100], "watch": [0], "test": [85], "gan": [100]},
        trainings={  # one a direction, or one a source
            "pix2pix": (12, XIN),
            "mgan": (4, MGAN),
            "tc_mgan": (4, MGAN | {"segmentation": 50}),
            "tc_mgan segmentor": (4, SEGMENTOR),
            "tc_mgan_bw": (4, MGAN | {"segmentation": 50}),
            "tc_mgan_bw segmentor": (4, SEGMENTOR),
        },
        rows={"single", "oracle", "pix2pix-seed0", "mgan-seed0", "tc_mgan-seed0", "tc_mgan_bw-seed0"},  # Table 2
        nnunet=4,
        steps={  # section 3.1
            "prepare": {"--target": "whole_tumour", "--segment": "whole_tumour"},
            "slices": {"--image-size": "128", "mr_percentiles": [0, 100]},
            "nnunet_preprocess": {"--configuration": "2d"},
            "nnunet_train": {"--epochs": "30", "--iterations": None, "--fold": "all"},
        },
    ),
    "paper-csgan": Paper(
        data={"reader": "chaos"},
        phantom={"ct_patients": 3, "mr_patients": 3},
        patients={("ct",): 142, ("t1",): 142},  # section 5.1, S1: half for training and validation
        sets={"train": [70, 70], "watch": [1, 1], "test": [71, 71], "gan": [0, 0]},
        trainings={  # stops after five epochs, of the nine volumes of each modality that CHAOS leaves to train
            "csgan": (1, CSGAN | {"patience": 5, "samples_every": 9, "batch_size": 2}),
            "csgan-without-shape": (1, CSGAN | {"shape": 0, "patience": None}),
        },
        rows={  # sections 5.3 and 5.4
            f"{name}-{labels}".removesuffix("-")
            for labels in ("", "labels14", "labels85")
            for name in ("single", "csgan-seed0", "csgan-without-shape-seed0", "csgan-without-shape-cases-seed0")
        }
        | {
            f"csgan-without-shape-cases-seed0-{budget}"
            for budget in ("synthetic23", "labels14-synthetic23", "labels85-synthetic23")
        },
        nnunet=2,
        segmented={"csgan": 2, "csgan-without-shape": 2},
        steps={
            "prepare": {"--target": "liver", "--segment": "liver"},
            "slices": {"--image-size": "128", "preset": "default"},
            "nnunet_preprocess": {"--configuration": "3d_fullres"},
            "nnunet_train": {"--epochs": None, "--iterations": None, "--fold": "all"},
        },
        reported={"label_budget_figure"},
    ),
    "paper-hiasa": Paper(
        data={"reader": "chaos"},
        phantom={"ct_patients": 5, "mr_patients": 5},
        patients={("ct",): 20, ("t1",): 10},  # section 2.1, with labels; section 4: 8 MR train, 2 test
        sets={"train": [16, 8], "watch": [0, 0], "test": [4, 2], "gan": [0, 0]},
        trainings={  # section 3.1
            "cyclegan_gc": (5, HIASA),
            "cyclegan_gc-few": (5, HIASA | FEW),
            "cyclegan-without-gc": (5, HIASA | WITHOUT_GC),
            "cyclegan-without-gc-few": (5, HIASA | WITHOUT_GC | FEW),
        },
        rows={
            *("single", "cyclegan_gc-seed0", "cyclegan_gc-few-seed0"),
            *("cyclegan-without-gc-seed0", "cyclegan-without-gc-few-seed0"),
        },
        nnunet=5 * 2,
        steps={  # section 2.1; section 3.2: 100,000 batches, which nnU-Net takes as epochs of 250
            "prepare": {"--target": "liver", "--segment": "liver", "n4": True, "ct_field_of_view_mm": 320},
            "slices": {"--image-size": "256"},
            "nnunet_preprocess": {"--configuration": "2d"},
            "nnunet_train": {"--epochs": "400", "--iterations": None, "--fold": "all"},
        },
        outer_folds=5,
    ),
}


class Job(NamedTuple):
    """A planned job: its rule, its wildcards, and each word of its command with the word after it."""

    rule: str
    wildcards: dict[str, str]
    options: dict[str, str]


class Study(NamedTuple):
    """A paper, the data of its config, its config on a phantom, and the jobs that are planned of it."""

    paper: Paper
    data: dict[str, str]
    config: dict[str, Any]
    jobs: list[Job]


def planned(project, config) -> Iterator[Job]:
    """Yield the jobs of a dry run of everything."""
    done = snakemake(project, "--dry-run", "--forceall", "--printshellcmds", "all", config=config)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    block = r"^(?:local)?rule (\w+):\n(?:    .*\n)*?    wildcards: (.*)\n(?:    .*\n)*Shell command: (.*)"
    for rule, wildcards, command in re.findall(block, done.stdout + done.stderr, re.MULTILINE):
        pairs = dict(pair.split("=", 1) for pair in wildcards.split(", "))
        yield Job(rule, pairs, dict(pairwise(shlex.split(command))))


def told(job) -> dict[str, Any]:
    """Return what a job is told, JSON opened, and of a training the settings that follow from it."""
    found = dict(job.options)
    for value in job.options.values():
        if value.startswith("{"):
            found |= json.loads(value)
    if "--settings" in found:
        method = METHODS[found["--method"]]
        settings = asdict(resolve(method.paper, method.official, json.loads(found["--settings"]), job.rule))
        found |= settings | settings["weights"]
    return found


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    copy = tmp_path_factory.mktemp("papers")
    copy_project(copy)
    return copy


@pytest.fixture(scope="module", params=PROTOCOLS, ids=lambda path: path.stem)
def study(request, project):
    paper, given = PAPERS[request.param.stem], yaml.safe_load(request.param.read_text())
    data = {"reader": given["data"]["reader"], "phantom": {"slices": 8, "size": 32} | paper.phantom}
    release = {"release": "2021"} if "release" in given["data"] else {}  # the one that phantoms are laid out as
    config = given | {"run": request.param.stem, "data": data | release, "threads": 1}
    return Study(paper, given["data"], config, list(planned(project, config)))


def test_every_paper_has_a_config():
    assert {path.stem for path in PROTOCOLS} == PAPERS.keys()


def test_the_data_are_the_papers_or_stand_in_for_them(study):
    assert study.data == study.paper.data | {"folder": study.data["folder"]}


def test_a_phantom_is_written_read_and_split(study, project):
    folder = f"results/{study.config['run']}/{'outer0/' if study.paper.outer_folds > 1 else ''}"
    done = snakemake(project, f"{folder}splits.json", config=study.config)
    assert done.returncode == 0, done.stderr[-5000:]
    splits = json.loads((project / folder / "splits.json").read_text())
    assert {name for name, patients in splits.items() if patients} == {
        name for name, counts in study.paper.sets.items() if any(counts)
    }


def test_the_split_has_the_papers_sizes(study):
    strata = {
        modalities: [f"{modalities[0]}{k:03}" for k in range(n)] for modalities, n in study.paper.patients.items()
    }
    rows = [(one, name, "label") for names, patients in strata.items() for one in patients for name in names]
    scans = pd.DataFrame(rows, columns=["patient", "modality", "label"])
    splits = {int(job.options["--outer"]): job.options["--design"] for job in study.jobs if job.rule == "split"}
    assert splits.keys() == set(range(study.paper.outer_folds))
    for outer, design in splits.items():
        sets = asdict(split_scans(scans, Design(**json.loads(design)), outer))
        assert study.paper.sets == {
            name: [len(set(sets[name]) & set(patients)) for patients in strata.values()] for name in study.paper.sets
        }
        assert sets["folds"] == []


def test_translators_are_trained_as_in_the_paper(study):
    jobs = [
        (" ".join(filter(None, (job.wildcards["name"], job.wildcards.get("network")))), told(job))
        for job in study.jobs
        if job.rule in ("train_gan", "pretrain")
    ]
    assert Counter(name for name, _ in jobs) == {name: count for name, (count, _) in study.paper.trainings.items()}
    for name, settings in jobs:
        expected = study.paper.trainings[name][1]
        assert settings.get("preset", "paper") == "paper", name
        assert {key: settings[key] for key in expected} == expected, name


def test_segmentation_is_trained_on_the_papers_rows(study):
    trained = Counter(job.wildcards["channels"] for job in study.jobs if job.rule == "nnunet_train")
    assert trained == dict.fromkeys(study.paper.rows, study.paper.nnunet)
    own = Counter(job.wildcards["name"] for job in study.jobs if job.rule == "segment")
    assert own == study.paper.segmented


def test_every_step_is_told_what_the_paper_says(study):
    for rule, expected in study.paper.steps.items():
        jobs = [told(job) for job in study.jobs if job.rule == rule]
        assert jobs
        for options in jobs:
            assert {key: options.get(key) for key in expected} == expected, rule


def test_tables_figures_audit_and_report_are_planned(study):
    assert {job.rule for job in study.jobs} >= REPORTED | study.paper.reported
