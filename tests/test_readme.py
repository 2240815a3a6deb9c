"""The README says what the code does."""

from pathlib import Path

from enrich import config_table
from gan import registry_table

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def test_the_config_keys_are_those_of_the_schema():
    assert (ROOT / "workflow/config/README.md").read_text() == f"{config_table.markdown()}\n"


def test_the_methods_are_those_of_the_registry():
    begin, end = "<!-- made by `python -m gan.methods` -->", "<!-- until here -->"
    assert f"{begin}\n\n{registry_table.markdown()}\n\n{end}\n" in README
