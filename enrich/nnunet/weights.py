"""A trained model of nnU-Net's as a folder of weights, of which nothing is executed when it is read.

Nothing is unpickled, and what the plans name, nnU-Net looks up and calls: they may name nnU-Net's own things alone. The
folder holds `plans.json`, `dataset.json`, `model.json` and `fold_<fold>.safetensors`.
"""

import json
import pydoc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from inspect import isclass, isfunction
from pathlib import Path
from typing import Any

import torch

from enrich.nnunet import environment
from enrich.nnunet.checkpoint import read_checkpoint
from gan import weights
from gan.errors import InputError
from gan.files import checked, publish
from gan.memory import out_of_memory

ARCHITECTURES = ("dynamic_network_architectures.architectures.",)
LAYERS = ("torch.nn.", "dynamic_network_architectures.")
OWN = ("nnunetv2.",)
RESAMPLING = ("resampling_fn_data", "resampling_fn_seg", "resampling_fn_probabilities")


def restore_beside(checkpoint: Path) -> None:
    """Put `plans.json` and `dataset.json` of a model back as its checkpoint has them, where nnU-Net's copies differ."""
    told = read_checkpoint(checkpoint)["init_args"]
    for name, key in (("plans.json", "plans"), ("dataset.json", "dataset_json")):
        path, content = checkpoint.parents[1] / name, json.dumps(told[key], indent=4)
        if not path.is_file() or path.read_text() != content:
            with publish(path) as temporary:
                temporary.write_text(content)


def export(checkpoints: Sequence[Path], folder: Path) -> None:
    """Write the folds of one model, `…/fold_<fold>/checkpoint_final.pth`, to `folder`; nothing of its patients."""
    folder.mkdir(parents=True)
    model = checkpoints[0].parent.parent
    for path in checkpoints:
        checked(path)
    restore_beside(checkpoints[0])
    for path in checkpoints:
        content = read_checkpoint(path)
        weights.save(folder / f"{path.parent.name}{weights.SUFFIX}", content["network_weights"], {})
    told = {
        **_told(content),
        "folds": [path.parent.name for path in checkpoints],
        "versions": content["init_args"].get("settings", {}).get("versions", {}),
    }
    (folder / "model.json").write_text(json.dumps(told, indent=2) + "\n")
    dataset = json.loads((model / "dataset.json").read_text())
    kept = ("channel_names", "labels", "regions_class_order", "file_ending", "numTraining")
    header = {key: dataset[key] for key in kept if key in dataset}
    (folder / "dataset.json").write_text(json.dumps(header, indent=2) + "\n")
    (folder / "plans.json").write_text((model / "plans.json").read_text())


def _told(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint tells of its network beside plans and dataset."""
    return {
        "trainer": checkpoint["trainer_name"],
        "configuration": checkpoint["init_args"]["configuration"],
        "mirroring_axes": checkpoint.get("inference_allowed_mirroring_axes"),
    }


def load_checkpoints(checkpoints: Sequence[Path], mirroring: bool) -> Any:
    """Load the folds of one model, `…/fold_<fold>/checkpoint_final.pth`; otherwise as `load`."""
    contents = [read_checkpoint(path) for path in checkpoints]
    folder, parameters = checkpoints[0].parent.parent, [content["network_weights"] for content in contents]
    with _complete(folder, "enrich.nnunet.train"):
        return _predictor(folder, _told(contents[0]), parameters, mirroring)


def load(folder: Path, mirroring: bool) -> Any:
    """Load a model as nnU-Net's predictor, as its own loading does.

    Args:
        folder: as `export` writes it.
        mirroring: average over mirrored images too, as far as the trainer allows it.

    Raises:
        InputError: a file that is missing or broken, or plans that name other things than nnU-Net's own.
    """
    with _complete(folder, "enrich.export"):
        told = json.loads((folder / "model.json").read_text())
        parameters = [weights.load(folder / f"{fold}{weights.SUFFIX}")[0] for fold in told["folds"]]
        return _predictor(folder, told, parameters, mirroring)


@contextmanager
def _complete(folder: Path, maker: str) -> Iterator[None]:
    """Raise an `InputError` for whatever nnU-Net makes of files of other content."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        raise InputError(folder, f"an incomplete model ({type(error).__name__})", f"one of {maker}") from error


def _predictor(folder: Path, told: Mapping[str, Any], parameters: list[Any], mirroring: bool) -> Any:
    """Return the predictor of the network that plans, dataset and `told` describe, with the parameters of its folds."""
    environment.configure(0)
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans, dataset = (json.loads((folder / f"{name}.json").read_text()) for name in ("plans", "dataset"))
    manager = PlansManager(plans)
    configuration = manager.get_configuration(told["configuration"])
    network = _trainer(told["trainer"], manager, configuration, folder).build_network_architecture(
        manager,
        configuration,
        determine_num_input_channels(manager, configuration, dataset),
        manager.get_label_manager(dataset).num_segmentation_heads,
        enable_deep_supervision=False,
    )
    network.load_state_dict(parameters[0])
    axes = None if told["mirroring_axes"] is None else tuple(told["mirroring_axes"])
    predictor = nnUNetPredictor(
        use_mirroring=mirroring,
        perform_everything_on_device=torch.cuda.is_available(),
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        allow_tqdm=False,
    )
    predictor.manual_initialization(network, manager, configuration, parameters, dataset, told["trainer"], axes)
    return predictor


def _trainer(name: str, manager: Any, configuration: Any, folder: Path) -> Any:
    """Return the trainer of a model, after all that its plans name was found to be nnU-Net's own.

    Raises:
        InputError: a name of another thing.
    """
    import nnunetv2
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

    def find(name: str, *below: str) -> Any:
        package = ".".join(("nnunetv2", *below))
        return recursive_find_python_class(str(Path(nnunetv2.__path__[0], *below)), name, package)

    told = configuration.configuration
    lookups = [
        (manager.plans.get("label_manager", "LabelManager"), "utilities", "label_handling"),
        (manager.plans["image_reader_writer"], "imageio"),
        (configuration.preprocessor_name, "preprocessing"),
        *((scheme, "preprocessing", "normalization") for scheme in configuration.normalization_schemes),
        *((told[key], "preprocessing", "resampling") for key in RESAMPLING),
    ]
    for named, *below in lookups:
        _own(named, find(named, *below), OWN, folder)
    _layer(configuration.network_arch_class_name, ARCHITECTURES, folder)
    for key in configuration.network_arch_init_kwargs_req_import:
        if (named := configuration.network_arch_init_kwargs[key]) is not None:
            _layer(named, LAYERS, folder)
    return recursive_find_trainer_class_by_name(name)  # which requires one that inherits from nnU-Net's


def _layer(name: str, packages: tuple[str, ...], folder: Path) -> None:
    """Require the network or layer of a dotted name to be of these packages, before anything else is imported."""
    found = pydoc.locate(name) if name.startswith(packages) else None
    if not isclass(found) or not issubclass(found, torch.nn.Module):
        found = None
    _own(name, found, packages, folder)


def _own(name: str, found: Any, packages: tuple[str, ...], folder: Path) -> None:
    """Require what was found under a name to be a class or a function that these packages define themselves."""
    if not (isclass(found) or isfunction(found)) or not found.__module__.startswith(packages):
        raise InputError(folder / "plans.json", f"the name {name}", f"nnU-Net's own, of {' or '.join(packages)}")
