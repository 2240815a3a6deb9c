"""The tables of config keys in workflow/config/README.md, made from the schema: `python -m enrich.config_table`."""

import json
from collections.abc import Iterator

from enrich.config import Config, schema


def rows(rules: Config, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield (key, type or values, default, meaning) of every key, depth first."""
    for key, rule in rules.get("properties", {}).items():
        default = f"`{json.dumps(rule['default'])}`" if rule.get("default") not in (None, {}) else "–"
        yield f"`{prefix}{key}`", _type(rule), default, rule["description"]
        yield from rows(rule, f"{prefix}{key}.")
        if isinstance(rule.get("additionalProperties"), dict):
            yield from rows(rule["additionalProperties"], f"{prefix}{key}.<name>.")
        for option in rule.get("oneOf", []):
            yield from rows(option, f"{prefix}{key}.")


HEADINGS = {
    True: "Keys of an entry of `methods` that trains it.",
    False: "No method of a study: a method that starts from it has these keys under the network's name.",
}


def _is_entry(method: Config) -> bool:
    return bool(method["facts"].get("translates", True) or method["facts"].get("segments", False))


def markdown() -> str:
    """Return the page: a table of all keys, and one of each method's own keys."""
    rules = schema()
    parts = ["# Config keys", "<!-- made by `python -m enrich.config_table` -->", _table(rows(rules))]
    for name, method in rules["$defs"].items():
        parts.append(f"## `{name}`\n\n{HEADINGS[_is_entry(method)]}\n\n{_table(rows(method))}")
    return "\n\n".join(parts)


def _table(lines: Iterator[tuple[str, str, str, str]]) -> str:
    header = ["| key | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*header, *(f"| {' | '.join(line)} |" for line in lines)])


def _type(rule: Config) -> str:
    if "enum" in rule:
        return ", ".join(f"`{json.dumps(value)}`" for value in rule["enum"])
    if "oneOf" in rule:
        return " or ".join(_type(option) for option in rule["oneOf"])
    names = rule["type"] if isinstance(rule["type"], list) else [rule["type"]]
    if "items" in rule:
        return f"list of {_type(rule['items'])}"
    bounds = [
        f"{sign} {rule[key]}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in rule
    ]
    if "multipleOf" in rule:
        bounds.append(f"a multiple of {rule['multipleOf']}")
    return ", ".join([" or ".join(names), *bounds])


def main() -> None:
    """Print the tables."""
    print(markdown())  # noqa: T201


if __name__ == "__main__":
    main()
