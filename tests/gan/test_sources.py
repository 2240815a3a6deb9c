import ast
from pathlib import Path

import pytest

from gan import sources as module
from gan.methods import METHODS
from gan.sources import sources, training_sources


@pytest.mark.parametrize("name", METHODS)
def test_a_training_runs_the_trainer_and_its_own_method(name):
    found = {path.as_posix() for path in training_sources(name)}
    every = {"gan/train.py", "gan/trainer.py", "gan/player.py", "gan/batch.py"}
    assert every | {f"gan/methods/{name}.py"} <= found
    kinds = [*METHODS[name].__mro__, *(METHODS[other] for other in METHODS[name].pretrained.values())]
    family = {f"{kind.__module__.replace('.', '/')}.py" for kind in kinds}  # what it is made of
    assert not found & ({f"gan/methods/{other}.py" for other in METHODS} - family)
    assert "gan/methods/__init__.py" not in found
    assert not any(path.startswith("enrich/") for path in found)


def test_the_package_runs_where_neither_simpleitk_nor_nnunet_is():
    root = Path(__file__).parents[2]
    imported = {
        name.split(".")[0]
        for path in (root / "gan").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert "torch" in imported
    assert not imported & {"SimpleITK", "nnunetv2", "enrich"}


def test_sorted_relative_and_there():
    found = training_sources("targan")
    assert found == sorted(found)
    assert all((Path(__file__).parents[2] / path).is_file() for path in found)


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        path = root / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)


def test_follows_every_kind_of_import(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    write(
        tmp_path,
        enrich__a="import os, enrich.b\nfrom gan import c\ndef later():\n    from enrich.deep.d import x\n",
        enrich__b="raise RuntimeError('imported')",
        enrich__deep__d="from . import e\nfrom ..f import y\n",
        enrich__deep__e="import enrich.a",
        enrich__f="import other.g",
        enrich__unused="import enrich.a",
        gan__c="",
        other__g="",
    )
    found = {path.as_posix() for path in sources("enrich.a")}
    named = {f"enrich/{name}.py" for name in ("a", "b", "deep/d", "deep/e", "f")} | {"gan/c.py"}
    assert found == named | {"enrich/__init__.py", "enrich/deep/__init__.py", "gan/__init__.py"}


def test_sees_an_edit(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ROOT", tmp_path)
    write(tmp_path, enrich__a="", enrich__b="")
    assert Path("enrich/b.py") not in sources("enrich.a")
    write(tmp_path, enrich__a="import enrich.b  # now")
    assert Path("enrich/b.py") in sources("enrich.a")


def test_names_an_unknown_module():
    with pytest.raises(ModuleNotFoundError, match=r"gan\.methods\.nothing"):
        training_sources("nothing")
