"""The README says what the code does."""

from pathlib import Path

from enrich.config_table import markdown
from gan.methods import METHODS

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_config_keys_are_those_of_the_schema():
    assert README.endswith(f"<!-- made by `python -m enrich.config_table` -->\n\n{markdown()}\n")


def test_every_method_is_listed():
    assert all(f"| `{name}` |" in README for name in METHODS)
