"""The table of costs: hours and memory from Snakemake's benchmark files, parameters and multiply-adds from the methods.

A job's benchmark file lies under `benchmarks/` of a run and of each of its outer folds; its name says what it made.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from enrich.config import PRECOMPUTED, facts, method_of
from enrich.entries import settings_of
from enrich.nnunet.checkpoint import read_checkpoint
from enrich.rows import NNUNET, Row, data_set, index_of, title_of
from enrich.tables.layout import ABSENT, Block, Cell, Column, Table, write
from enrich.tables.study import Study, parser
from gan import checkpoint, stopwatch
from gan.cost import cost
from gan.errors import InputError, run
from gan.files import checked
from gan.methods import METHODS
from gan.scope import Scope

MIB_IN_GB = 2**20 / 1e9


def measure(files: Iterable[Path]) -> dict[str, float]:
    """Add up benchmark files: jobs; hours, of all of them; memory_gb, the peak of any. NaN where nothing is known.

    The seconds that a job waited for a GPU, as its log says, are not among them. A job that was stopped and resumed
    counts from its last start on; a job so short that its memory was not sampled has none.
    """
    tables = [_read_benchmark(path) for path in files]
    if not tables:
        return {"jobs": 0, "hours": float("nan"), "memory_gb": float("nan")}
    found = pd.concat(tables)
    return {
        "jobs": len(tables),
        "hours": float(found["s"].sum() / 3600),
        "memory_gb": float(found["max_rss"].astype(float).max() * MIB_IN_GB),
    }


def _read_benchmark(path: Path) -> pd.DataFrame:
    try:
        if not path.read_text().endswith("\n"):
            raise ValueError
        found = pd.read_csv(path, sep="\t", na_values=["NA", "-"])[["s", "max_rss"]]
    except (ValueError, KeyError) as error:
        raise InputError(path, "an unreadable file", "a benchmark of Snakemake's with s and max_rss") from error
    run, _, name = path.as_posix().rpartition("/benchmarks/")
    waited = stopwatch.said(Path(run, "logs", name).with_suffix(".log"), stopwatch.WAITING)
    return found.assign(s=found["s"] - waited)


def of_methods(study: Study, results: Path) -> pd.DataFrame:
    """Return what each entry of `methods` costs that was trained here.

    Returns:
        One row per entry: kind (method), name, title; parameters of all networks of one model; multiply_adds of one
        round of its training; training_ and synthesis_ jobs, hours and memory_gb, of all seeds and folds;
        training_gpu_memory_gb; smaller_batches, of trainings whose own did not fit into memory, in words.
    """
    rows = []
    for name, entry in study.config["methods"].items():
        method = method_of(name, entry)
        if method == PRECOMPUTED:
            continue
        trainings = Scope(facts(method)["scope"]).trainings(study.modalities)
        names = [f"gan/{name}_{training}_seed{end}" for training in trainings for end in ("*", "*/*")]
        if not facts(method).get("translates", True):
            names = [f"train_segmenter/{name}_{modality}_*" for modality in study.modalities]
        modalities = len(next(iter(trainings.values())))
        found = cost(METHODS[method], modalities, study.config["image_size"], settings_of(name, entry))
        trained = list(models(results, name))
        rows.append(
            {
                "kind": "method",
                "name": name,
                "title": title_of(name),
                "parameters": sum(found.networks.values()),
                "multiply_adds": found.multiply_adds,
            }
            | _named("training", measure(_files(results, names)) | {"gpu_memory_gb": gpu_memory(trained)})
            | {"smaller_batches": smaller_batches(_batches_of_method(trained))}
            | _named(
                "synthesis",
                measure(
                    _files(
                        results,
                        [
                            f"synthesize/{name}_seed*",
                            *(f"cases/{name}_{modality}_seed*" for modality in study.modalities),
                        ],
                    )
                ),
            )
        )
    return pd.DataFrame(rows)


def gpu_memory(trained: Iterable[dict[str, Any]]) -> float:
    """Return the most memory in GB that a training held of its GPU, as its model says; NaN without one."""
    found = [model["gpu_memory_gb"] for model in trained]
    return max((value for value in found if value is not None), default=math.nan)


def smaller_batches(batches: Sequence[tuple[int, int]]) -> str:
    """Return in words which batches stood in place of others, of (used, asked) of all trainings; nothing if none."""
    return ", ".join(
        f"{used} in place of {asked} in {number} of {len(batches)} trainings"
        for (used, asked), number in sorted(Counter(batches).items())
        if used != asked
    )


def _batches_of_method(trained: Iterable[dict[str, Any]]) -> list[tuple[int, int]]:
    configs = [model["config"] for model in trained]
    return [(config["batch_size"], config["settings"]["batch_size"]) for config in configs]


def _batches_of_row(row: Row, study: Study, results: Path) -> list[tuple[int, int]]:
    """Return those of nnU-Net's trainings, where they may differ from the plans'."""
    if row.segmenter != NNUNET or not study.config["nnunet"]["auto_find_batch_size"]:
        return []
    folders = {
        f"{data_set(study.config, modality, row.channels(seed))}/seed{seed}"
        for modality in study.modalities
        for seed in study.config["seeds"]
    }
    found = []
    for place in (f"{split}nnunet/{folder}" for split in ("", "outer*/") for folder in sorted(folders)):
        for path in results.glob(f"{place}/results/*/*/fold_*/checkpoint_final.pth"):
            checked(path)
            told = read_checkpoint(path)["init_args"]
            planned = told["plans"]["configurations"][told["configuration"]]["batch_size"]
            found.append((told["settings"]["batch_size"], planned))
    return found


def models(results: Path, name: str) -> Iterator[dict[str, Any]]:
    """Yield the checkpoints that the trainings of an entry left."""
    for folder in ("gan", "outer*/gan", "segmenters", "outer*/segmenters"):
        for path in results.glob(f"{folder}/{name}/**/model.pt"):
            yield checkpoint.load(path)


def of_rows(study: Study, results: Path) -> pd.DataFrame:
    """Return what the segmentation of each row costs, of all modalities, seeds and folds, without its translator.

    Returns:
        One row per row of the table: kind (row), name, title; segmentation_ jobs, hours and memory_gb; smaller_batches.
    """
    return pd.DataFrame(
        {"kind": "row", "name": row.name, "title": row.title}
        | _named("segmentation", measure(_files(results, _segmentation(row, study))))
        | {"smaller_batches": smaller_batches(_batches_of_row(row, study, results))}
        for row in study.rows
    )


def layout(study: Study, methods: pd.DataFrame, rows: pd.DataFrame) -> list[Table]:
    """Arrange both for print, hours per seed."""
    seeds = len(study.config["seeds"])
    size = study.config["image_size"]
    tables = []
    if not methods.empty:
        lines = [
            [
                Cell(row["title"]),
                Cell(f"{row['parameters'] / 1e6:.2f}"),
                Cell(f"{row['multiply_adds'] / 1e9:,.1f}"),
                Cell(f"{row['training_jobs'] / seeds:.3g}"),
                Cell(_number(row["training_hours"] / seeds)),
                Cell(_number(row["synthesis_hours"] / seeds)),
                Cell(_number(row["training_memory_gb"])),
                Cell(_number(row["training_gpu_memory_gb"])),
            ]
            for row in methods.to_dict("records")
        ]
        names = ["10⁶ parameters", "10⁹ multiply-adds of a round", "Jobs of training", "Hours of training"]
        names += ["Hours of synthesis", "Peak memory (GB)", "GPU memory (GB)"]
        tables.append(
            Table(
                label="cost",
                columns=[Column("Method", numeric=False), *map(Column, names)],
                blocks=[Block("", lines)],
                caption="Cost of the methods, for one seed.",
                notes=(
                    f"Parameters of all networks of one model and multiply-adds of one round of its training, at {size}"
                    f" × {size} pixels and the config's widths and batch: convolutions and matrix products, counted as"
                    " python -m gan.methods does. Jobs are one for each pair or direction that a method needs, each"
                    " fold, and each network that it starts from. Hours add up all jobs, memory is the peak of any"
                    " training: main memory from Snakemake's benchmark files, that of a GPU as its models recorded it."
                    " Waiting for a GPU is left out. A job that was resumed counts from its last start on.",
                    *_notes(methods),
                ),
            )
        )
    lines = [
        [
            Cell(row["title"]),
            Cell(_number(row["segmentation_hours"] / seeds)),
            Cell(_number(row["segmentation_memory_gb"])),
        ]
        for row in rows.to_dict("records")
    ]
    tables.append(
        Table(
            label="cost-segmentation",
            columns=[Column("Row", numeric=False), Column("Hours"), Column("Peak memory (GB)")],
            blocks=[Block("", lines)],
            caption="Cost of the segmentation of all modalities, for one seed, without that of the translator.",
            notes=(
                "Data set, preprocessing, training and prediction; of a segmenter of all modalities, the one training.",
                *_notes(rows),
                f"Config sha256 {study.sha256}.",
            ),
        )
    )
    return tables


def _notes(table: pd.DataFrame) -> list[str]:
    return [
        f"{row['title']}: batches of {row['smaller_batches']}, since those did not fit into memory."
        for row in table.to_dict("records")
        if row["smaller_batches"]
    ]


def _segmentation(row: Row, study: Study) -> list[str]:
    """Return patterns of the benchmark files of a row's segmentation."""
    names = []
    names_of = [(modality, row.channels(seed)) for modality in study.modalities for seed in study.config["seeds"]]
    trained = [tuple(data_set(study.config, *name).split("/")) for name in names_of]
    indexes = [index_of(study.config, channels) or "" for _, channels in names_of]
    names += [f"fill/{Path(path).parent.relative_to('filled')}" for path in indexes if path.startswith("filled/")]
    for modality, channels in dict.fromkeys([*names_of, *trained]):
        data = f"{modality}_{channels}"
        if row.segmenter == NNUNET:
            names += [f"nnunet_dataset/{data}", f"nnunet_preprocess/{data}", f"nnunet_*/{data}_seed*"]
        else:
            names.append(f"*segment*/{row.segmenter}_{data}_seed*")
            if row.segmenter not in study.translators:
                names.append(f"enriched_slices/{data}")
    return names


def _files(results: Path, names: Iterable[str]) -> list[Path]:
    """Return the benchmark files of a run and its outer folds by patterns of their names, each once."""
    found = (
        path
        for folder in ("benchmarks", "outer*/benchmarks")
        for name in names
        for path in results.glob(f"{folder}/{name}.tsv")
    )
    return sorted(set(found))


def _named(stage: str, measured: dict[str, float]) -> dict[str, float]:
    return {f"{stage}_{name}": value for name, value in measured.items()}


def _number(value: float) -> str:
    return ABSENT if pd.isna(value) else f"{value:.2f}"


def main() -> None:
    """Write the three files; all or none."""
    options = parser("cost", __doc__)
    options.add_argument("--results", type=Path, required=True, help="results/<run>, in which benchmarks lie")
    arguments = options.parse_args()
    methods, rows = of_methods(arguments.study, arguments.results), of_rows(arguments.study, arguments.results)
    write(pd.concat([methods, rows]), layout(arguments.study, methods, rows), arguments.output)


if __name__ == "__main__":
    run(main)
