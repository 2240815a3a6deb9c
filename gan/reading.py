"""Tables, JSON and YAML that others may have written: read within bounds and held against a schema, or refused."""

import csv
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from gan.errors import InputError

LARGEST_BYTES = 1 << 26  # of a JSON or YAML file; parsed it takes some twenty times as many
LARGEST_CONFIG = 100_000  # values in a YAML file, each counted as often as an alias repeats it
LONGEST_MESSAGE = 300  # characters of what a schema says against a file

NAME = r"^[A-Za-z0-9_-][A-Za-z0-9_.-]*\Z"
"""What can be the name of a case, a patient or a modality, and of a file."""
BELOW = r"^(?!/)(?!(.*/)?\.\.(/|\Z))[^\\\n\0]+\Z"
"""A path below a folder."""


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that can be none, such as one that is too long, is no error."""
    return os.path.isfile(path)  # noqa: PTH113


def read_json(path: Path, rules: Mapping[str, Any], expected: str) -> Any:
    """Read JSON as a schema has it.

    Raises:
        InputError: no such file, one that is not JSON or too large, or content that the schema does not allow.
    """
    text = _text(path, expected)
    try:
        told = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(path, f"no readable file ({type(error).__name__})", expected) from error
    require_valid(told, rules, path, expected)
    return told


def require_valid(told: object, rules: Mapping[str, Any], path: Path, expected: str) -> None:
    """Raise an `InputError` where a value is not what a schema allows."""
    if error := best_match(Draft202012Validator(rules).iter_errors(told)):
        key = ".".join(map(str, error.absolute_path)) or "the whole"
        raise InputError(path, shortened(f"{key}: {error.message}"), expected)


def shortened(message: str) -> str:
    """Return a message without the middle of one that is too long: what is wrong stands at its end."""
    half = LONGEST_MESSAGE // 2
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:half]}…{message[-half:]}"


def read_yaml(path: Path, expected: str) -> dict[str, Any]:
    """Read the keys of a YAML file; unlike PyYAML, no key twice, and no value that aliases make endless.

    Raises:
        InputError: no such file, one that is not YAML or too large, or none with keys.
    """
    text = _text(path, expected)
    try:
        told = yaml.load(text, _Loader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise InputError(path, shortened(f"no readable file ({error})"), expected) from error
    if not isinstance(told, dict):
        raise InputError(path, "no keys", expected)
    require_finite(told, path)
    return told


def require_finite(told: object, path: Path) -> None:
    """Raise an `InputError` where a config has more values than anyone writes, as aliases of aliases make them."""
    waiting, count = [told], 0
    while waiting:
        value = waiting.pop()
        count += 1
        if count > LARGEST_CONFIG:
            raise InputError(path, f"more than {LARGEST_CONFIG} values", "a config, without aliases of aliases")
        waiting.extend(value.values() if isinstance(value, dict) else value if isinstance(value, list) else ())


def read_table(path: Path, expected: str, **options: Any) -> pd.DataFrame:
    """Read a CSV by pandas with some of its options; an empty field is the empty string where `options` do not say.

    Raises:
        InputError: no such file, one that pandas cannot read so, or a row with more or fewer fields than columns.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = csv.reader(stream, strict=True)
            columns = len(next(lines, []))
            for line in lines:
                if line and len(line) != columns:  # pandas would shift or fill up its fields
                    found = f"{len(line)} fields in line {lines.line_num}"
                    raise InputError(path, found, f"{columns}, one for each column")
        rows: pd.DataFrame = pd.read_csv(path, keep_default_na=False, **options)
    except InputError:
        raise
    except (OSError, ValueError, OverflowError, csv.Error) as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else f"an unreadable file ({error})"
        raise InputError(path, shortened(found), expected) from error
    return rows


def _text(path: Path, expected: str) -> str:
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise InputError(path, f"{path.stat().st_size} bytes", f"at most {LARGEST_BYTES}")
        return path.read_text("utf-8-sig")
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(path, f"no readable file ({type(error).__name__})", expected) from error


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice, of which PyYAML takes the last, and merges that multiply without end."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        super().flatten_mapping(node)
        if len(node.value) > LARGEST_CONFIG:
            raise yaml.YAMLError(f"more than {LARGEST_CONFIG} keys merged{node.start_mark}")

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [key for key, count in keys.items() if count > 1 and key != "<<"]:
            raise yaml.YAMLError(f"the key {twice[0]} twice{node.start_mark}")
        return super().construct_mapping(node, deep)
