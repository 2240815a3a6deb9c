"""Tests run on the CPU, where trainings repeat bit for bit, and side by side: a thread each."""

import os

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["OMP_NUM_THREADS"] = "1"


def pytest_terminal_summary(terminalreporter):
    """Print what became of the broken inputs of `tests/faults`, all of them together."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    found = [value for report in reports for key, value in report.user_properties if key == "faults"]
    if found:
        kinds = ("tried", "accepted", "refused", "wrong", "crashed", "hung", "spilled")
        counts = ", ".join(f"{sum(one.get(kind, 0) for one in found)} {kind}" for kind in kinds)
        peak = max(one["peak_mb"] for one in found)
        terminalreporter.write_line(f"broken inputs: {counts}; at most {peak:.0f} MB taken by a reader")
