"""The rows of the tables: what fills the channels of a case, and what segments them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

from enrich.config import Config, facts, method_of, schema
from enrich.modality import title as modality_title
from gan.errors import InputError

NNUNET = "nnunet"
ALL_LABELS = "all modalities"
UNKNOWN = "unknown"
SHARES = re.compile(r"(-labels(?P<labels>\d+))?(-synthetic(?P<synthetic>\d+))?$")
CONTROLS = {
    "single": "Single",
    "pooled": "Pooled real",
    "zero": "Zero channels",
    "copy": "Source copied",
    "oracle": "Oracle",
}


@dataclass(frozen=True)
class Row:
    """One way to segment a scan.

    Attributes:
        name: in the scores.
        title: in tables and figures.
        labels_used: the modalities whose target masks the translator saw in training, or beyond the row's own modality
            the segmenter; "–" without a translator.
        segmenter: `nnunet`, or the entry of `methods` that segments.
        translator: the entry of `methods` that synthesizes; None for a control, or the real channel alone.
        use: what its synthetic scans are: `channels` beside the real one, or further training `cases`.
        label_percent: of the training patients that the segmenter is trained on.
        synthetic_percent: of the further training cases.
    """

    name: str
    title: str
    labels_used: str
    segmenter: str = NNUNET
    translator: str | None = None
    use: str = "channels"
    label_percent: int = 100
    synthetic_percent: int = 100

    @property
    def full(self) -> bool:
        """Whether the segmenter is trained on all that there is."""
        return self.label_percent == self.synthetic_percent == 100

    def channels(self, seed: int) -> str:
        """Return the name of the data set that is segmented; of seed `seed` where a translator made it."""
        name = self.name.partition("@")[0]
        labels = "" if self.label_percent == 100 else f"-labels{self.label_percent}"
        synthetic = "" if self.synthetic_percent == 100 else f"-synthetic{self.synthetic_percent}"
        if self.translator is None:
            return (name if name in CONTROLS else "single") + labels
        return f"{self.translator}{'-cases' if self.use == 'cases' else ''}-seed{seed}{labels}{synthetic}"

    def folder(self, modality: str, seed: int) -> str:
        """Return where its segmentations and scores of a modality lie, below the folder of a split."""
        segmenter = NNUNET if self.segmenter == NNUNET else f"segmenters/{self.segmenter}"
        return f"{segmenter}/{modality}/{self.channels(seed)}/seed{seed}"

    def within(self, label_percent: int, synthetic_percent: int) -> "Row":
        """Return the same row on a share of the training patients and of the further cases."""
        name, title = self.name, self.title
        if label_percent < 100:
            name, title = f"{name}@labels{label_percent}", f"{title}, {label_percent} % of labels"
        if synthetic_percent < 100:
            name, title = f"{name}@synthetic{synthetic_percent}", f"{title}, {synthetic_percent} % of synthetic cases"
        return replace(self, name=name, title=title, label_percent=label_percent, synthetic_percent=synthetic_percent)


def rows(config: Config) -> list[Row]:
    """Return the rows of a study: controls, a row or two for each method, and the compositions.

    A method that translates gets a row with nnU-Net; one that segments by itself, a row of its own before that.

    Raises:
        InputError: a composition that is another row.
    """
    shared = _labels_of_all(config)
    beyond = {"single": "–", "pooled": shared or ALL_LABELS}
    found = [Row(name, CONTROLS[name], beyond.get(name, shared or "–")) for name in config["controls"]]
    for name, entry in config["methods"].items():
        about, title = facts(method_of(name, entry)), title_of(name)
        translates, segments = about.get("translates", True), about.get("segments", False)
        labels = labels_used(name, config) if translates else "–"
        if config["segmentation"] == "transfer" and (segments or labels not in ("none", UNKNOWN)):
            expected = (
                f"one that reads no labels, since only those of {', '.join(config['transfer_from'])} are to train"
            )
            raise InputError(f"methods.{name}", f"a method that reads those of {about['labels']}", expected)
        if segments:
            found.append(Row(name, title, str(about["labels"]) if translates else "–", segmenter=name))
        if translates and segments:
            found.append(Row(f"{name}-nnunet", f"{title} + nnU-Net", shared or labels, translator=name))
        elif translates:
            known = f"{shared}; its own {UNKNOWN}" if shared and labels == UNKNOWN else shared or labels
            found.append(Row(name, title, known, translator=name))
    for name, entry in config["compositions"].items():
        translator, segmenter = entry["translator"], entry["segmenter"]
        title, labels = f"{title_of(translator)} + {title_of(segmenter)}", labels_used(translator, config)
        if entry["use"] == "cases":
            title, labels = f"ADA of {title_of(translator)}", ALL_LABELS
        elif segmenter == NNUNET:
            labels = shared or labels
        found.append(Row(name, title, labels, segmenter, translator, entry["use"]))
    rows_of: dict[tuple[str, str], str] = {}
    for row in found:
        other = rows_of.setdefault((row.segmenter, row.channels(0)), row.name)
        if other != row.name:
            raise InputError(f"compositions.{row.name}", f"what {other} is already", "another row")
    return found + [budgeted for row in found for budgeted in _budgets(row, config)]


def _labels_of_all(config: Config) -> str | None:
    """Return whose labels train a segmenter of several modalities; None where each modality has its own."""
    if not together(config):
        return None
    return ", ".join(map(modality_title, config["transfer_from"])) or ALL_LABELS


def _budgets(row: Row, config: Config) -> Iterator[Row]:
    """Yield a row of nnU-Net under every smaller budget, as far as the budget is about it."""
    if row.segmenter != NNUNET or (row.translator is None and row.name != "single"):
        return
    labels, synthetic = (
        [100, *(round(100 * fraction) for fraction in config[key])]
        for key in ("label_fractions", "synthetic_fractions")
    )
    for budget in product(labels, synthetic if row.use == "cases" else [100]):
        if budget != (100, 100):
            yield row.within(*budget)


def fills(config: Config) -> bool:
    """Whether channels are put together by `enrich.fill`: cases keep all their scans, or one segmenter takes all."""
    return config["missing"] is not None or together(config)


def together(config: Config) -> bool:
    """Whether one segmenter is trained on the enriched cases of several modalities."""
    return bool(config["segmentation"] != "per_modality")


def without_budget(channels: str) -> str:
    """Return a data set's name without the shares of labels and of synthetic cases that it is made with."""
    return SHARES.sub("", channels)


def data_set(config: Config, modality: str, channels: str) -> str:
    """Return the data set, below the folder `nnunet`, whose nnU-Net segments; a `pooled` one is of all modalities."""
    if channels == "pooled":
        return "pooled/single"
    alone = without_budget(channels) == "single" or "-cases-" in channels
    return f"{modality}/{channels}" if alone or not together(config) else f"pooled/{channels}"


def index_of(config: Config, channels: str) -> str | None:
    """Return the index of the channels that are added to the scans of a data set; None for none.

    Below the folder of a split, but for a control's that is not filled: this lies below that of the run.
    """
    name = without_budget(channels)
    if name in ("single", "pooled") or "-cases-" in name:
        return None
    made = name if name in CONTROLS else "/".join(name.rsplit("-", 1))
    filled = together(config) or (fills(config) and name != "oracle")
    return f"{'filled' if filled else 'synthetic'}/{made}/index.csv"


def folder_for_tests(config: Config, seed: str, test: str) -> str:
    """Return the folder, below a translator's, of what one kind of models made for test patients.

    Without cross-fitting, or where the config says this kind, it is the one that holds everybody's channels.
    """
    return seed if not config["crossfit"] or test == config["crossfit_test"] else f"{seed}-test-{test}"


def compared(config: Config, found: Sequence[Row]) -> list[str]:
    """Return the rows that the primary comparisons set against the reference.

    Raises:
        InputError: a reference that is no row of full budget, or a compared row that is none.
    """
    names, full, asked = [row.name for row in found], [row.name for row in found if row.full], config["statistics"]
    tested = [name for name in full if name not in CONTROLS]
    for key, given, known in (("reference", [asked["reference"]], full), ("methods", asked["methods"] or [], names)):
        for name in given:
            if name not in known:
                raise InputError(f"statistics.{key}", name, f"one of {', '.join(known)}")
    for row in found:
        if row.label_percent < 100 and f"{asked['reference']}@labels{row.label_percent}" not in names:
            raise InputError("statistics.reference", asked["reference"], "single, beside label_fractions")
    return [name for name in asked["methods"] or tested if name != asked["reference"]]


def labels_used(name: str, config: Config) -> str:
    """Return which labels a translator is trained with: its method's, or none where its keys turn them all off."""
    entry = config["methods"][name]
    method = method_of(name, entry)
    about, rules = facts(method), schema()["$defs"][method]["properties"]
    switches = []
    for key in about.get("labels_unless", []):
        table, values = rules, entry
        *path, last = key.split(".")
        for step in path:
            table, values = table[step]["properties"], values.get(step, {})
        switches.append(values.get(last, table[last]["default"]))
    return str(about["labels"]) if any(switches) or not switches else "none"


def title_of(name: str) -> str:
    """Return a method's own title, or the name of an entry that differs."""
    if name == NNUNET:
        return "nnU-Net"
    methods = schema()["$defs"]
    return str(methods[name]["title"]) if name in methods else name
