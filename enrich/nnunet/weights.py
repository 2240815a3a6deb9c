"""A trained model of nnU-Net's as a folder of weights, of which nothing is executed when it is read.

Nothing is unpickled, and what the plans name, nnU-Net looks up and calls: they may name nnU-Net's own things alone. The
folder holds `plans.json`, `dataset.json`, `model.json` and `fold_<fold>.safetensors`.
"""

import json
import pydoc
from collections.abc import Sequence
from inspect import isclass, isfunction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from enrich.nnunet import environment
from gan import weights
from gan.checkpoint import BROKEN
from gan.errors import InputError

SCALAR = np.float64(0).__reduce__()[0]  # what NumPy's numbers are unpickled by
ARCHITECTURES = ("dynamic_network_architectures.architectures.",)
LAYERS = ("torch.nn.", "dynamic_network_architectures.")
OWN = ("nnunetv2.",)
RESAMPLING = ("resampling_fn_data", "resampling_fn_seg", "resampling_fn_probabilities")
NUMPY: list[Any] = [np.dtype, SCALAR, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8"))]


def read_checkpoint(path: Path) -> Any:
    """Read a checkpoint of nnU-Net's trainer; nothing in it is executed.

    Raises:
        InputError: the file is broken, or holds other things than numbers and text.
    """
    try:
        with torch.serialization.safe_globals(NUMPY):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except BROKEN as error:
        expected = "a checkpoint of enrich.nnunet.train"
        raise InputError(path, f"something unreadable ({type(error).__name__})", expected) from error


def export(checkpoints: Sequence[Path], folder: Path) -> None:
    """Write the folds of one model, `…/fold_<fold>/checkpoint_final.pth`, to `folder`; nothing of its patients."""
    folder.mkdir(parents=True)
    model = checkpoints[0].parent.parent
    for path in checkpoints:
        content = read_checkpoint(path)
        weights.save(folder / f"{path.parent.name}{weights.SUFFIX}", content["network_weights"], {})
    told = {
        "trainer": content["trainer_name"],
        "configuration": content["init_args"]["configuration"],
        "mirroring_axes": content.get("inference_allowed_mirroring_axes"),
        "folds": [path.parent.name for path in checkpoints],
        "versions": content["init_args"].get("settings", {}).get("versions", {}),
    }
    (folder / "model.json").write_text(json.dumps(told, indent=2) + "\n")
    dataset = json.loads((model / "dataset.json").read_text())
    kept = ("channel_names", "labels", "regions_class_order", "file_ending", "numTraining")
    header = {key: dataset[key] for key in kept if key in dataset}
    (folder / "dataset.json").write_text(json.dumps(header, indent=2) + "\n")
    (folder / "plans.json").write_text((model / "plans.json").read_text())


def load(folder: Path, mirroring: bool) -> Any:
    """Load a model as nnU-Net's predictor, as its own loading does.

    Args:
        folder: as `export` writes it.
        mirroring: average over mirrored images too, as far as the trainer allows it.

    Raises:
        InputError: a file that is missing or broken, or plans that name other things than nnU-Net's own.
    """
    environment.configure(0)
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    try:
        names = ("plans", "dataset", "model")
        plans, dataset, told = (json.loads((folder / f"{name}.json").read_text()) for name in names)
        parameters = [weights.load(folder / f"{fold}{weights.SUFFIX}")[0] for fold in told["folds"]]
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
    except InputError:
        raise
    except Exception as error:  # whatever nnU-Net makes of a file of other content
        raise InputError(folder, f"an incomplete model ({type(error).__name__})", "one of enrich.export") from error
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
