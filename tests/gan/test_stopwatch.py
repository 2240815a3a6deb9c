import time

import pytest

from gan import stopwatch
from gan.errors import InputError, run
from gan.stopwatch import SAYS


def test_what_is_spent_inside_is_added_up_and_said_at_the_end(capsys, monkeypatch):
    monkeypatch.setattr(stopwatch, "_spent", [0.0])

    def main():
        for _ in range(2):
            with stopwatch.inside():
                time.sleep(0.02)
        time.sleep(0.1)

    run(main)
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(SAYS)
    assert 0.04 <= float(last.removeprefix(SAYS)) < 0.1


def test_a_program_without_networks_says_nothing_and_one_that_fails_its_error(capsys, monkeypatch):
    monkeypatch.setattr(stopwatch, "_spent", [0.0])
    run(lambda: None)
    assert capsys.readouterr().err == ""

    def main():
        with stopwatch.inside():
            raise InputError("here", "this", "that")

    with pytest.raises(SystemExit, match=r"^error: here: found this, expected that$"):
        run(main)
    assert capsys.readouterr().err == ""
