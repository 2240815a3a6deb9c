"""What the command lines of several programs have in common."""

import argparse
from pathlib import Path


def named_path(text: str) -> tuple[str, Path]:
    """Return a name and a path, which an option gives as `name=path`."""
    name, sign, path = text.partition("=")
    if not sign:
        raise argparse.ArgumentTypeError(f"{text}: expected name=path")
    return name, Path(path)
