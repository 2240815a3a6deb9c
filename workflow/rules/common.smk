"""The checked config, and what the rules ask of it."""

import json
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

from enrich.config import (
    digest,
    facts,
    method_of,
    record,
    refuse_overwriting,
    resolve,
    schema,
)
from enrich.last_words import last_words
from enrich.rows import NNUNET as BY_NNUNET
from enrich.rows import rows, title_of
from gan.errors import InputError
from gan.scope import Scope
from gan.sources import sources, training_sources

CONFIG_FILE, *OVERLAYS = map(Path, workflow.configfiles)
try:
    config = resolve(config, CONFIG_FILE)
    refuse_overwriting(config, Path("results", config["run"]))
    ROWS = rows(config)
except InputError as error:
    over = f" (or in {', '.join(map(str, OVERLAYS))}, laid over it)" if OVERLAYS else ""
    raise WorkflowError(f"{error}{over}") from None

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
METHOD = {name: method_of(name, entry) for name, entry in config["methods"].items()}
TRANSLATORS = [name for name in METHOD if facts(METHOD[name]).get("translates", True)]
SEGMENTERS = [name for name in METHOD if facts(METHOD[name]).get("segments", False)]
TRAININGS = {
    name: Scope(facts(METHOD[name])["scope"]).trainings(MODALITIES)
    for name in TRANSLATORS
}
TITLES = {row.name: row.title for row in ROWS}
TRANSLATOR_TITLES = {name: title_of(name) for name in TRANSLATORS}
FIGURES = ["segmentation", *(["translation"] if TRANSLATORS else [])]


wildcard_constraints:
    run=RUN.replace(".", r"\."),
    name="|".join(METHOD) or "(?!)",
    training="[a-z0-9-]+",
    network="[a-z]+",
    seed=r"\d+",
    fold=r"\d|all",
    model=MODEL,
    modality="[a-z0-9]+",
    segmenter="|".join([BY_NNUNET, *(f"segmenters/{name}" for name in SEGMENTERS)]),
    channels="|".join(
        ["single", "zero", *(f"{name}(-cases)?-seed[0-9]+" for name in TRANSLATORS)]
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
    entry, networks = config["methods"][wildcards.name], pretrained_by(wildcards.name)
    own = {k: v for k, v in entry.items() if k not in {"method", *networks}}
    widths = {f"{network}_width": width_of(network, wildcards) for network in networks}
    return json.dumps(own | widths)


def width_of(network, wildcards):
    """The width of a network that an entry starts from."""
    width = schema()["$defs"][pretrained_by(wildcards.name)[network]]["properties"][
        "width"
    ]
    return (
        config["methods"][wildcards.name]
        .get(network, {})
        .get("width", width["default"])
    )


def pretrained_by(name):
    """The networks that an entry's method starts from: each with the method that trains it."""
    return facts(METHOD[name]).get("pretrained", {})


def pretraining_settings(wildcards):
    """An entry's keys for the network that it starts from, as JSON; what every method can be told is the entry's."""
    entry, common = config["methods"][wildcards.name], schema()["x-training"]
    shared = {key: value for key, value in entry.items() if key in common}
    return json.dumps(shared | entry.get(wildcards.network, {}))


def pretrained_models(wildcards):
    """The models that a training starts from."""
    return [
        f"results/{RUN}/gan/{wildcards.name}/{wildcards.training}/seed{wildcards.seed}/{network}/model.pt"
        for network in pretrained_by(wildcards.name)
    ]


def pretrained_options(wildcards, input):
    """The models that a training starts from, as it is told of them."""
    networks = pretrained_by(wildcards.name)
    pairs = [f"{n}={path}" for n, path in zip(networks, input.pretrained)]
    return ["--pretrained", *pairs] if pairs else []


def training_modalities(wildcards):
    """The modalities of one training, in its order."""
    return TRAININGS[wildcards.name][wildcards.training]


def sources_of_training(wildcards):
    """The method's file and what every training runs: an edit retrains."""
    return training_sources(METHOD[wildcards.name])


def sources_of_pretraining(wildcards):
    """The same of the network that a method starts from."""
    return training_sources(pretrained_by(wildcards.name)[wildcards.network])


def translating_models(name, seed):
    """The models of an entry that together cover every direction."""
    return [
        f"results/{RUN}/gan/{name}/{training}/seed{seed}/model.pt"
        for training in TRAININGS[name]
    ]


def models_of_synthesis(wildcards):
    """The models that synthesize."""
    return translating_models(wildcards.name, wildcards.seed)


def models_of_segmenter(wildcards):
    """The models that segment: a translator's own, or one trained on these channels."""
    if wildcards.name in TRANSLATORS:
        return translating_models(wildcards.name, wildcards.seed)
    return f"results/{RUN}/segmenters/{wildcards.name}/{wildcards.modality}/{wildcards.channels}/seed{wildcards.seed}/model.pt"


def sources_of_synthesis(wildcards):
    """What synthesis runs, the method's file included."""
    return sources("enrich.synthesize", f"gan.methods.{METHOD[wildcards.name]}")


def sources_of_cases(wildcards):
    """What the synthesis of cases runs, the method's file included."""
    return sources("enrich.cases", f"gan.methods.{METHOD[wildcards.name]}")


def sources_of_segmentation(wildcards):
    """What a method's own segmentation runs, the method's file included."""
    return sources("enrich.segment", f"gan.methods.{METHOD[wildcards.name]}")


def index_of(channels):
    """Index of the synthetic channels of a data set; nothing for the real channel alone."""
    if channels == "single" or "-cases-" in channels:
        return []
    if channels == "zero":
        return f"results/{RUN}/synthetic/zero/index.csv"
    name, seed = channels.rsplit("-", 1)
    return f"results/{RUN}/synthetic/{name}/{seed}/index.csv"


def synthetic_index(wildcards):
    """Index of the synthetic channels that a data set takes."""
    return index_of(wildcards.channels)


def synthetic_option(wildcards, input):
    """The same as an option."""
    return ["--synthetic", input.synthetic] if input.synthetic else []


def cases_index(wildcards):
    """Index of the synthetic and reconstructed cases that a data set takes."""
    if "-cases-" not in wildcards.channels:
        return []
    name, seed = wildcards.channels.rsplit("-cases-", 1)
    return f"results/{RUN}/cases/{name}/{wildcards.modality}/{seed}/index.csv"


def added(wildcards, input):
    """What a data set takes beside the real scans, as options."""
    if input.cases:
        return ["--cases", input.cases]
    return synthetic_option(wildcards, input)


def plans_of_single(wildcards):
    """The preprocessed data set of the real channel alone, whose plans a fine-tuning takes over."""
    if "-cases-" not in wildcards.channels:
        return []
    return f"results/{RUN}/nnunet/{wildcards.modality}/single/preprocessed/Dataset001_enriched/preprocessed.json"


def model_of_single(wildcards):
    """The checkpoint of the real channel alone, which a fine-tuning starts from."""
    if "-cases-" not in wildcards.channels:
        return []
    return (
        f"results/{RUN}/nnunet/{wildcards.modality}/single/seed{wildcards.seed}/results/Dataset001_enriched/"
        f"{MODEL}/fold_{wildcards.fold}/checkpoint_final.pth"
    )


def optional(name, value):
    """A command-line option, or nothing where the config leaves it to nnU-Net."""
    return [name, str(value)] if value is not None else []


def row_of(wildcards):
    """The table's row that a segmenter on some channels stands for."""
    name = wildcards.segmenter.removeprefix("segmenters/")
    for row in ROWS:
        if (row.segmenter, row.channels(wildcards.seed)) == (name, wildcards.channels):
            return row.name
    raise WorkflowError(f"{wildcards.channels} by {name}: found no row, expected one")


def all_scores(wildcards):
    """Scores of every modality, row and seed."""
    folders = {
        row.name: "" if row.segmenter == BY_NNUNET else "segmenters/" for row in ROWS
    }
    return [
        f"results/{RUN}/{folders[row.name]}{row.segmenter}/{modality}/{row.channels(seed)}/seed{seed}/scores.csv"
        for modality in MODALITIES
        for seed in config["seeds"]
        for row in ROWS
    ]


def synthetic_of_first_seed(wildcards):
    """Indexes of every translator's synthetic scans, under the first seed."""
    return [index_of(f"{name}-seed{config['seeds'][0]}") for name in TRANSLATORS]
