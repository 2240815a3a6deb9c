"""Nothing that comes with data, a checkpoint or a bundle is executed, and no program asks for the network."""

import ast
import json
import pickle
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from enrich import prepare, volume
from enrich.features import BACKBONES
from enrich.nnunet import predict
from enrich.nnunet.checkpoint import read_checkpoint
from gan import checkpoint, reading
from gan.errors import InputError
from tests.enrich.nnunet.study import call

ROOT = Path(__file__).parents[1]
SOURCES = [*ROOT.glob("enrich/**/*.py"), *ROOT.glob("gan/**/*.py")]
RULES = sorted(ROOT.glob("workflow/rules/*.smk"))
FORBIDDEN = re.compile(
    r"eval|exec|compile|__import__|(.*\.)?(import_module|read_pickle|unsafe_load|full_load|Unpickler)|os\.(system|popen)"
    r"|(pickle|dill|joblib|marshal|shelve)\.(load|loads|open)|yaml\.load|torch\.hub\..*"
)
NETWORK = {"urllib", "http", "socket", "requests", "ftplib", "huggingface_hub"}
MAY_ASK = {"enrich/download.py"}


def offences(source: str) -> list[str]:
    """Return what in a program could execute what it reads, or ask for the network."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name, told = ast.unparse(node.func), {word.arg: ast.unparse(word.value) for word in node.keywords}
            if FORBIDDEN.fullmatch(name) or told.get("shell", "False") != "False":
                found.append(ast.unparse(node))
            if name == "torch.load" and told.get("weights_only") != "True":
                found.append(ast.unparse(node))
            if told.get("allow_pickle", "False") != "False":
                found.append(ast.unparse(node))
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        found += [f"import {name}" for name in names if name.partition(".")[0] in NETWORK]
    return found


@pytest.mark.parametrize(
    "source",
    [
        *("torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path, allow_pickle=True)"),
        *("pickle.load(stream)", "pickle.loads(text)", "pd.read_pickle(path)", "yaml.load(text, yaml.Loader)"),
        *("yaml.unsafe_load(text)", "subprocess.run(text, shell=True)", "os.system(text)", "eval(text)", "exec(text)"),
        *("import requests", "from urllib.request import urlopen", "import socket", "torch.hub.load(name)"),
    ],
)
def test_what_is_looked_for_is_found(source):
    assert offences(source)


def test_no_source_unpickles_evaluates_or_asks_for_the_network():
    assert len(SOURCES) > 150
    found = {}
    for path in SOURCES:
        name, bad = str(path.relative_to(ROOT)), offences(path.read_text())
        if bad and name not in MAY_ASK:
            found[name] = bad
    assert found == {"gan/reading.py": ["yaml.load(text, _Loader)"]}
    assert issubclass(reading._Loader, yaml.SafeLoader)


def test_whatever_a_rule_puts_into_a_shell_is_quoted():
    commands = [text for path in RULES for text in re.findall(r"^ +shell:\n((?: +\".*\"\n)+)", path.read_text(), re.M)]
    assert len(commands) == sum(len(re.findall(r"\bshell:\n", path.read_text())) for path in RULES) > 35
    put = {field for text in commands for field in re.findall(r"\{([^}]*)\}", text)}
    assert {field for field in put if not field.endswith(":q")} == {"threads"}


class Payload:
    """An object that, when it is unpickled, makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def nnunet(path: Path):
    return predict.load([path])


READERS = {
    "a method's checkpoint": checkpoint.load_weights,
    "nnU-Net's checkpoint": read_checkpoint,
    "a trained nnU-Net": nnunet,
    **{f"the backbone {name}": backbone for name, backbone in BACKBONES.items()},
}


@pytest.fixture(params=["torch", "legacy", "pickle"])
def malicious(request, tmp_path):
    """A file that executes something when it is unpickled, and what that would leave behind."""
    executed, path = tmp_path / "executed", tmp_path / "fold_all" / "checkpoint_final.pth"
    path.parent.mkdir()
    content = dict.fromkeys(("state_dict", "network_weights", "init_args", "config"), Payload(executed))
    if request.param == "pickle":
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=request.param == "torch")
    return path, executed


@pytest.mark.parametrize("reader", READERS)
def test_a_file_of_weights_executes_nothing(malicious, reader):
    path, executed = malicious
    with pytest.raises(InputError, match=rf"^{path}: found .*, expected [^\n]*$"):
        READERS[reader](path)
    assert not executed.exists()


def test_that_file_would_execute_something(malicious):
    path, executed = malicious
    with suppress(RuntimeError):  # what follows, in a file that is no checkpoint at all
        torch.load(path, weights_only=False)
    assert executed.exists()


def test_weights_of_a_bundle_are_no_pickle_whatever_they_are_called(malicious, tmp_path):
    path, executed = malicious
    with pytest.raises(InputError, match=r"expected weights of a bundle$"):
        checkpoint.load_weights(path.rename(tmp_path / "model.safetensors"))
    assert not executed.exists()


HOSTILE = [
    *("a b", "$(touch PWNED)", "`touch PWNED`", "a;touch PWNED", "a&b", "a|b", "*", "a'b", 'a"b', "a\nb", "ä", "{run}"),
    *(".hidden", "<img src=x onerror=alert(1)>", "$HOME", "~", "a\\b", "\u202eb", "a%00", "#", "!1", "a=b", "a,b"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_case_whose_name_could_mean_something_is_refused_in_one_line(tmp_path, monkeypatch, capsys, name):
    """Names with letters, digits, `.`, `-` and `_` go through a whole study in tests/test_docs.py."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "Dataset001_Hostile"
    image = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    for place in ("imagesTr", "labelsTr"):
        path = folder / place / f"case{'_0000' if place == 'imagesTr' else ''}.nii.gz"
        volume.write(
            volume.Volume(image if place == "imagesTr" else (image > 9).astype(np.uint8), (1.0, 1.0, 1.0)), path
        )
    files = {"images": ["imagesTr/case_0000.nii.gz", None], "label": "labelsTr/case.nii.gz"}
    told = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "liver": 1}, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(told | {"dataset": {name: files}}))
    options = ["--reader", "nnunet_raw", "--folder", folder, "--modalities", "t1", "--target", "liver"]
    with pytest.raises(InputError) as raised:
        call(prepare.main, *options, "--output", tmp_path / "scans.csv")
    assert re.fullmatch(
        r"\S+case_0000\.nii\.gz: found the case .*, expected a name that \S+ matches", str(raised.value)
    )
    assert {path.name for path in tmp_path.iterdir()} == {folder.name}
