"""What failed jobs said last, so that the reason of a failed run stands on the screen."""

import re
from collections.abc import Iterable
from pathlib import Path


def last_words(run_logs: Iterable[str]) -> list[str]:
    """Return the last line of the log of each job that Snakemake's own logs call failed, led by the log's path."""
    text = "\n".join(Path(log).read_text() for log in run_logs)
    logs = re.findall(r"^    log: (.+) \(check log file", text, re.MULTILINE)
    paths = dict.fromkeys(Path(log) for log in logs)
    return [f"{path}: {lines[-1]}" for path in paths if path.is_file() and (lines := path.read_text().splitlines())]
