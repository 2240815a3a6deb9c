"""A trained model of nnU-Net's as a folder of weights, which are read without unpickling anything.

The folder holds `plans.json`, `dataset.json`, `model.json` and `fold_<fold>.safetensors`.
"""

import json
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from enrich.nnunet import environment
from gan import weights
from gan.errors import InputError

SCALAR = np.float64(0).__reduce__()[0]  # what NumPy's numbers are unpickled by
NUMPY: list[Any] = [np.dtype, SCALAR, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8"))]


def read_checkpoint(path: Path) -> Any:
    """Read a checkpoint of nnU-Net's trainer; nothing in it is executed.

    Raises:
        InputError: the file is broken, or holds other things than numbers and text.
    """
    try:
        with torch.serialization.safe_globals(NUMPY):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (OSError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
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
        InputError: a file that is missing or broken.
    """
    environment.configure(0)
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name
    from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    try:
        names = ("plans", "dataset", "model")
        plans, dataset, told = (json.loads((folder / f"{name}.json").read_text()) for name in names)
        parameters = [weights.load(folder / f"{fold}{weights.SUFFIX}")[0] for fold in told["folds"]]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(folder, "an incomplete model", "one as enrich.export writes it") from error
    manager = PlansManager(plans)
    configuration = manager.get_configuration(told["configuration"])
    network = recursive_find_trainer_class_by_name(told["trainer"]).build_network_architecture(
        manager,
        configuration,
        determine_num_input_channels(manager, configuration, dataset),
        manager.get_label_manager(dataset).num_segmentation_heads,
        enable_deep_supervision=False,
    )
    network.load_state_dict(parameters[0])
    predictor = nnUNetPredictor(
        use_mirroring=mirroring,
        perform_everything_on_device=torch.cuda.is_available(),
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        allow_tqdm=False,
    )
    axes = told["mirroring_axes"]
    predictor.manual_initialization(
        network, manager, configuration, parameters, dataset, told["trainer"], None if axes is None else tuple(axes)
    )
    return predictor
