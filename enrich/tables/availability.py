"""Which cases have which modalities: counted by what they have, and case by case in the CSV.

The CSV has one row per case × modality: case, patient, modality and state, one of `STATES`.
"""

from pathlib import Path

import pandas as pd

from enrich import index
from enrich.modality import title
from enrich.tables.layout import Block, Cell, Column, Table, write
from enrich.tables.study import Study, parser
from gan.errors import InputError, run
from gan.files import checked
from gan.reading import read_table

STATES = {
    "labelled": "scan with a label",
    "unlabelled": "scan without a label",
    "dropped": "dropped at random",
    "missing": "no scan",
}
MARKS = {"labelled": "✔", "unlabelled": "no label", "dropped": "dropped", "missing": "–"}
COLUMNS = ["case", "patient", "modality", "state"]


def availability(scans: pd.DataFrame, dropped: pd.DataFrame | None, modalities: list[str]) -> pd.DataFrame:
    """Return the state of every modality of every case, by case, in the order of `modalities`.

    Args:
        scans: rows of `scans.csv`.
        dropped: rows of `dropped.csv`; None, where nothing was dropped.
        modalities: of the study.
    """
    everything = scans if dropped is None else pd.concat([scans, dropped])
    patients = dict(zip(everything["case"], everything["patient"], strict=True))
    state = {
        (row["case"], row["modality"]): "labelled" if row["label"] else "unlabelled" for row in scans.to_dict("records")
    }
    if dropped is not None:
        state |= {(row["case"], row["modality"]): "dropped" for row in dropped.to_dict("records")}
    rows = [
        (case, patients[case], modality, state.get((case, modality), "missing"))
        for case in sorted(patients)
        for modality in modalities
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def read(path: Path) -> pd.DataFrame:
    """Read `tables/availability.csv`.

    Raises:
        InputError: no such file, or another one.
    """
    checked(path)
    expected = f"a table with the columns {', '.join(COLUMNS)}"
    table = read_table(path, expected, dtype=str)
    if list(table.columns) != COLUMNS or not set(table["state"]) <= STATES.keys():
        raise InputError(path, "another table", expected)
    return table


def patterns(table: pd.DataFrame, modalities: list[str]) -> pd.DataFrame:
    """Return the states of every modality by case, those of equal states together, the most frequent first."""
    wide = table.pivot_table("state", ["patient", "case"], "modality", "first")[modalities]
    order = wide.value_counts(sort=False).rename("cases").reset_index()
    order = order.sort_values(["cases", *modalities], ascending=[False, *[True] * len(modalities)])
    ranks = {tuple(row[modalities]): rank for rank, (_, row) in enumerate(order.iterrows())}
    return wide.assign(rank=[ranks[tuple(row)] for row in wide[modalities].to_numpy()]).sort_values(
        ["rank", "patient", "case"]
    )


def layout(study: Study, table: pd.DataFrame) -> Table:
    """Arrange the counts for print: a row per pattern of what cases have, and the scans of each modality."""
    modalities = study.modalities
    lines = []
    for _, own in patterns(table, modalities).groupby("rank", sort=True):
        cells = [Cell(MARKS[own[modality].iloc[0]]) for modality in modalities]
        patients = own.index.get_level_values("patient").nunique()
        lines.append([*cells, Cell(str(len(own))), Cell(str(patients))])
    there = table[table["state"].isin(["labelled", "unlabelled"])]
    totals = [Cell(str((there["modality"] == modality).sum())) for modality in modalities]
    totals += [Cell(str(there["case"].nunique())), Cell(str(there["patient"].nunique()))]
    simulated = (study.config["missing"] or {}).get("simulate", {})
    shares = ", ".join(f"{title(name)} {share:.0%}" for name, share in simulated.items())
    notes = [f"Dropped at random, of the patients who have it: {shares}; no row but Oracle sees these scans."]
    return Table(
        label="availability",
        columns=[*(Column(title(name), numeric=False) for name in modalities), Column("Cases"), Column("Patients")],
        blocks=[Block("", lines), Block("Scans that are there", [totals])],
        caption="Which modalities the cases have: ✔ a scan with a label, – none.",
        notes=(*(notes if simulated else []), f"Config sha256 {study.sha256}."),
    )


def main() -> None:
    """Write the three files; all or none."""
    options = parser("availability", __doc__)
    options.add_argument("--scans", type=Path, required=True)
    options.add_argument("--dropped", type=Path, help="dropped.csv")
    arguments = options.parse_args()
    dropped = index.read(arguments.dropped, index.SCANS) if arguments.dropped else None
    study = arguments.study
    table = availability(index.read(arguments.scans, index.SCANS), dropped, study.modalities)
    write(table, [layout(study, table)], arguments.output)


if __name__ == "__main__":
    run(main)
