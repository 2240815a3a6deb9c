"""Who has what: in numbers, in print and as a picture."""

import pandas as pd
import pytest
from matplotlib.image import imread

from enrich.figures import availability as figure
from enrich.tables import availability as table
from enrich.tables.layout import markdown, write
from enrich.tables.study import Study
from gan.errors import InputError
from gan.files import seal

SCANS = [
    ("a", "flair", "x"),
    ("a", "t1", "x"),
    ("b", "flair", "x"),
    ("c", "flair", "x"),
    ("c", "t1", ""),
    ("d", "t1", "x"),
]
DROPPED = [("b", "t1", "x"), ("d", "flair", "x")]


def frame(rows):
    found = pd.DataFrame(rows, columns=["case", "modality", "label"])
    return found.assign(patient="p" + found["case"])


@pytest.fixture
def found():
    return table.availability(frame(SCANS), frame(DROPPED), ["flair", "t1"])


def test_every_modality_of_every_case_has_a_state(found):
    states = found.pivot_table("state", "case", "modality", "first")
    assert states.loc["a"].tolist() == ["labelled", "labelled"]
    assert states.loc["b"].tolist() == ["labelled", "dropped"]
    assert states.loc["c"].tolist() == ["labelled", "unlabelled"]
    assert states.loc["d"].tolist() == ["dropped", "labelled"]
    assert set(table.availability(frame(SCANS), None, ["flair", "t1"])["state"]) == {
        "labelled",
        "unlabelled",
        "missing",
    }


def test_the_printed_table_counts_what_cases_have(found):
    more = table.availability(frame([*SCANS, ("e", "flair", "x"), ("e", "t1", "x")]), frame(DROPPED), ["flair", "t1"])
    config = {"modalities": ["flair", "t1"], "missing": {"simulate": {"t1": 0.25}}}
    lines = markdown(table.layout(Study(config), more)).splitlines()
    assert lines[0] == "| FLAIR | T1w | Cases | Patients |"
    assert lines[2] == "| ✔ | ✔ | 2 | 2 |"
    assert "| ✔ | dropped | 1 | 1 |" in lines
    assert "| 4 | 4 | 5 | 5 |" in lines
    assert any("T1w 25%; no row but Oracle sees these scans" in line for line in lines)


def test_the_figure_shows_every_state(found, tmp_path):
    write(found, [], tmp_path / "availability.csv")
    assert table.read(tmp_path / "availability.csv").equals(found)
    figure.save(figure.draw(table.read(tmp_path / "availability.csv"), ["flair", "t1"]), tmp_path / "a.png")
    assert imread(tmp_path / "a.png").shape[0] > 300


def test_another_table(tmp_path):
    (tmp_path / "availability.csv").write_text("case,patient,modality,state\na,a,t1,lost\n")
    seal(tmp_path / "availability.csv")
    with pytest.raises(InputError, match="another table"):
        table.read(tmp_path / "availability.csv")
