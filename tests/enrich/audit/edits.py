"""How a finished run is changed: files are replaced and never written into, since a copy is of hard links.

What is changed is sealed again, as whoever wrote it so would have: the audit is to find what is wrong in it.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
import yaml

from enrich import config, index, splits
from enrich.audit import __main__ as audit
from enrich.nnunet.checkpoint import nothing_executed
from gan.files import publish_json, seal
from tests.enrich.nnunet.study import call

from .run import CONFIG


def edit_json(path: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    publish_json(path, content)


def edit_csv(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    index.write(change(pd.read_csv(path, dtype=str, keep_default_na=False)), path)


def edit_model(path: Path, change: Callable[[dict], None]) -> None:
    with nothing_executed():
        content = torch.load(path)
    change(content["config"] if "config" in content else content["init_args"])
    path.unlink()
    torch.save(content, path)
    seal(path)


def who(root: Path) -> splits.Splits:
    return splits.read(root / "splits.json")


def ct(patients: list[str]) -> str:
    """Return the first of some patients who has a CT; the case is named after her."""
    return next(patient for patient in patients if patient.startswith("ct"))


def edit_config(root: Path, **keys: object) -> None:
    path = root / "config.yaml"
    content = yaml.safe_load(path.read_text()) | keys
    path.unlink()
    path.write_text(yaml.safe_dump(content))
    seal(path)


def record_config(root: Path, **keys: object) -> None:
    """Go on with the run under another config, as the workflow records it."""
    config.record(config.resolve(CONFIG | keys, Path("tiny.yaml")), root)


def made_by(folder: Path, *files: list[Path]) -> None:
    (folder / "made_by.json").unlink()  # a link into the run
    index.write_made_by(folder, *files)


def leftovers_of(root: Path) -> list[str]:
    """Return the leftovers of a run that passes its audit."""
    call(audit.main, "--run", root, "--output", root / "audit.json")
    return json.loads((root / "audit.json").read_text())["leftovers"]


def found_by(root: Path) -> dict[str, list[str]]:
    """Return what each check of an audit finds."""
    _, checks = audit.audit(root, 1)
    return {check.name: check.found for check in checks}
