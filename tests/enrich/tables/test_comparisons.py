import json

import pandas as pd
import pytest

from enrich import index
from enrich.statistics import COLUMNS, compare
from enrich.tables import comparisons
from enrich.tables.layout import latex, markdown
from gan.errors import InputError
from tests.enrich.nnunet.study import call
from tests.enrich.tables.test_segmentation import MODALITIES, table_of, ten


@pytest.fixture
def compared(study):
    return compare(table_of(ten(2)), MODALITIES, ["single", "targan"], study().design)


def test_tables_of_the_two_families(study, compared):
    primary, exploratory = comparisons.layout(study(), compared)
    assert [len(table.blocks[0].rows) for table in (primary, exploratory)] == [2, 12]
    first = [cell.text for cell in primary.blocks[0].rows[0]]
    assert first[:7] == ["liver", "DICE (%)", "CT", "TarGAN", "Single", "10", "0"]
    assert first[7].startswith("+2.05 [+2.0")  # 2 + the mean of 0 to 0.09
    assert first[8:] == ["+1.00", "0.00195", "0.00391", "0.00195"]
    assert primary.blocks[0].rows[0][7].mark == "*"
    assert not any(cell.mark for row in exploratory.blocks[0].rows for cell in row)
    assert "better" not in markdown(exploratory)
    assert latex(primary).isascii()


def test_what_is_written_is_read_back(compared, tmp_path):
    index.write(compared, tmp_path / "comparisons.csv")
    found = comparisons.read(tmp_path / "comparisons.csv")
    pd.testing.assert_frame_equal(found, compared, check_dtype=False)
    assert list(found.columns) == COLUMNS
    with pytest.raises(InputError, match="no such file"):
        comparisons.read(tmp_path / "none.csv")


def test_controls_and_small_budgets_are_not_primary(study):
    design = study(controls=["single", "zero", "pooled"], label_fractions=[0.25]).design
    assert design.methods == ("targan",)
    named = study(controls=["single", "pooled"], statistics={"methods": ["pooled"], "alpha": 0.01}).design
    assert (named.methods, named.alpha, named.metric) == (("pooled",), 0.01, "dice_percent")


@pytest.mark.parametrize("keys", [{"reference": "oracle"}, {"methods": ["stargan"]}])
def test_unknown_rows_are_refused(study, keys):
    with pytest.raises(InputError, match=r"statistics\.\w+: found \w+, expected one of single, targan"):
        _ = study(statistics=keys).design


def test_a_structure_that_the_reference_does_not_segment_is_left_out(study, tmp_path):
    everything = pd.concat([table_of(ten(2)), table_of(ten(2)).query("method != 'single'").assign(structure="spleen")])
    index.write(everything, tmp_path / "scores.csv")
    arguments = ["--config-json", json.dumps(study().config), "--scores", tmp_path / "scores.csv"]
    call(comparisons.main, *arguments, "--output", tmp_path / "comparisons.csv")
    assert set(comparisons.read(tmp_path / "comparisons.csv")["structure"]) == {"liver"}
