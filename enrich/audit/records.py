"""What the records of a run must hold: checked as they are read, so that nobody else meets a missing key."""

from pathlib import Path
from typing import Any

from enrich.nnunet.plans import PLANS
from gan import reading

EXPECTED = "a record of this version"
Schema = dict[str, Any]

ANY: Schema = {}
TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}


def keys(**values: Schema) -> Schema:
    """Return the schema of an object that has at least these keys."""
    return {"type": "object", "required": list(values), "properties": values}


def _each(value: Schema) -> Schema:
    return {"type": "object", "additionalProperties": value}


def _list(item: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": item, "minItems": least}


NAMES = _list(TEXT)
CONFIG = keys(
    data=keys(reader=TEXT, release=ANY),
    modalities=NAMES,
    seeds=_list(NUMBER),
    crossfit=NUMBER,
    crossfit_test=TEXT,
    gan_patients=TEXT,
    target=NAMES,
    missing=ANY,
    segmentation=TEXT,
    transfer_from=NAMES,
    outer_folds=NUMBER,
    methods=_each(keys()),
    controls=NAMES,
    compositions=_each(keys(translator=TEXT, segmenter=TEXT, use=TEXT)),
    label_fractions=ANY,
    synthetic_fractions=ANY,
    nnunet=keys(trainer=TEXT, planner={"enum": [*PLANS]}, configuration=TEXT, folds=_list(ANY)),
)
SPLITS = keys(**dict.fromkeys(("train", "watch", "test", "unlabelled", "gan"), NAMES), folds=_list(NAMES)) | {
    "additionalProperties": False
}
CACHE = keys(sha256=_each(TEXT), provenance=_each(TEXT))
SIDECAR = keys(source_sha256=TEXT, models_sha256=NAMES)
FILLED = keys(scans_sha256=TEXT, synthetic_sha256=TEXT)
CASES = keys(models_sha256=_each(NAMES))
DATASET = keys(
    provenance=_each(TEXT),
    channel_names=_each(TEXT),
    dataset=_each(keys(images=_list(TEXT, least=1), label=TEXT)),
    test_cases=NAMES,
)
FOLDS = _list(keys(train=NAMES, val=NAMES))
PREPROCESSED = keys(plans=TEXT, configuration=TEXT, sha256=_each(TEXT))
MADE_BY = keys(networks_sha256=NAMES, inputs_sha256=NAMES)
GAN_TRAINING = keys(seed=NUMBER, patients=NAMES, slices=_each(TEXT), pretrained=_each(TEXT))
NNUNET_TRAINING = keys(
    settings=keys(seed=NUMBER, preprocessed_sha256=TEXT, pretrained_sha256={"type": ["string", "null"]}),
    dataset_json=keys(dataset=_each(ANY)),
)


def plans_of(configuration: str) -> Schema:
    """Return the schema of nnU-Net's plans that have a configuration."""
    return keys(configurations=keys(**{configuration: keys(data_identifier=TEXT)}))


def read_json(path: Path, schema: Schema) -> Any:
    """Read a JSON file.

    Raises:
        InputError: no such file, or another one.
    """
    return reading.read_json(path, schema, EXPECTED)


def require(content: object, schema: Schema, path: Path) -> None:
    """Require that what a file holds is as a schema says.

    Raises:
        InputError: it is not; names the key.
    """
    reading.require_valid(content, schema, path, EXPECTED)
