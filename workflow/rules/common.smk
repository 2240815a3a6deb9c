"""The checked config, and what the rules ask of it."""

import json
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from enrich.config import (
    digest,
    labels_used,
    method_of,
    record,
    refuse_overwriting,
    resolve,
    titles,
)
from enrich.last_words import last_words
from gan.errors import InputError
from gan.sources import sources, training_sources

CONFIG_FILE = Path([*workflow.configfiles][-1])
try:
    config = resolve(config, CONFIG_FILE)
    refuse_overwriting(config, Path("results", config["run"]))
except InputError as error:
    raise WorkflowError(str(error)) from None

shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")

RUN = config["run"]
MODALITIES = config["modalities"]
NNUNET = config["nnunet"]
PLANS = {
    "ExperimentPlanner": "nnUNetPlans",
    "nnUNetPlannerResEncM": "nnUNetResEncUNetMPlans",
    "nnUNetPlannerResEncL": "nnUNetResEncUNetLPlans",
    "nnUNetPlannerResEncXL": "nnUNetResEncUNetXLPlans",
}
MODEL = f"{NNUNET['trainer']}__{PLANS[NNUNET['planner']]}__{NNUNET['configuration']}"
ROWS = [*config["controls"], *config["methods"]]
TITLES, LABELS_USED = titles(config), labels_used(config)
FIGURES = ["segmentation", *(["translation"] if config["methods"] else [])]


wildcard_constraints:
    run=RUN.replace(".", r"\."),
    name="|".join(config["methods"]) or "(?!)",
    seed=r"\d+",
    fold=r"\d|all",
    model=MODEL,
    modality="[a-z0-9]+",
    channels="|".join(
        ["single", "zero", *(f"{name}-seed[0-9]+" for name in config["methods"])]
    ),


def raw_folder():
    """Folder of the raw scans."""
    return config["data"]["folder"] or f"results/{RUN}/raw"


def written_raw(wildcards):
    """What marks the raw scans as complete, where the workflow writes them itself."""
    return (
        f"results/{RUN}/raw/phantom.json"
        if config["data"]["phantom"] is not None
        else []
    )


def settings_of(wildcards):
    """One entry's own keys, as JSON."""
    entry = config["methods"][wildcards.name]
    return json.dumps({key: value for key, value in entry.items() if key != "method"})


def method_name(wildcards):
    """The method that an entry of the config trains."""
    return method_of(wildcards.name, config["methods"][wildcards.name])


def sources_of_training(wildcards):
    """The method's file and what every training runs: an edit retrains."""
    return training_sources(method_name(wildcards))


def sources_of_synthesis(wildcards):
    """What synthesis runs, the method's file included."""
    return sources("enrich.synthesize", f"gan.methods.{method_name(wildcards)}")


def index_of(channels):
    """Index of the synthetic channels of a data set; nothing for the real channel alone."""
    if channels == "single":
        return []
    if channels == "zero":
        return f"results/{RUN}/synthetic/zero/index.csv"
    name, seed = channels.rsplit("-", 1)
    return f"results/{RUN}/synthetic/{name}/{seed}/index.csv"


def synthetic_index(wildcards):
    """Index of the synthetic channels that a data set takes."""
    return index_of(wildcards.channels)


def optional(name, value):
    """A command-line option, or nothing where the config leaves it to nnU-Net."""
    return [name, str(value)] if value is not None else []


def row_of(wildcards):
    """The table's row that a data set's channels stand for."""
    return wildcards.channels.removesuffix(f"-seed{wildcards.seed}")


def all_scores(wildcards):
    """Scores of every modality, data set and seed."""
    return [
        f"results/{RUN}/nnunet/{modality}/{channels}/seed{seed}/scores.csv"
        for modality in MODALITIES
        for seed in config["seeds"]
        for channels in [
            *config["controls"],
            *(f"{name}-seed{seed}" for name in config["methods"]),
        ]
    ]


def synthetic_of_first_seed(wildcards):
    """Indexes of every method's synthetic scans, under the first seed."""
    return [index_of(f"{name}-seed{config['seeds'][0]}") for name in config["methods"]]
