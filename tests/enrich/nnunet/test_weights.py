"""A model's weights are read, and nothing that its files name is called unless it is nnU-Net's own."""

import json
import sys

import pytest

from enrich.nnunet.weights import load
from gan import weights
from gan.errors import InputError

UNET = "dynamic_network_architectures.architectures.unet"
ARCHITECTURE = {
    "network_class_name": f"{UNET}.PlainConvUNet",
    "arch_kwargs": {
        "n_stages": 2,
        "features_per_stage": [2, 4],
        "conv_op": "torch.nn.modules.conv.Conv2d",
        "kernel_sizes": [[3, 3], [3, 3]],
        "strides": [[1, 1], [2, 2]],
        "n_conv_per_stage": [1, 1],
        "n_conv_per_stage_decoder": [1],
        "conv_bias": True,
        "norm_op": "torch.nn.modules.instancenorm.InstanceNorm2d",
        "norm_op_kwargs": {"eps": 1e-05, "affine": True},
        "dropout_op": None,
        "dropout_op_kwargs": None,
        "nonlin": "torch.nn.LeakyReLU",
        "nonlin_kwargs": {"inplace": True},
    },
    "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
}
RESAMPLING = {
    key: value
    for what in ("data", "seg", "probabilities")
    for key, value in (
        (f"resampling_fn_{what}", "resample_data_or_seg_to_shape"),
        (f"resampling_fn_{what}_kwargs", {"is_seg": what == "seg", "order": 1, "order_z": 0, "force_separate_z": None}),
    )
}
CONFIGURATION = RESAMPLING | {
    "preprocessor_name": "DefaultPreprocessor",
    "patch_size": [16, 16],
    "spacing": [1.0, 1.0],
    "normalization_schemes": ["ZScoreNormalization"],
    "use_mask_for_norm": [True],
    "architecture": ARCHITECTURE,
}
PLANS = {
    "plans_name": "nnUNetPlans",
    "image_reader_writer": "SimpleITKIO",
    "label_manager": "LabelManager",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "configurations": {"2d": CONFIGURATION},
    "foreground_intensity_properties_per_channel": {},
}
DATASET = {"channel_names": {"0": "T1w"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
MODEL = {"trainer": "nnUNetTrainer", "configuration": "2d", "mirroring_axes": [0, 1], "folds": ["fold_all"]}
PAYLOAD = "from pathlib import Path\nPath({!r}).touch()\n\ndef network(*_, **__):\n    raise SystemExit\n"


def folder(path, plans=PLANS, model=MODEL):
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    built = (ARCHITECTURE[key] for key in ("network_class_name", "arch_kwargs", "_kw_requires_import"))
    network = get_network_from_plans(*built, 1, 2, deep_supervision=False)
    path.mkdir()
    weights.save(path / f"fold_all{weights.SUFFIX}", network.state_dict(), {})
    for name, content in (("plans", plans), ("dataset", DATASET), ("model", model)):
        (path / f"{name}.json").write_text(json.dumps(content))
    return path


def with_configuration(**changed):
    return PLANS | {"configurations": {"2d": CONFIGURATION | changed}}


def test_a_model_is_loaded(tmp_path):
    predictor = load(folder(tmp_path / "model"), mirroring=True)
    assert predictor.allowed_mirroring_axes == (0, 1)
    assert type(predictor.network).__name__ == "PlainConvUNet"


@pytest.mark.parametrize(
    "architecture",
    [
        {"network_class_name": "torch.hub.load"},
        {"network_class_name": "hubconf.network"},
        {"network_class_name": f"{UNET}.torch.hub.load"},  # through a module that imports torch
        {"arch_kwargs": ARCHITECTURE["arch_kwargs"] | {"nonlin": "hubconf.network"}},
        {"arch_kwargs": ARCHITECTURE["arch_kwargs"] | {"conv_op": "torch.nn.modules.module.torch.hub.load"}},
        {"arch_kwargs": ARCHITECTURE["arch_kwargs"] | {"norm_op": "builtins.eval"}},
        {"arch_kwargs": ARCHITECTURE["arch_kwargs"] | {"norm_op": "torch.nn.init.trunc_normal_"}},
    ],
)
def test_no_code_is_run_that_plans_name(tmp_path, monkeypatch, architecture):
    (tmp_path / "hubconf.py").write_text(PAYLOAD.format(str(tmp_path / "executed")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    where = {"repo_or_dir": str(tmp_path), "source": "local", "model": "network"}
    changed = ARCHITECTURE | architecture
    changed["arch_kwargs"] = changed["arch_kwargs"] | (where if "hub.load" in changed["network_class_name"] else {})
    bad = folder(tmp_path / "model", with_configuration(architecture=changed))
    with pytest.raises(InputError, match=r"plans\.json: found the name .*, expected nnU-Net's own"):
        load(bad, mirroring=False)
    assert not (tmp_path / "executed").exists()
    assert "hubconf" not in sys.modules


@pytest.mark.parametrize(
    "plans",
    [
        PLANS | {"label_manager": "lru_cache"},
        PLANS | {"image_reader_writer": "os.system"},
        with_configuration(preprocessor_name="torch"),
        with_configuration(resampling_fn_data="partial"),
        with_configuration(resampling_fn_data="deepcopy"),
        with_configuration(normalization_schemes=["np"]),
    ],
)
def test_what_a_module_of_nnunets_merely_imports_is_not_its_own(tmp_path, plans):
    with pytest.raises(InputError, match="expected nnU-Net's own, of nnunetv2"):
        load(folder(tmp_path / "model", plans), mirroring=False)


@pytest.mark.parametrize("changed", [{"trainer": "os.system"}, {"trainer": "nowhere"}, {"configuration": "3d"}])
def test_another_model_is_one_line(tmp_path, changed):
    with pytest.raises(InputError, match="an incomplete model"):
        load(folder(tmp_path / "model", model=MODEL | changed), mirroring=False)
