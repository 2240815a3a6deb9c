"""The checked config, and what the rules ask of it."""

import json
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from enrich.config import method_of, record, refuse_overwriting, resolve
from gan.errors import InputError
from gan.sources import sources

CONFIG_FILE = Path([*workflow.configfiles][-1])
try:
    config = resolve(config, CONFIG_FILE)
    refuse_overwriting(config, Path("results", config["run"]))
except InputError as error:
    raise WorkflowError(str(error)) from None

shell.prefix(f"export PATH={Path(sys.executable).parent}:$PATH; ")

RUN = config["run"]
MODALITIES = config["modalities"]
NNUNET = config["nnunet"]
FIGURES = ["segmentation", *(["translation"] if config["methods"] else [])]


wildcard_constraints:
    run=RUN.replace(".", r"\."),
    name="[a-z0-9][a-z0-9_.-]*",
    seed=r"\d+",
    fold=r"\d|all",
    modality="[a-z0-9]+",
    channels="single|zero|[a-z0-9][a-z0-9_.-]*-seed[0-9]+",


def raw_folder():
    """Folder of the raw scans."""
    return config["data"]["folder"] or f"results/{RUN}/raw"


def written_raw(wildcards):
    """What marks the raw scans as complete, where the workflow writes them itself."""
    return f"results/{RUN}/raw/phantom.json" if config["data"]["phantom"] is not None else []


def settings_of(wildcards):
    """One method's own part of the config, as JSON."""
    return json.dumps(config["methods"][wildcards.name])


def method_name(wildcards):
    """The method that an entry of the config trains."""
    return method_of(wildcards.name, config["methods"][wildcards.name])


def training_sources(wildcards):
    """The method's file and what every training runs: an edit retrains."""
    return sources("gan.train", f"gan.methods.{method_name(wildcards)}")


def synthesis_sources(wildcards):
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


def model_of(configuration=NNUNET["configuration"], folds=NNUNET["folds"]):
    """Checkpoints of every fold of one segmentation, below its folder."""
    model = f"Dataset001_enriched/{NNUNET['trainer']}__{PLANS[NNUNET['planner']]}__{configuration}"
    return [f"{model}/fold_{fold}/checkpoint_final.pth" for fold in folds]


def all_channels(seed):
    """Channels of every data set of one seed, with the method that each stands for."""
    return {name: name for name in config["controls"]} | {f"{name}-seed{seed}": name for name in config["methods"]}


def all_scores(wildcards):
    """Scores of every modality, data set and seed."""
    return [
        f"results/{RUN}/nnunet/{modality}/{channels}/seed{seed}/scores.csv"
        for modality in MODALITIES
        for seed in config["seeds"]
        for channels in all_channels(seed)
    ]
