"""What the rule that audits the run reads."""


def audited_slices(wildcards):
    """Every cache of slices that a network is trained on."""
    own = [row for row in ROWS if row.segmenter not in (BY_NNUNET, *TRANSLATORS)]
    return [
        *(f"results/{split}/slices/slices.json" for split in SPLITS if TRAINED),
        *(
            f"results/{split}/enriched/{modality}/{row.channels(seed)}/slices.json"
            for split in SPLITS
            for modality in MODALITIES
            for seed in config["seeds"]
            for row in own
        ),
    ]


def audited_models(wildcards):
    """Every model of a method, with the networks that it started from."""
    translating = [
        str(path.parent / network / path.name)
        for split in SPLITS
        for name in TRAINED
        for seed in config["seeds"]
        for fit in ("all", *FOLDS)
        for path in map(Path, translating_models(split, name, seed, fit))
        for network in ("", *pretrained_by(name))
    ]
    return [*translating, *segmenting_models()]


def audited_indexes(wildcards):
    """Every index of synthetic channels, of filled ones and of further cases."""
    controls = [
        f"results/{RUN}/synthetic/{row.name}/index.csv"
        for row in ROWS
        if row.name in KINDS
    ]
    synthetic = [
        f"results/{split}/synthetic/{name}/{folder_for_tests(config, f'seed{seed}', test)}/index.csv"
        for split in SPLITS
        for name in TRANSLATORS
        for seed in config["seeds"]
        for test in fits_of_tests()
    ]
    cases = [
        f"results/{split}/cases/{row.translator}/{modality}/seed{seed}/index.csv"
        for split in SPLITS
        for modality in MODALITIES
        for seed in config["seeds"]
        for row in ROWS
        if row.use == "cases" and row.full
    ]
    filled = [
        index_of(split, row.channels(seed))
        for split in SPLITS
        for seed in config["seeds"]
        for row in ROWS
        if fills(config) and row.full and index_below(config, row.channels(seed))
    ]
    return list(dict.fromkeys([*controls, *synthetic, *cases, *filled]))


def audited_nnunet(wildcards):
    """Every data set of nnU-Net, raw and preprocessed, and every checkpoint."""
    found = [
        path
        for split in SPLITS
        for seed in config["seeds"]
        for row in ROWS
        if row.segmenter == BY_NNUNET
        for modality in MODALITIES
        for folder in [
            f"results/{split}/nnunet/{data_set(config, modality, row.channels(seed))}"
        ]
        for path in [
            f"{folder}/raw/Dataset001_enriched/dataset.json",
            f"{folder}/preprocessed/Dataset001_enriched/preprocessed.json",
            *(checkpoint_of(folder, seed, fold) for fold in NNUNET["folds"]),
        ]
    ]
    return list(dict.fromkeys(found))


def audited_scores(wildcards):
    """Every score, and the segmentations behind it."""
    scores = all_scores(wildcards)
    predictions = [str(Path(path).parent / "predictions/index.csv") for path in scores]
    tables = expand("results/{run}/scores/{table}.csv", run=RUN, table=SCORES)
    translations = [
        f"results/{split}/translations/{folder}/{modality}/index.csv"
        for split in SPLITS
        for seed in config["seeds"]
        for folder in [
            *(
                f"{name}/seed{seed}/{test}"
                for name in TRANSLATORS
                for test in fits_of_tests()
            ),
            *([f"copy/seed{seed}"] if TRANSLATORS else []),
        ]
        for modality in MODALITIES
    ]
    return [*scores, *predictions, *tables, *translations]
