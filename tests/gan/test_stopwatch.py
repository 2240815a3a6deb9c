import pytest

from enrich.tables import cost
from gan import stopwatch
from gan.errors import InputError, run
from gan.stopwatch import INSIDE, WAITING, said
from tests.bench import overhead


@pytest.fixture
def clock(monkeypatch) -> list[float]:
    """Nothing is counted yet, and it is as late as this list says."""
    hour = [100.0]
    monkeypatch.setattr(stopwatch, "_spent", {WAITING: 0.0, INSIDE: 0.0})
    monkeypatch.setattr(stopwatch.time, "perf_counter", lambda: hour[0])
    return hour


def test_what_is_spent_is_added_up_by_kind_and_said_at_the_end(capsys, clock):
    def main():
        with stopwatch.spent(WAITING):
            clock[0] += 7
        for _ in range(2):
            with stopwatch.inside():
                clock[0] += 0.25
            clock[0] += 3

    run(main)
    assert capsys.readouterr().err == f"{WAITING}7.000\n{INSIDE}0.500\n"
    assert stopwatch.seconds() == 0.5


def test_a_program_without_networks_says_nothing_and_one_that_fails_its_error(capsys, clock):
    run(lambda: None)
    assert capsys.readouterr().err == ""

    def main():
        with stopwatch.inside():
            clock[0] += 1
            raise InputError("here", "this", "that")

    with pytest.raises(SystemExit, match=r"^error: here: found this, expected that$"):
        run(main)
    assert capsys.readouterr().err == ""


def test_what_a_log_says_last_counts(tmp_path):
    log = tmp_path / "job.log"
    assert said(log, INSIDE) == 0
    log.write_text(f"{INSIDE}1.5\nsomething\n{WAITING}2\n{INSIDE}4.25\n")
    assert (said(log, INSIDE), said(log, WAITING)) == (4.25, 2)


def test_waiting_is_part_of_no_cost_and_of_no_overhead(tmp_path):
    run = tmp_path / "benchmarks" / "run" / "outer0"
    for name, seconds, log in (("waited", 7200.0, f"{WAITING}3600\n{INSIDE}600\n"), ("went", 1800.0, f"{INSIDE}900\n")):
        for folder, suffix, text in (("benchmarks", "tsv", f"s\tmax_rss\n{seconds}\t1\n"), ("logs", "log", log)):
            path = run / folder / "gan" / f"a_seed0.5-{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    files = sorted(run.rglob("*.tsv"))
    assert [cost.measure([path])["hours"] for path in files] == [1.0, 0.5]
    jobs = overhead.jobs(run)
    assert jobs[["seconds", "inside"]].to_numpy().tolist() == [[3600, 600], [1800, 900]]
    assert overhead.overhead(jobs, {}).loc["all", "overhead"] == 3600 + 1800 - 1500
