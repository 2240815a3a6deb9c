"""The table of translations, laid out like TarGAN's Table 1 (Chen et al., MICCAI 2021), and one of image metrics.

The CSV has one row per method × target × source, and × their mean, × metric. In print a method is a row, with the mean
over a target's sources.
"""

import math
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from enrich.columns import CEILING, FLOOR
from enrich.modality import title
from enrich.published import Published
from enrich.tables.layout import Block, Cell, Column, Table, write
from enrich.tables.metrics import METRIC
from enrich.tables.study import OURS, Study, parser
from enrich.tables.translations import MEAN, of_fit, read, summarize, summarize_distances
from gan.errors import run

KIND = "translation"
BACKBONES = {
    "segmenter": "Single's encoder",
    "inception": "Inception",
    "radimagenet": "RadImageNet",
    "models_genesis": "Models Genesis",
}
FITS = {
    "all": "by the GAN of all its patients",
    "fold": "by the GAN of one fold, drawn for each patient",
    "mean": "by the mean of all folds' GANs",
}
IMAGE_METRICS = ["psnr_db", "ssim", "mae_in_target", "mi_nats", "slice_consistency"]

Key = tuple[str, str]  # metric, backbone


def literature(table: Published, modalities: Sequence[str]) -> pd.DataFrame:
    """Return a published table in the columns of the summary; its Fréchet distances are of Models Genesis."""
    figures = table.figures(modalities)
    backbones = figures["metric"].map({"fid": "models_genesis"}).fillna("")
    return figures.assign(translated_from=MEAN, backbone=backbones, seed_std=math.nan)


def layout(study: Study, summary: pd.DataFrame) -> list[Table]:
    """Arrange a summary for print: distances and S-score, and the image metrics.

    The best mean of each column among our own translators is bold, ties as printed too.
    """
    shown = summary[summary["translated_from"] == MEAN]
    distances = shown[shown["metric"].isin(("fid", "kid"))]
    first = [*_keys(distances), ("s_score_percent", "")]
    second = [(metric, "") for metric in IMAGE_METRICS]
    elsewhere = study.about_elsewhere(KIND, study.translators)
    notes = [_reading(study), *_about_distances(study, distances), *elsewhere]
    name = study.structure.replace("_", " ")
    return [
        Table(
            label="translation",
            columns=_columns(first, study, distances),
            blocks=_blocks(shown, first, study),
            caption=f"Translation: distance from real scans, and the {name} that Single's segmenter finds (S-score).",
            notes=(*notes, *_about(first, study)),
        ),
        Table(
            label="translation-images",
            columns=_columns(second, study, distances),
            blocks=_blocks(shown, second, study),
            caption="Translation: agreement with real scans and with the source.",
            notes=(_definitions(), *_about(second, study)),
        ),
    ]


def _about(keys: Sequence[Key], study: Study) -> list[str]:
    published = study.about_published(KIND, [metric for metric, _ in keys])
    return [*published, f"Config sha256 {study.sha256}."]


def _keys(distances: pd.DataFrame) -> list[Key]:
    pairs = list(dict.fromkeys(zip(distances["metric"], distances["backbone"], strict=True)))
    return [(metric, backbone) for metric in ("fid", "kid") for name, backbone in pairs if name == metric]


def _columns(keys: Sequence[Key], study: Study, distances: pd.DataFrame) -> list[Column]:
    columns = [Column("Method", numeric=False), Column("Labels used", numeric=False)]
    for metric, backbone in keys:
        group = METRIC[metric].header
        if backbone:
            group += f" ({BACKBONES[backbone]}{_samples(distances[distances['backbone'] == backbone])})"
        columns += [Column(title(modality), group) for modality in study.modalities]
    return columns


def _samples(distances: pd.DataFrame) -> str:
    """Return the range of the number of samples, of the smaller set of each distance, for a header."""
    least = distances[["n_real", "n_fake"]].dropna().min(axis=1)
    if least.empty:
        return ""
    return ", N = " + "–".join(str(int(number)) for number in sorted({least.min(), least.max()}))


def _blocks(summary: pd.DataFrame, keys: Sequence[Key], study: Study) -> list[Block]:
    columns = [(metric, backbone, modality) for metric, backbone in keys for modality in study.modalities]
    shown = summary[[pair in keys for pair in zip(summary["metric"], summary["backbone"], strict=True)]]
    ours = shown["source"] == OURS
    competing = shown[ours & shown["method"].isin(study.translators)].groupby(["metric", "backbone", "modality"])
    best = {key: METRIC[str(key[0])].best(rows["mean"]) for key, rows in competing if isinstance(key, tuple)}
    blocks = []
    groups = [
        ("Ceiling and floor", shown[ours & shown["method"].isin((CEILING, FLOOR))]),
        ("Methods", shown[ours & shown["method"].isin(study.translators)]),
        *((f"Published ({source})", rows) for source, rows in shown[~ours].groupby("source", sort=False)),
    ]
    for heading, rows in groups:
        lines = []
        for method, own in rows.groupby("method", sort=False):
            found = {(row["metric"], row["backbone"], row["modality"]): row for row in own.to_dict("records")}
            if all(math.isnan(row["mean"]) for row in found.values()):
                continue
            competes = heading == "Methods" and method in study.translators
            cells = [_cell(found.get(key), best.get(key, math.nan) if competes else math.nan) for key in columns]
            lines.append([Cell(own["title"].iloc[0]), Cell(own["labels_used"].iloc[0]), *cells])
        if lines:
            blocks.append(Block(heading, lines))
    return blocks


def _cell(row: dict[Hashable, Any] | None, best: float) -> Cell:
    if row is None:
        return Cell()
    metric = METRIC[row["metric"]]
    text = metric.spread(row["mean"], row["std"], row["seed_std"])
    return Cell(text, bold=not math.isnan(row["mean"]) and round(row["mean"], metric.decimals) == best)


WINDOW = (
    " Preset paper scales each real CT by the window of its file, and synthetic CT is taken to span"
    " intensity.ct_window_hu: scores of translations to CT bear the difference."
)


def _reading(study: Study) -> str:
    return (
        "Columns are target modalities: the mean over the sources of a target, after the mean over its test patients"
        " and, first, over a patient's seeds. ±: standard deviation (ddof 1) over patients, of each one's mean over"
        " sources; in brackets, over seeds of the mean. Test patients are translated"
        f" {FITS[study.test_fit]}. S-score: DICE of what Single's segmenter of the target finds in a translation, with"
        " the source's label; its ceiling is the real scans of the target, its floor the source, passed as the target."
        " Bold: the best mean of its column in this run as printed, ceiling and floor left out; no difference is"
        " tested." + (WINDOW if study.config["intensity"]["preset"] == "paper" and "ct" in study.modalities else "")
    )


def _about_distances(study: Study, distances: pd.DataFrame) -> list[str]:
    ours = distances[distances["source"] == OURS]
    if ours.empty:
        return []
    names = list(dict.fromkeys(ours["backbone"]))
    dimensions = {name: int(ours["features"][ours["backbone"] == name].max()) for name in names}
    least = min(ours["n_real"].min(), ours["n_fake"].min())
    text = (
        "FID and KID: all translations of a direction against all real test scans of its target, by the features of"
        f" {' and '.join(f'{BACKBONES[name]} ({number} features)' for name, number in dimensions.items())}; N samples"
        " in the smaller of the two sets. Figures of another backbone are not comparable, published ones among them."
    )
    if least <= max(dimensions.values()):
        text += (
            " With no more samples than features the covariances are singular and FID is biased upwards; KID is not."
        )
    if study.config["outer_folds"]:
        text += " Each outer fold has distances of its own, over its own test patients; the figure is their mean."
    if "segmenter" in names:
        text += " Single's encoder is of the network that gives the S-score: the two are not independent."
    return [text]


def _definitions() -> str:
    return (
        "Rows and columns as in the table before. Images are in [-1, 1] (data range 2) and compared inside the source's"
        " body. PSNR, SSIM and MAE in the target need a real scan of the target modality on the same grid. MI: between"
        " a slice and its translation, 64 × 64 bins, the mean over slices; none has more than the source itself, the"
        " floor. Slice consistency: roughness along z over that in the plane, relative to the source; 1 is as smooth"
        " as the source, more flickers."
    )


def main() -> None:
    """Write the three files; all or none."""
    options = parser("translation", __doc__)
    options.add_argument("--scores", type=Path, required=True, help="scores/translation.csv")
    options.add_argument("--distances", type=Path, required=True, help="scores/distribution.csv")
    arguments = options.parse_args()
    study = arguments.study
    scores = of_fit(read(arguments.scores, "translation"), study, study.test_fit)
    distances = of_fit(read(arguments.distances, "distribution"), study, study.test_fit)
    figures = [literature(table, study.modalities) for table in study.published(KIND)]
    summary = pd.concat([summarize(scores, study), summarize_distances(distances, study), *figures])
    write(summary, layout(study, summary), arguments.output)


if __name__ == "__main__":
    run(main)
