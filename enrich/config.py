"""The config of a study: checked and completed by its schema, and held against the one that made the results."""

import copy
import hashlib
import json
from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from gan.errors import InputError
from gan.files import checked, publish
from gan.reading import read_yaml, require_finite

SCHEMA = Path(__file__).parents[1] / "workflow" / "schemas" / "config.schema.yaml"

Config = dict[str, Any]

PRECOMPUTED = "precomputed"
"""The method of scans that were made elsewhere: nothing is trained."""

RECORDED = "the config that made the results, or no results"

FORMER = "former_methods"
"""Key of a recorded config alone: methods that left it, whose models are still there."""

NOT_COMPARED = {
    "methods",
    "compositions",
    "controls",
    "seeds",
    "threads",
    "overwrite",
    "label_fractions",
    "synthetic_fractions",
    "statistics",
    "report_megabytes",
}


@cache
def schema() -> Config:
    """Return the schema as it stands in the workflow, read once; not to be changed."""
    return cast(Config, yaml.safe_load(SCHEMA.read_text()))


def resolve(given: Config, source: Path) -> Config:
    """Check a config and fill in the defaults.

    Args:
        given: the keys as the user wrote them; numbers may be strings, as the command line gives them.
        source: the config file, for error messages and as the default of `run`.

    Raises:
        InputError: an unknown key, a wrong type or value; names the key.
    """
    require_finite(given, source)
    rules = schema()
    if isinstance(given.get("target"), str):
        given = given | {"target": [given["target"]]}
    config = cast(Config, _complete({"run": source.stem} | given, rules))
    _check(config, rules, "", source)
    known = [name for name in rules["$defs"] if facts(name).get("translates", True) or facts(name).get("segments")]
    for name, entry in config["methods"].items():
        method = method_of(name, entry)
        if method not in known:
            raise InputError(f"{source}: methods.{name}", f"method {method}", f"one of {', '.join(known)}")
        if name in rules["$defs"] and name != method:
            raise InputError(f"{source}: methods.{name}", f"method {method}", "another name than a method's own")
        entry = config["methods"][name] = _complete(entry, rules["$defs"][method], defaults=False)
        _check(entry, rules["$defs"][method], f"methods.{name}.", source)
    _check_together(config, source)
    return config


def _check_together(config: Config, source: Path) -> None:
    """Raise an `InputError` where keys that are right by themselves contradict each other."""
    data, split = config["data"], config["split"]
    if (data["folder"] is None) == (data["phantom"] is None):
        found = "neither it nor data.phantom" if data["folder"] is None else "data.phantom beside it"
        raise InputError(f"{source}: data.folder", found, "the folder of the raw scans, or a phantom")
    if (data["release"] is None) == (data["reader"] == "brats"):
        raise InputError(f"{source}: data.release", data["release"], "the release of BraTS, and of BraTS only")
    if (data["structures"] is None) == (data["reader"] == "table"):
        raise InputError(f"{source}: data.structures", data["structures"], "those of a table, and of a table only")
    if data["phantom"] is not None:
        foreign = {"chaos": {"patients"}, "brats": {"ct_patients", "mr_patients"}}.get(data["reader"])
        if foreign is None:
            raise InputError(f"{source}: data.phantom", f"one with reader {data['reader']}", "reader chaos or brats")
        if wrong := sorted(foreign & data["phantom"].keys()):
            raise InputError(f"{source}: data.phantom", ", ".join(wrong), f"keys of a {data['reader']} phantom")
    for key in ("ct_window_hu", "mr_percentiles"):
        low, high = config["intensity"][key]
        if low >= high:
            raise InputError(f"{source}: intensity.{key}", [low, high], "a lower and then an upper bound")
    if isinstance(split, str) and not Path(split).is_file():
        raise InputError(f"{source}: split", split, "a CSV file, or how to draw a split")
    if config["outer_folds"] and isinstance(split, str):
        raise InputError(f"{source}: outer_folds", config["outer_folds"], f"0 beside the split that {split} says")
    for key in ("outer_folds", "crossfit"):
        if config[key] == 1:
            raise InputError(f"{source}: {key}", 1, "at least 2, or 0 for none")
    if config["crossfit"] and config["gan_patients"] == "disjoint":
        expected = "one of the two: a GAN of other patients saw none of the segmenter's"
        raise InputError(f"{source}: crossfit", "it beside gan_patients: disjoint", expected)
    for key in ("label_fractions", "synthetic_fractions"):
        for fraction in config[key]:
            if abs(100 * fraction - round(100 * fraction)) > 1e-9:
                raise InputError(f"{source}: {key}", fraction, "a whole percentage")
    spacing = config["nnunet"]["spacing_mm"]
    if spacing and config["nnunet"]["configuration"] == "2d" and spacing[0] < max(spacing):
        expected = "none above the first, that of the slices: 2d cuts across the largest"
        raise InputError(f"{source}: nnunet.spacing_mm", spacing, expected)
    features = config["distance_features"]
    if (features["backbone"] == "segmenter") != (features["weights"] is None):
        expected = "a file of weights for every backbone but segmenter"
        raise InputError(f"{source}: distance_features.weights", features["weights"], expected)
    if missing := [name for name in config["target"] if name not in (config["structures"] or config["target"])]:
        raise InputError(
            f"{source}: structures", ", ".join(config["structures"]), f"the target {missing[0]} among them"
        )
    for name, entry in config["methods"].items():
        _check_method(f"{source}: methods.{name}", method_of(name, entry), entry, config)
    for name, entry in config["compositions"].items():
        _check_composition(f"{source}: compositions.{name}", name, entry, config["methods"])
        if entry["use"] == "cases" and config["intensity"]["preset"] == "paper" and "ct" in config["modalities"]:
            expected = "preset default, since paper scales each CT by a window that is lost in its synthetic cases"
            raise InputError(f"{source}: intensity.preset", "paper with compositions of cases of CT", expected)
    _check_enrichment(config, source)
    if not config["methods"] and not config["controls"]:
        raise InputError(f"{source}: methods, controls", "nothing", "at least one row of the table")


def _check_enrichment(config: Config, source: Path) -> None:
    """Raise an `InputError` where it is not clear which scans fill the channels, or whose labels train."""
    modalities, missing, given = config["modalities"], config["missing"], config["transfer_from"]
    if missing is not None:
        named = {"source": [] if missing["source"] == "mean" else missing["source"], "simulate": missing["simulate"]}
        for key, names in named.items():
            if unknown := [name for name in names if name not in modalities]:
                raise InputError(f"{source}: missing.{key}", ", ".join(unknown), f"some of {', '.join(modalities)}")
    transfers, others = config["segmentation"] == "transfer", set(modalities) - set(given)
    if transfers != bool(given) or not set(given) <= set(modalities) or not others:
        expected = "those whose labels train, beside segmentation: transfer and nothing else; not all of them"
        raise InputError(f"{source}: transfer_from", ", ".join(given) or "no modality", expected)
    shared = [
        *(["controls: pooled"] if "pooled" in config["controls"] else []),
        *(f"compositions.{name}" for name, entry in config["compositions"].items() if entry["use"] == "cases"),
        *([f"segmentation: {config['segmentation']}"] if config["segmentation"] != "per_modality" else []),
    ]
    of_chaos = config["data"]["reader"] == "chaos" and "ct" in modalities
    if shared and of_chaos and config["structures"] != ["liver"]:
        found = "all" if config["structures"] is None else ", ".join(config["structures"])
        expected = f"[liver], all that CT's labels know: with {shared[0]} one segmenter learns from those of CT and MR"
        raise InputError(f"{source}: structures", found, expected)
    mixed = [
        *(["missing"] if missing is not None else []),
        *(["segmentation"] if config["segmentation"] != "per_modality" else []),
    ]
    for name, entry in config["compositions"].items():
        if mixed and entry["segmenter"] != "nnunet":
            expected = f"nnunet: beside {mixed[0]} a channel holds real and synthetic scans, which only it scales alike"
            raise InputError(f"{source}: compositions.{name}.segmenter", entry["segmenter"], expected)
        if transfers and entry["use"] == "cases":
            expected = "channels: further cases of a modality train with its own labels"
            raise InputError(f"{source}: compositions.{name}.use", "cases, with segmentation: transfer", expected)


def _check_method(where: str, method: str, entry: Config, config: Config) -> None:
    """Raise an `InputError` where an entry's keys contradict each other or the study's."""
    about, rules = facts(method), schema()["$defs"][method]["properties"]

    def value(key: str) -> Any:
        return entry.get(key, rules[key]["default"])

    for table in (entry, *(entry.get(network, {}) for network in about.get("pretrained", {}))):
        if {"epochs", "rounds"} <= table.keys():
            raise InputError(where, "epochs and rounds", "one of the two")
    if about.get("balanced"):
        count = 2 if about["scope"] == "2" else len(config["modalities"])
        if value("batch_size") % count:
            raise InputError(f"{where}.batch_size", value("batch_size"), f"a multiple of the {count} modalities")
    if "downs" in rules and config["image_size"] % 2 ** value("downs"):
        expected = f"at most {(config['image_size'] & -config['image_size']).bit_length() - 1} for image_size"
        raise InputError(f"{where}.downs", value("downs"), f"{expected} {config['image_size']}")
    if about.get("segments") and len(config["target"]) > 1:
        raise InputError(where, f"the targets {', '.join(config['target'])}", "one, which it segments by itself")
    if method == PRECOMPUTED and config["crossfit"]:
        expected = "0 beside precomputed scans: whom their translator saw is not known"
        raise InputError(f"{where}, crossfit", config["crossfit"], expected)
    apart = config["crossfit"] or config["gan_patients"] == "disjoint"
    if entry.get("patience") and apart:
        expected = "none beside crossfit or disjoint patients: those who are watched would choose their own GAN"
        raise InputError(f"{where}.patience", entry["patience"], expected)
    if entry.get("patience") and isinstance(config["split"], dict) and not config["split"]["watch"]:
        raise InputError(f"{where}.patience", entry["patience"], "none, or somebody to watch: split.watch")


def _check_composition(where: str, name: str, entry: Config, methods: Config) -> None:
    """Raise an `InputError` where a composition names no translator or no segmenter."""
    about = {other: facts(method_of(other, settings)) for other, settings in methods.items()}
    translators = [other for other, fact in about.items() if fact.get("translates", True)]
    if entry["use"] == "cases":
        translators = [other for other in translators if "scope" in about[other]]
    segmenters = ["nnunet", *(other for other in about if other not in translators)]
    for key, allowed in (("translator", translators), ("segmenter", segmenters)):
        if entry[key] not in allowed:
            raise InputError(f"{where}.{key}", entry[key], f"one of {', '.join(allowed)}")
    if entry["use"] == "cases" and entry["segmenter"] != "nnunet":
        raise InputError(f"{where}.segmenter", entry["segmenter"], "nnunet, which `use: cases` fine-tunes")
    if name in methods:
        raise InputError(where, "the name of a method", "another name")


def method_of(name: str, entry: Config) -> str:
    """Return the method that an entry of `methods` trains: its key `method`, or else its name."""
    return str(entry.get("method", name))


def keys_of(name: str, entry: Config) -> Config:
    """Return what an entry of `methods` tells its method: its own keys, and the widths of networks it starts from."""
    networks = facts(method_of(name, entry)).get("pretrained", {})
    own = {key: value for key, value in entry.items() if key not in {"method", *networks}}
    for network, trainer in networks.items():
        default = schema()["$defs"][trainer]["properties"]["width"]["default"]
        own[f"{network}_width"] = entry.get(network, {}).get("width", default)
    return own


def keys_of_network(entry: Config, network: str) -> Config:
    """Return what an entry tells a network that it starts from; what every method can be told is the entry's."""
    shared = {key: value for key, value in entry.items() if key in schema()["x-training"]}
    return {**shared, **entry.get(network, {})}


def setting(method: str, keys: Config, key: str) -> Any:
    """Return what a method is told of a key: an entry's own, or else the method's; None where it has no such key."""
    return keys.get(key, schema()["$defs"][method]["properties"].get(key, {}).get("default"))


def facts(method: str) -> Config:
    """Return what the schema says of a method: labels, scope, and whether it translates or segments."""
    return cast(Config, schema()["$defs"][method]["facts"])


def changes(
    config: Config, recorded: Config, ignored: Collection[str] = NOT_COMPARED
) -> Iterator[tuple[str, object, object]]:
    """Yield (key, recorded value, new value) wherever a config would remake what a recorded one made.

    Methods, controls and seeds that come or go leave the results of the others as they are, and neither `threads` nor
    `overwrite` describes a result: these keys are `ignored`, and of methods those compared that both have.
    """
    common = config["methods"].keys() & recorded["methods"].keys()
    before, after = (
        _flat({key: value for key, value in one.items() if key not in {*ignored, "methods"}})
        | _flat({name: one["methods"][name] for name in common}, "methods.")
        for one in (recorded, config)
    )
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield key, before.get(key, "nothing"), after.get(key, "nothing")


def refuse_overwriting(config: Config, results: Path) -> None:
    """Check a config against the one that `results/<run>/config.yaml` says made the finished results.

    Raises:
        InputError: a changed key whose results are finished, unless `overwrite` is set; names the key and both values.
    """
    path = results / "config.yaml"
    if config["overwrite"] or not path.is_file():
        return
    recorded = _complete(_recorded(path), schema())
    recorded["methods"] = recorded.pop(FORMER, {}) | recorded["methods"]
    for key, before, after in changes(config, recorded):
        if _is_made(key, results):
            raise InputError(
                f"{path}: {key}", f"{after}", f"{before}, which made the results; name another run or set overwrite"
            )


def _recorded(path: Path) -> Config:
    checked(path)
    return read_yaml(path, RECORDED)


def record(config: Config, results: Path) -> None:
    """Save the config that makes a run's results as `results/<run>/config.yaml`.

    Former methods whose models are still there are kept apart, so that their results too have a config.
    """
    path = results / "config.yaml"
    before = _recorded(path) if path.is_file() else {}
    former = {
        name: entry
        for name, entry in (before.get(FORMER, {}) | before.get("methods", {})).items()
        if name not in config["methods"] and _is_made(f"methods.{name}", results)
    }
    text = yaml.safe_dump(config | ({FORMER: former} if former else {}), sort_keys=False)
    if not path.is_file() or path.read_text() != text:
        with publish(path, sealed=True) as temporary:
            temporary.write_text(text)


def digest(config: Config) -> str:
    """Return the SHA-256 of what a config says about its results."""
    described = {key: value for key, value in config.items() if key not in ("threads", "overwrite")}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _is_made(key: str, results: Path) -> bool:
    """Return whether anything that depends on a key is finished."""
    made = [f"{split}{pattern}" for pattern in _made_by(key) for split in ("", "outer*/")]
    return any(path for pattern in made for path in results.glob(pattern))


def _made_by(key: str) -> list[str]:
    """Return the patterns of the first finished files that depend on a key."""
    match key.split("."):
        case ["methods", name, *_]:
            return [f"gan/{name}/**/model.pt", f"segmenters/{name}/**/model.pt", f"synthetic/{name}/*/index.csv"]
        case ["nnunet", *_]:
            return ["nnunet/*/*/preprocessed/*/*.json"]
        case ["intensity" | "image_size", *_]:
            return ["slices/index.csv", "enriched/*/*/index.csv"]
        case ["split" | "outer_folds" | "crossfit" | "gan_patients", *_]:
            return ["splits.json"]
        case ["crossfit_test"]:
            return ["synthetic/*/*/index.csv"]
        case ["distance_features", *_]:
            return ["scores/distribution.csv"]
        case _:
            return ["scans.csv"]


def _complete(value: Any, rules: Config, *, defaults: bool = True) -> Any:
    """Return `value` with defaults filled in and numbers read from strings, as far as the rules ask for them."""
    if isinstance(value, str) and "type" in rules and "string" not in rules["type"]:
        with suppress(yaml.YAMLError):
            value = yaml.safe_load(value)
    if isinstance(value, float) and value.is_integer() and "integer" in rules.get("type", ""):
        value = int(value)
    if isinstance(value, dict):
        properties = rules.get("properties", {})
        for option in rules.get("oneOf", []):
            properties = properties | option.get("properties", {})
        more = rules.get("additionalProperties")
        if isinstance(more, dict):
            properties = properties | dict.fromkeys(value.keys() - properties.keys(), more)
        filled = {key: copy.deepcopy(rule["default"]) for key, rule in properties.items() if "default" in rule}
        value = (filled if defaults else {}) | value
        return {key: _complete(item, properties.get(key, {}), defaults=defaults) for key, item in value.items()}
    if isinstance(value, list):
        return [_complete(item, rules.get("items", {}), defaults=defaults) for item in value]
    return value


def _check(value: Config, rules: Config, prefix: str, source: Path) -> None:
    error = best_match(Draft202012Validator(rules).iter_errors(value))
    if error is not None:
        key = prefix + ".".join(map(str, error.absolute_path))
        expected = {
            "additionalProperties": f"only the keys {', '.join(error.schema.get('properties', {}))}",
            "oneOf": error.schema.get("description"),
        }
        raise InputError(
            f"{source}: {key.rstrip('.') or 'config'}",
            error.message.partition(" is not valid under")[0],
            expected.get(error.validator, f"{error.validator} {error.validator_value}"),
        )


def _flat(value: Config, prefix: str = "") -> Config:
    flat: Config = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            flat |= _flat(item, f"{prefix}{key}.")
        elif not isinstance(item, dict):
            flat[prefix + key] = item
    return flat
