"""The rows of the tables: what fills the channels of a case, and what segments them."""

from dataclasses import dataclass

from enrich.config import Config, facts, method_of, schema
from gan.errors import InputError

NNUNET = "nnunet"
CONTROLS = {"single": "Single", "zero": "Zero channels"}


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
    """

    name: str
    title: str
    labels_used: str
    segmenter: str = NNUNET
    translator: str | None = None
    use: str = "channels"

    def channels(self, seed: int) -> str:
        """Return the name of the data set that is segmented; of seed `seed` where a translator made it."""
        if self.translator is None:
            return self.name if self.name in CONTROLS else "single"
        return f"{self.translator}{'-cases' if self.use == 'cases' else ''}-seed{seed}"


def rows(config: Config) -> list[Row]:
    """Return the rows of a study: controls, a row or two for each method, and the compositions.

    A method that translates gets a row with nnU-Net; one that segments by itself, a row of its own before that.

    Raises:
        InputError: a composition that is another row.
    """
    found = [Row(name, CONTROLS[name], "–") for name in config["controls"]]
    for name, entry in config["methods"].items():
        about, title = facts(method_of(name, entry)), title_of(name)
        translates, segments = about.get("translates", True), about.get("segments", False)
        labels = labels_used(name, config) if translates else "–"
        if segments:
            found.append(Row(name, title, str(about["labels"]) if translates else "–", segmenter=name))
        if translates and segments:
            found.append(Row(f"{name}-nnunet", f"{title} + nnU-Net", labels, translator=name))
        elif translates:
            found.append(Row(name, title, labels, translator=name))
    for name, entry in config["compositions"].items():
        translator, segmenter = entry["translator"], entry["segmenter"]
        title, labels = f"{title_of(translator)} + {title_of(segmenter)}", labels_used(translator, config)
        if entry["use"] == "cases":
            title, labels = f"ADA of {title_of(translator)}", "all modalities"
        found.append(Row(name, title, labels, segmenter, translator, entry["use"]))
    known: dict[tuple[str, str], str] = {}
    for row in found:
        other = known.setdefault((row.segmenter, row.channels(0)), row.name)
        if other != row.name:
            raise InputError(f"compositions.{row.name}", f"what {other} is already", "another row")
    return found


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
