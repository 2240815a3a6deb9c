"""What the rule that writes the report reads."""


def tables_of_report(wildcards):
    """The tables that the report shows, as printed, in order."""
    return [
        f"results/{RUN}/tables/{table}.md" for table in TABLES if table != "comparisons"
    ]


def figures_of_report(wildcards):
    """The figures that the report shows as they are: those that it does not draw itself."""
    return [
        f"results/{RUN}/figures/{figure}.png"
        for figure in FIGURES
        if figure in ("availability", "label_budget")
    ]


def synthetic_of_report():
    """Name and index of the translations: every split's translators under the first seed."""
    seed = config["seeds"][0]
    return [
        (name, synthetic_of(split, f"{name}-seed{seed}"))
        for split in SPLITS
        for name in TRANSLATORS
    ]


def channels_of_report():
    """Name and index of what the segmenters got beside the scans: under the first seed, and of the controls."""
    seed = config["seeds"][0]
    named = {name: f"{name}-seed{seed}" for name in TRANSLATORS}
    named |= {kind: kind for kind in KINDS if kind in config["controls"]}
    found = [
        (name, index_of(split, channels))
        for split in SPLITS
        for name, channels in named.items()
    ]
    return list(dict.fromkeys(found))


def predictions_of_report():
    """Row and modality, and index, of the segmentations of all that there is: of every split under the first seed."""
    seed = config["seeds"][0]
    return [
        (
            f"{row.name}/{modality}",
            f"results/{split}/{row.folder(modality, seed)}/predictions/index.csv",
        )
        for split in SPLITS
        for modality in MODALITIES
        for row in ROWS
        if row.full
    ]


def models_of_report():
    """Every model of a method, whose log lies beside it."""
    return segmenting_models() + [
        path
        for split in SPLITS
        for name in TRAINED
        for seed in config["seeds"]
        for fit in ("all", *FOLDS)
        for path in translating_models(split, name, seed, fit)
    ]


def sources_of_report():
    """What the report runs, and the template, style and script of its page."""
    page = [
        path
        for path in Path("enrich", "report").rglob("*")
        if path.suffix in {".css", ".j2", ".js"}
    ]
    return [*sources("enrich.report.__main__"), *sorted(page)]
