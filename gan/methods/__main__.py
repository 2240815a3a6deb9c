"""Print the methods: `python -m gan.methods`."""

from gan.registry_table import markdown

print(markdown())  # noqa: T201
