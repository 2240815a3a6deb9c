"""The checked config, and what the rules ask of it."""

import gc
import json
import re
import shlex
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from enrich.config import (
    PRECOMPUTED,
    digest,
    facts,
    keys_of,
    keys_of_network,
    method_of,
    refuse_overwriting,
    resolve,
)
from enrich.last_words import last_words
from enrich.nnunet.plans import model_folder
from enrich.rows import NNUNET as BY_NNUNET
from enrich.rows import (
    compared,
    data_set,
    fills,
    folder_for_tests,
    rows,
    title_of,
    together,
    without_budget,
)
from enrich.rows import index_of as index_below
from enrich.running import begin
from gan.errors import InputError
from gan.reading import read_yaml
from gan.scope import Scope
from gan.sources import sources, training_sources

gc.disable()  # until all jobs are known, of a large study millions of objects: a quarter of its dry run
sources, training_sources = map(cache, (sources, training_sources))

CONFIG_FILE, *OVERLAYS = map(Path, workflow.configfiles)
try:
    for file in (CONFIG_FILE, *OVERLAYS):
        read_yaml(
            file, "the config of a study"
        )  # refuses a key twice, of which Snakemake took the last
    config = resolve(config, CONFIG_FILE)
    refuse_overwriting(config, Path("results", config["run"]))
    ROWS = rows(config)
    compared(config, ROWS)
except InputError as error:
    over = f" (or in {', '.join(map(str, OVERLAYS))}, laid over it)" if OVERLAYS else ""
    raise WorkflowError(f"{error}{over}") from None

shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH; ")

RUN = config["run"]
SCANS = f"results/{RUN}/scans.csv"
SIMULATED = (config["missing"] or {}).get("simulate", {})
DESIGN = ("split", "outer_folds", "crossfit", "gan_patients")
SPLITS = [f"{RUN}/outer{k}" for k in range(config["outer_folds"])] or [RUN]
FOLDS = [f"fold{k}" for k in range(config["crossfit"])]
KINDS = {"zero": "zero", "copy": "copied", "oracle": "real"}
LABELS_OF = ["--labels-of", *config["transfer_from"]] if config["transfer_from"] else []
MODALITIES = config["modalities"]
NNUNET = config["nnunet"]
MODEL = model_folder(NNUNET)
METHOD = {name: method_of(name, entry) for name, entry in config["methods"].items()}
TRANSLATORS = [name for name in METHOD if facts(METHOD[name]).get("translates", True)]
SEGMENTERS = [name for name in METHOD if facts(METHOD[name]).get("segments", False)]
GIVEN = [name for name in TRANSLATORS if METHOD[name] == PRECOMPUTED]
TRAINED = [name for name in TRANSLATORS if name not in GIVEN]
TRAININGS = {
    name: Scope(facts(METHOD[name])["scope"]).trainings(MODALITIES) for name in TRAINED
}
CONFIG_JSON = json.dumps(
    {key: config[key] for key in config if key not in ("threads", "overwrite")}
)
PROTOCOLS = sorted(map(str, Path("workflow/config").glob("paper-*.yaml")))
TITLES = {row.name: row.title for row in ROWS}
TRANSLATOR_TITLES = {name: title_of(name) for name in TRANSLATORS}
SCORES = ["segmentation", *(["translation", "distribution"] if TRANSLATORS else [])]
TABLES = [
    *["comparisons", "segmentation", "cost", "availability"],
    *(["translation", "ablation"] if TRANSLATORS else []),
    *(["crossfit"] if TRANSLATORS and FOLDS else []),
    *(["label_budget"] if any(not row.full for row in ROWS) else []),
]
FIGURES = [
    *["segmentation", "availability"],
    *(["translation"] if TRANSLATORS else []),
    *(["label_budget"] if "label_budget" in TABLES else []),
]


wildcard_constraints:
    run=re.escape(RUN),
    split="|".join(map(re.escape, SPLITS)),
    name="|".join(METHOD) or "(?!)",
    training="[a-z0-9-]+",
    network="[a-z]+",
    seed=r"\d+",
    fit=r"seed\d+(/fold\d+)?",
    test="all|fold|mean",
    control="|".join(KINDS),
    fold=r"\d|all",
    model=MODEL,
    modality="[a-z0-9]+",
    segmenter="|".join([BY_NNUNET, *(f"segmenters/{name}" for name in SEGMENTERS)]),
    channels=f"({'|'.join(['single', 'pooled', *KINDS, *(f'{name}(-cases)?-seed[0-9]+' for name in TRANSLATORS)])})"
    "(-labels[0-9]+)?(-synthetic[0-9]+)?",


def raw_folder():
    """Folder of the raw scans."""
    return config["data"]["folder"] or f"results/{RUN}/raw"


def reader_options():
    """What the reader is told beside the folder."""
    data = config["data"]
    release = ["--release", data["release"]] if data["release"] else []
    structures = (
        ["--structures", json.dumps(data["structures"])] if data["structures"] else []
    )
    return release + structures


def written_raw(wildcards):
    """What marks the raw scans as complete, where the workflow writes them itself."""
    return (
        f"results/{RUN}/raw/phantom.json"
        if config["data"]["phantom"] is not None
        else []
    )


def settings_of(wildcards):
    """One entry's own keys, as JSON."""
    return json.dumps(keys_of(wildcards.name, config["methods"][wildcards.name]))


def pretrained_by(name):
    """The networks that an entry's method starts from: each with the method that trains it."""
    return facts(METHOD[name]).get("pretrained", {})


def pretraining_settings(wildcards):
    """An entry's keys for the network that it starts from, as JSON; what every method can be told is the entry's."""
    return json.dumps(
        keys_of_network(config["methods"][wildcards.name], wildcards.network)
    )


def gpus_of_training(wildcards):
    """The GPUs that one training shares its batches over."""
    return config["methods"][wildcards.name].get("devices", 1)


def gpus_of_pretraining(wildcards):
    """The same of the network that an entry starts from."""
    return json.loads(pretraining_settings(wildcards)).get("devices", 1)


def pretrained_models(wildcards):
    """The models that a training starts from."""
    return [
        f"results/{wildcards.split}/gan/{wildcards.name}/{wildcards.training}/{wildcards.fit}/{network}/model.pt"
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


def translating_models(split, name, seed, fit="all"):
    """The models of an entry that together cover every direction: of all the GAN's patients, or without a fold."""
    folder = f"seed{seed}" if fit == "all" else f"seed{seed}/{fit}"
    return [
        f"results/{split}/gan/{name}/{training}/{folder}/model.pt"
        for training in TRAININGS[name]
    ]


def models_of_fits(wildcards, fits):
    """The models of some fits, by fit."""
    return {
        fit: translating_models(wildcards.split, wildcards.name, wildcards.seed, fit)
        for fit in fits
    }


def models_of_synthesis(wildcards):
    """The models that synthesize."""
    whole = ["all"] if config["crossfit_test"] == "all" or not FOLDS else []
    return models_of_fits(wildcards, [*whole, *FOLDS])


def models_of_tests(wildcards):
    """The models that synthesize for test patients."""
    return models_of_fits(wildcards, ["all"] if wildcards.test == "all" else FOLDS)


def models_of_training_patients(wildcards):
    """The models that synthesize for training patients."""
    return models_of_fits(wildcards, FOLDS or ["all"])


def options_of_fits(wildcards, input):
    """The models of every fit, as a program is told of them."""
    fits = [(fit, input.get(fit)) for fit in ("all", *FOLDS) if input.get(fit)]
    return [word for fit, paths in fits for word in ("--fit", fit, *paths)]


def fit_options(wildcards):
    """Seed and held-out fold of a training."""
    seed, fold = re.fullmatch(r"seed(\d+)(?:.fold(\d+))?", wildcards.fit).groups()
    return ["--seed", seed, *([] if fold is None else ["--held-out", fold])]


def models_of_segmenter(wildcards):
    """The models that segment: a translator's own, or one trained on these channels."""
    if wildcards.name in TRAINED:
        return translating_models(wildcards.split, wildcards.name, wildcards.seed)
    return f"results/{wildcards.split}/segmenters/{wildcards.name}/{wildcards.modality}/{wildcards.channels}/seed{wildcards.seed}/model.pt"


def sources_of_synthesis(wildcards):
    """What synthesis runs, the method's file included."""
    return sources("enrich.synthesize", f"gan.methods.{METHOD[wildcards.name]}")


def sources_of_cases(wildcards):
    """What the synthesis of cases runs, the method's file included."""
    return sources("enrich.cases", f"gan.methods.{METHOD[wildcards.name]}")


def sources_of_segmentation(wildcards):
    """What a method's own segmentation runs, the method's file included."""
    return sources("enrich.segment", f"gan.methods.{METHOD[wildcards.name]}")


def budget_options(wildcards):
    """The shares of labels and of synthetic cases that a data set is made with."""
    words = []
    for key, option in (
        ("labels", "--label-fraction"),
        ("synthetic", "--synthetic-fraction"),
    ):
        if found := re.search(rf"-{key}(\d+)", wildcards.channels):
            words += [option, int(found[1]) / 100]
    return words


def index_of(split, channels):
    """Index of the channels that a data set takes beside the scans; nothing for the real channel alone."""
    below = index_below(config, channels)
    if below is None:
        return []
    shared = below.startswith("synthetic/") and without_budget(channels) in KINDS
    return f"results/{RUN if shared else split}/{below}"


def synthetic_of(split, name):
    """Index of what a translator of a seed, or a control, makes, before scans that lack it are filled with it."""
    if name in KINDS:
        return f"results/{RUN}/synthetic/{name}/index.csv"
    return f"results/{split}/synthetic/{Path(*name.rsplit('-', 1))}/index.csv"


def dropped_scans(wildcards):
    """The scans that were dropped, for the oracle."""
    return (
        f"results/{RUN}/dropped.csv"
        if SIMULATED and wildcards.control == "oracle"
        else []
    )


def order_of_sources():
    """What a missing channel is made of, where cases keep their scans."""
    missing = config["missing"]
    return [] if missing is None else ["--order", json.dumps(missing["source"])]


def folder_of_given_scans(wildcards):
    """The folder of scans that were synthesized elsewhere."""
    return config["methods"][wildcards.name]["folder"]


def given_scans(wildcards):
    """The scans in it: one that is replaced is taken over anew."""
    return sorted(map(str, Path(folder_of_given_scans(wildcards)).glob("*.nii.gz")))


def synthetic_to_fill(wildcards):
    """Index of what fills the channels that scans lack."""
    return synthetic_of(wildcards.split, "-".join(Path(wildcards.made).parts))


def synthetic_index(wildcards):
    """Index of the channels that a data set takes beside the scans."""
    return index_of(wildcards.split, wildcards.channels)


def kind_of_channels(wildcards):
    """What the added channels of a data set are called; where cases keep their scans, they may be real too."""
    kind = KINDS.get(without_budget(wildcards.channels), "synthetic")
    return f"real or {kind}" if fills(config) and kind != "real" else kind


def together_options(wildcards, input):
    """How the channels lie where one segmenter takes all modalities, and whose labels train it."""
    one = ["--together"] if input.synthetic and together(config) else []
    return one + (LABELS_OF if wildcards.modality == "pooled" else [])


def synthetic_option(wildcards, input):
    """The same as an option."""
    return ["--synthetic", input.synthetic] if input.synthetic else []


def cases_index(wildcards):
    """Index of the synthetic and reconstructed cases that a data set takes."""
    name = without_budget(wildcards.channels)
    if "-cases-" not in name:
        return []
    name, seed = name.rsplit("-cases-", 1)
    return (
        f"results/{wildcards.split}/cases/{name}/{wildcards.modality}/{seed}/index.csv"
    )


def added(wildcards, input):
    """What a data set takes beside the real scans, as options."""
    if input.cases:
        return ["--cases", input.cases]
    return synthetic_option(wildcards, input)


def single_of(wildcards):
    """Folder of the real channel alone, whose plans and weights a fine-tuning takes over."""
    labels = re.search(r"-labels\d+", wildcards.channels)
    return f"results/{wildcards.split}/nnunet/{wildcards.modality}/single{labels[0] if labels else ''}"


def plans_of_single(wildcards):
    """The preprocessed data set whose plans a fine-tuning takes over."""
    if "-cases-" not in wildcards.channels:
        return []
    return f"{single_of(wildcards)}/preprocessed/Dataset001_enriched/preprocessed.json"


def checkpoint_of(folder, seed, fold):
    """The checkpoint of a fold."""
    return f"{folder}/seed{seed}/results/Dataset001_enriched/{MODEL}/fold_{fold}/checkpoint_final.pth"


def model_of_single(wildcards):
    """The checkpoint that a fine-tuning starts from."""
    if "-cases-" not in wildcards.channels:
        return []
    return checkpoint_of(single_of(wildcards), wildcards.seed, wildcards.fold)


def dataset_to_predict(wildcards):
    """The data set whose test cases are predicted; those of the pooled model are Single's."""
    channels = "single" if wildcards.channels == "pooled" else wildcards.channels
    return f"results/{wildcards.split}/nnunet/{wildcards.modality}/{channels}/raw/Dataset001_enriched/dataset.json"


def checkpoints(wildcards):
    """The folds that predict; the pooled model is trained once for all modalities."""
    folder = data_set(config, wildcards.modality, wildcards.channels)
    return [
        checkpoint_of(
            f"results/{wildcards.split}/nnunet/{folder}", wildcards.seed, fold
        )
        for fold in NNUNET["folds"]
    ]


def optional(name, value):
    """A command-line option, or nothing where the config leaves it open."""
    if value is None:
        return []
    return [name, *map(str, value)] if isinstance(value, list) else [name, str(value)]


def all_cores(wildcards):
    """Every core of a machine that does nothing else meanwhile; of a cluster, whose job shares a node, as any job's."""
    cores = None if workflow.remote_exec else workflow.resource_settings.cores
    return cores or config["threads"]


def structures_to_score(wildcards):
    """The target of a method that segments by itself; all structures of nnU-Net."""
    own = wildcards.segmenter != BY_NNUNET
    return ["--structures", config["target"][0]] if own else []


def row_of(wildcards):
    """The table's row that a segmenter on some channels stands for."""
    name = wildcards.segmenter.removeprefix("segmenters/")
    for row in ROWS:
        if (row.segmenter, row.channels(wildcards.seed)) == (name, wildcards.channels):
            return row.name
    raise WorkflowError(f"{wildcards.channels} by {name}: found no row, expected one")


def all_scores(wildcards):
    """Scores of every split, modality, row and seed."""
    return [
        f"results/{split}/{row.folder(modality, seed)}/scores.csv"
        for split in SPLITS
        for modality in MODALITIES
        for seed in config["seeds"]
        for row in ROWS
    ]


def segmenting_models():
    """The models of every segmenter in nnU-Net's place that is trained on channels."""
    return [
        f"results/{split}/{row.folder(modality, seed)}/model.pt"
        for split in SPLITS
        for modality in MODALITIES
        for seed in config["seeds"]
        for row in ROWS
        if row.segmenter not in (BY_NNUNET, *TRANSLATORS)
    ]


def synthetic_of_first_seed(wildcards):
    """Indexes of every translator's synthetic scans, of the first split under the first seed."""
    return [
        synthetic_of(SPLITS[0], f"{name}-seed{config['seeds'][0]}")
        for name in TRANSLATORS
    ]
