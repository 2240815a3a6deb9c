import json
import math
import sys

import pandas as pd
import pytest
import torch

from enrich.nnunet.checkpoint import KEYS
from enrich.tables import cost
from enrich.tables.layout import markdown
from gan import checkpoint
from gan.cost import cost as cost_of
from gan.errors import InputError
from gan.files import seal
from gan.methods import METHODS
from gan.settings import resolve
from tests.enrich.tables.conftest import printed_rows

ENTRIES = {
    "tc_mgan": {"width": 8, "batch_size": 2, "downs": 6, "segmentor": {"width": 4}},
    "tc_mgan-wide": {"method": "tc_mgan", "width": 16, "batch_size": 2, "downs": 6},
    "segan": {"width": 4, "batch_size": 2},
}
HEADER = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture
def results(tmp_path):
    """Return a function that writes a benchmark file as Snakemake does."""

    def write(name, seconds, memory_mib="1000.00"):
        path = tmp_path / "results" / "made" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{HEADER}{seconds}\t0:00:01\t{memory_mib}\t1\t1\t1\t0\t0\t90.0\t1.0\n")
        return tmp_path / "results" / "made"

    return write


@pytest.fixture
def small(study):
    return study(methods=ENTRIES, image_size=64, seeds=[0, 1], controls=["single", "pooled"])


def of(table, name):
    (row,) = table[table["name"] == name].to_dict("records")
    return row


def test_jobs_are_found_by_name(small, results):
    for seed in (0, 1):
        results(f"benchmarks/gan/tc_mgan_from-ct_seed{seed}", 3600, "2000.00")
        results(f"benchmarks/gan/tc_mgan_from-ct_seed{seed}_segmentor", 1800)
    results("outer0/benchmarks/gan/tc_mgan_from-t1_seed0/fold1", 7200)
    results("benchmarks/gan/tc_mgan-wide_from-ct_seed0", 36)
    results("benchmarks/synthesize/tc_mgan_seed0", 360, "NA")
    results("benchmarks/synthesize/tc_mgan_seed0_test-mean", 360)
    results("benchmarks/train_segmenter/segan_ct_single_seed0", 180)
    folder = results("benchmarks/synthesize/zero", 360)
    table = cost.of_methods(small, folder)
    row = of(table, "tc_mgan")
    assert (row["training_jobs"], row["training_hours"]) == (5, 2 + 1 + 2)
    assert row["training_memory_gb"] == pytest.approx(2000 * 1024**2 / 1e9)
    assert row["synthesis_hours"] == pytest.approx(0.2)
    assert of(table, "tc_mgan-wide")["training_hours"] == 0.01
    assert of(table, "segan")["training_hours"] == 0.05
    assert pd.isna(of(table, "segan")["synthesis_hours"])


def test_rows_are_told_apart(small, results):
    results("benchmarks/nnunet_dataset/ct_single", 36)
    results("benchmarks/nnunet_train/ct_single_seed0_nnUNetTrainer__p__2d_fold_all", 36)
    results("benchmarks/nnunet_train/ct_single-labels25_seed0_nnUNetTrainer__p__2d_fold_all", 3600)
    results("benchmarks/nnunet_train/pooled_single_seed0_nnUNetTrainer__p__2d_fold_all", 72)
    results("benchmarks/nnunet_predict/ct_pooled_seed0", 36)
    results("benchmarks/nnunet_train/t1_tc_mgan-seed1_seed1_nnUNetTrainer__p__2d_fold_all", 108)
    folder = results("benchmarks/segment/segan_t1_single_seed1", 144)
    table = cost.of_rows(small, folder)
    hours = {name: of(table, name)["segmentation_hours"] for name in ("single", "pooled", "tc_mgan", "segan")}
    assert hours == pytest.approx({"single": 0.02, "pooled": 0.03, "tc_mgan": 0.03, "segan": 0.04})


def test_parameters_are_those_of_the_entry(small, results):
    table = cost.of_methods(small, results("benchmarks/gan/none", 1))
    kind = METHODS["tc_mgan"]
    own = {"width": 8, "batch_size": 2, "downs": 6, "segmentor_width": 4}
    expected = cost_of(kind, 2, 64, resolve(kind.paper, kind.official, own, "tc_mgan"))
    row = of(table, "tc_mgan")
    assert (row["parameters"], row["multiply_adds"]) == (sum(expected.networks.values()), expected.multiply_adds)
    assert of(table, "tc_mgan-wide")["parameters"] > row["parameters"]


def save(folder, place, gpu_memory_gb=None, asked=4, used=4):
    """Save a model that tells of its training no more than the table reads."""
    (folder / place).mkdir(parents=True)
    told = {"gpu_memory_gb": gpu_memory_gb, "config": {"settings": {"batch_size": asked}, "batch_size": used}}
    checkpoint.save(folder / place / "model.pt", dict.fromkeys(checkpoint.KEYS) | told)
    seal(folder / place / "model.pt")


def test_gpu_memory_is_the_most_that_a_model_recorded(small, results):
    folder = results("benchmarks/gan/none", 1)
    for place, used in (("gan/tc_mgan/flair", 1.5), ("outer1/gan/tc_mgan/t1ce/seed0/fold1", 3.5), ("gan/x/all", 9)):
        save(folder, place, used)
    save(folder, "gan/tc_mgan/t2")
    assert math.isnan(cost.gpu_memory(cost.models(folder, "segan")))
    assert of(cost.of_methods(small, folder), "tc_mgan")["training_gpu_memory_gb"] == 3.5


def test_batches_that_did_not_fit_are_told_below_the_table(small, results):
    folder = results("benchmarks/gan/none", 1)
    for place, asked, used in (("all/seed0", 64, 16), ("all/seed1", 64, 64), ("all/seed0/segmentor", 8, 4)):
        save(folder, f"gan/tc_mgan/{place}", asked=asked, used=used)
    save(folder, "segmenters/segan/ct")
    methods = cost.of_methods(small, folder)
    assert of(methods, "segan")["smaller_batches"] == ""
    notes = cost.layout(small, methods, cost.of_rows(small, folder))[0].notes
    assert notes[1:] == (
        "TC-MGAN: batches of 4 in place of 8 in 1 of 3 trainings, 16 in place of 64 in 1 of 3 trainings, since"
        " those did not fit into memory.",
    )


def test_so_are_those_of_nnunets_trainings(study, results):
    own = study(controls=["single"], nnunet={"auto_find_batch_size": True}, seeds=[0, 1])
    folder = results("benchmarks/gan/none", 1)
    plans = {"configurations": {"2d": {"batch_size": 49}}}
    for seed, used in ((0, 12), (1, 49)):
        path = folder / f"nnunet/ct/single/seed{seed}/results/Dataset001_enriched/model/fold_0/checkpoint_final.pth"
        path.parent.mkdir(parents=True)
        told = {"plans": plans, "configuration": "2d", "settings": {"batch_size": used}}
        torch.save(dict.fromkeys(KEYS) | {"init_args": told}, path)
        seal(path)
    notes = cost.layout(own, pd.DataFrame(), cost.of_rows(own, folder))[0].notes
    expected = "12 in place of 49 in 1 of 2 trainings, since those did not fit into memory."
    assert notes[1] == f"Single: batches of {expected}"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"checkpoint_final\.pth: found another file than was published"):
        cost.of_rows(own, folder)


@pytest.mark.parametrize("content", ["", "s\n1.0\n", "s\tmax_rss\n1.0\t12"])
def test_a_benchmark_that_is_none_is_named(tmp_path, content):
    (tmp_path / "job.tsv").write_text(content)
    with pytest.raises(InputError, match=r"job\.tsv: found an unreadable file"):
        cost.measure([tmp_path / "job.tsv"])


def test_slices_of_the_real_channel_are_a_cost_of_who_is_trained_on_them_alone(study, results):
    own = study(controls=["single"], methods={"csgan": {}, "segan": {}})
    for name in ("enriched_slices/ct_single", "segment/csgan_ct_single_seed0", "segment/segan_ct_single_seed0"):
        folder = results(f"benchmarks/{name}", 3600)
    table = cost.of_rows(own, folder)
    assert {name: of(table, name)["segmentation_hours"] for name in ("csgan", "segan")} == {"csgan": 1, "segan": 2}


def test_command_line(small, results, tmp_path, monkeypatch):
    results("benchmarks/gan/tc_mgan_from-ct_seed0", 3600)
    folder = results("benchmarks/gan/tc_mgan_from-t1_seed0", 3600)
    output = folder / "tables" / "cost.csv"
    options = [f"--config-json={json.dumps(small.config)}", f"--results={folder}", f"--output={output}"]
    monkeypatch.setattr(sys, "argv", ["cost", *options])
    cost.main()
    methods, rows = output.with_suffix(".md").read_text().split("Cost of the methods")
    row = printed_rows(methods)["TC-MGAN"]
    assert (row["Jobs of training"], row["Hours of training"]) == ("1", "1.00")  # two of one hour, of two seeds
    assert (row["Hours of synthesis"], row["GPU memory (GB)"]) == ("–", "–")
    assert "| Pooled real | – | – |" in rows
    assert output.with_suffix(".tex").read_text().isascii()
    assert (
        markdown(cost.layout(small, *(read(small, folder) for read in (cost.of_methods, cost.of_rows)))[0])
        in methods + "Cost of the methods" + rows
    )
