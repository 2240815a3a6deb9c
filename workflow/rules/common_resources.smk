"""What the rules ask a cluster for, by the size of the data, more at each attempt."""

from enrich import demand
from enrich.config import setting

GPU = workflow.resource_settings.resources.get("gpu") != 0  # --resources gpu=0: none
CLASSES = len(config["structures"] or range(7)) + 1


def size():
    """The scans of the run."""
    return demand.scans_of(Path(SCANS))


def channels_of(wildcards):
    """The channels that a data set has."""
    real_alone = without_budget(wildcards.channels) in ("single", "pooled")
    return 1 if real_alone else len(MODALITIES)


def gigabytes(number):
    """Memory of what holds no scan."""
    return lambda wildcards, attempt: demand.by_attempt(number, attempt)


def mem_of_reading(wildcards, threads, attempt):
    """Memory of what holds a scan in each of its processes."""
    return demand.by_attempt(demand.reading_gb(size(), threads), attempt)


def mem_of_scoring(wildcards, attempt):
    """Memory of what compares scans."""
    return demand.by_attempt(demand.scoring_gb(size()), attempt)


def mem_of_translating(wildcards, threads, attempt):
    """Memory of a translator."""
    gb = demand.translating_gb(size(), len(MODALITIES), threads)
    return demand.by_attempt(gb, attempt)


def mem_of_predicting(wildcards, attempt):
    """Memory of a segmenter, or of what takes its features."""
    gb = demand.predicting_gb(size(), len(MODALITIES), CLASSES)
    return demand.by_attempt(gb, attempt)


def mem_of_preprocessing(wildcards, threads, attempt):
    """Memory of nnU-Net's planning and preprocessing."""
    samples = NNUNET["foreground_samples"]
    gb = demand.preprocessing_gb(size(), channels_of(wildcards), samples, threads)
    return demand.by_attempt(gb, attempt)


def mem_of_nnunet(wildcards, attempt):
    """Memory of an nnU-Net's training."""
    keys = ("gpu_memory_gb", "augmentation_workers", "devices")
    gb = demand.nnunet_training_gb(*map(NNUNET.get, keys))
    return demand.by_attempt(gb, attempt)


def mem_of_method(method, keys, attempt):
    """Memory of a training of a method with some keys."""
    names = ("width", "batch_size", "patch", "dimensions", "devices")
    width, batch, edge, axes, devices = (setting(method, keys, name) for name in names)
    pixels = batch * (edge or config["image_size"]) ** (axes or 2)
    gb = demand.training_gb(pixels, width, devices or 1, GPU)
    return demand.by_attempt(gb, attempt)


def mem_of_training(wildcards, attempt):
    """Memory of an entry's training."""
    entry = config["methods"][wildcards.name]
    return mem_of_method(METHOD[wildcards.name], entry, attempt)


def mem_of_pretraining(wildcards, attempt):
    """Memory of the network that an entry starts from."""
    keys = json.loads(pretraining_settings(wildcards))
    return mem_of_method(
        pretrained_by(wildcards.name)[wildcards.network], keys, attempt
    )


def days(number):
    """Runtime of a training, which goes on from its checkpoint at each attempt."""
    return f"{number}d"


def runtime_of_reading(wildcards, attempt):
    """Runtime of what reads and writes every scan."""
    return demand.hours(size(), 0.6, attempt)


def runtime_of_network(wildcards, attempt):
    """Runtime of what passes every scan through networks."""
    return demand.hours(size(), 6, attempt)
