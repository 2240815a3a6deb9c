"""What jobs ask for: more than was measured, by the scans there are, and more at each attempt."""

import os

import pytest

from enrich import demand
from enrich.demand import Scans

MIB = 2**20 / 1e9
MEASURED = Scans(9, 9_879_552)  # three CTs and six MRs of a phantom, two threads: `max_rss` of Snakemake's benchmarks


@pytest.mark.parametrize(
    ("asked", "mib"),
    [
        (demand.reading_gb(MEASURED, 2), 1967),  # slices
        (demand.scoring_gb(MEASURED), 729),
        (demand.translating_gb(MEASURED, 3, 2), 1384),
        (demand.predicting_gb(MEASURED, 1, 5), 1945),
        (demand.preprocessing_gb(MEASURED, 1, 10**8, 2), 5283),
        (demand.nnunet_training_gb(None, 0, 1), 4103),
        (demand.training_gb(4 * 256**2, 4, 1, gpu=False), 1572),  # StarGAN
    ],
)
def test_more_is_asked_for_than_was_taken_but_not_far_more(asked, mib):
    assert 1.3 * mib * MIB < asked < 5 * mib * MIB


def test_memory_grows_with_scans_workers_and_channels():
    large = Scans(9, 2 * MEASURED.voxels)
    assert demand.reading_gb(large, 3) - demand.reading_gb(MEASURED, 3) == pytest.approx(3 * 150e-9 * MEASURED.voxels)
    assert demand.preprocessing_gb(MEASURED, 3, 0, 1) - demand.preprocessing_gb(MEASURED, 1, 0, 1) == pytest.approx(
        2 * 200e-9 * MEASURED.voxels
    )
    assert demand.nnunet_training_gb(24, 12, 2) == 2 * (4 + 24 + 12)


def test_layers_are_in_the_machines_memory_only_without_a_gpu():
    paper = {"pixels": 4 * 256**2, "width": 64, "devices": 1}
    assert demand.training_gb(**paper, gpu=False) > 25
    assert demand.training_gb(**paper, gpu=True) < 12


def test_every_attempt_asks_for_more():
    assert [demand.by_attempt(2.5, attempt) for attempt in (1, 2, 3)] == ["3GB", "5GB", "8GB"]
    assert [demand.hours(Scans(36, 100_000_000), 1, attempt) for attempt in (1, 2)] == ["2h", "4h"]


def test_the_largest_scan_counts_and_a_new_table_is_read(tmp_path):
    path = tmp_path / "scans.csv"
    assert demand.scans_of(path) == demand.UNKNOWN
    path.write_text("case,z,y,x\na,2,3,4\nb,5,6,7\n")
    assert demand.scans_of(path) == Scans(2, 210)
    path.write_text("case,z,y,x\na,2,3,4\n")
    os.utime(path, (0, 0))
    assert demand.scans_of(path) == Scans(1, 24)
    for place, broken in enumerate(("", "case,z,y,x\n" + "a" * 200_000), 1):
        path.write_text(broken)
        os.utime(path, (place, place))
        assert demand.scans_of(path) == demand.UNKNOWN
