"""What failed jobs said last, so that the reason of a failed run stands on the screen."""

import re
from collections.abc import Iterable
from pathlib import Path

from gan.files import is_full

KILLED = "killed without a word, perhaps since main memory ran out"
FULL = "found a full disk or quota, expected room for what the job says"


def last_words(run_logs: Iterable[str]) -> list[str]:
    """Return the error of each job that Snakemake's logs call failed, or its log's last line, led by the log's path.

    A job that was killed may have come to no error, and one on a full disk cannot log it: that is said then.
    """
    text = "\n".join(Path(log).read_text() for log in run_logs)
    logs = re.findall(r"^    log: (.+) \(check log file", text, re.MULTILINE)
    killed = set(re.findall(r"> (\S+) 2>&1' returned non-zero exit status 137\.", text))
    said = []
    for log in dict.fromkeys(logs):
        lines = Path(log).read_text(errors="replace").splitlines() if Path(log).is_file() else []
        errors = [line for line in lines if line.startswith("error: ")]  # libraries may speak after it
        folder = Path(log).parent
        if errors:
            lines = errors
        elif log in killed:
            lines = [KILLED]
        elif folder.is_dir() and is_full(folder):
            lines = [FULL]
        said += [f"{log}: {line}" for line in lines[-1:]]
    return said
