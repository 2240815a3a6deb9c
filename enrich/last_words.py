"""What failed jobs said last, so that the reason of a failed run stands on the screen."""

import re
from collections.abc import Iterable
from pathlib import Path

KILLED = "killed without a word, perhaps since main memory ran out"


def last_words(run_logs: Iterable[str]) -> list[str]:
    """Return the last line of the log of each job that Snakemake's own logs call failed, led by the log's path.

    A job that was killed may have come to no last line: that it was is said in its place.
    """
    text = "\n".join(Path(log).read_text() for log in run_logs)
    logs = re.findall(r"^    log: (.+) \(check log file", text, re.MULTILINE)
    killed = set(re.findall(r"> (\S+) 2>&1' returned non-zero exit status 137\.", text))
    said = []
    for log in dict.fromkeys(logs):
        lines = Path(log).read_text(errors="replace").splitlines() if Path(log).is_file() else []
        if log in killed and not (lines and lines[-1].startswith("error: ")):
            lines.append(KILLED)
        said += [f"{log}: {line}" for line in lines[-1:]]
    return said
