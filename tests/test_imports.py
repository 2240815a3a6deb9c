"""What most jobs of a run need not load, which would cost each of them seconds."""

import subprocess
import sys

import pytest

FILES = ["prepare", "slices", "enriched_slices", "fill", "controls", "nnunet.dataset", "score", "score_translation"]
TABLES = ["gather", "tables.translation", "tables.availability", "tables.ablation"]
NETWORKS = ["synthesize", "cases"]


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (FILES, {"torch", "nnunetv2", "matplotlib", "statsmodels"}),
        (TABLES, {"torch", "nnunetv2", "matplotlib", "statsmodels", "scipy.stats"}),
        (NETWORKS, {"nnunetv2", "torchvision", "torch._dynamo", "scipy.stats"}),
    ],
)
def test_a_program_loads_no_heavy_module_that_it_does_not_need(modules, heavy):
    code = f"import {', '.join(f'enrich.{name}' for name in modules)}, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert set(loaded).isdisjoint(heavy)


def test_nnunet_is_loaded_without_the_collector_which_is_on_again_afterwards():
    import gc

    from enrich.nnunet.environment import importing

    with pytest.raises(ZeroDivisionError), importing():
        assert not gc.isenabled()
        raise ZeroDivisionError
    assert gc.isenabled()
