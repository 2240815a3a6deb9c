"""What the rules that score translations ask of the config."""


def fits_of_tests():
    """The kinds of models whose translations of test patients are scored: all three under cross-fitting."""
    return ["all", "fold", "mean"] if FOLDS else ["all"]


def synthetic_of_tests(wildcards):
    """Index with the test patients' synthetic scans by one kind of models."""
    folder = folder_for_tests(config, f"seed{wildcards.seed}", wildcards.test)
    return f"results/{wildcards.split}/synthetic/{wildcards.name}/{folder}/index.csv"


def singles(split, modality, seed):
    """The folds of Single."""
    folder = f"results/{split}/nnunet/{modality}/single"
    return [checkpoint_of(folder, seed, fold) for fold in NNUNET["folds"]]


def checkpoints_of_single(wildcards):
    """The folds of Single of the modality that is translated to."""
    return singles(wildcards.split, wildcards.modality, wildcards.seed)


def segmented_translations(wildcards):
    """What Single found in the translations to each modality."""
    folder = f"results/{wildcards.split}/translations/{wildcards.name}/seed{wildcards.seed}/{wildcards.test}"
    return [f"{folder}/{modality}/index.csv" for modality in MODALITIES]


def segmented_bound(wildcards):
    """What Single found in sources taken for each modality, or in its real scans."""
    split, seed = wildcards.split, wildcards.seed
    if wildcards.bound == "copy":
        return [
            f"results/{split}/translations/copy/seed{seed}/{modality}/index.csv"
            for modality in MODALITIES
        ]
    return [
        f"results/{split}/nnunet/{modality}/single/seed{seed}/predictions/index.csv"
        for modality in MODALITIES
    ]


def weights_of_features(wildcards):
    """What the features of each modality are computed with: the first fold of Single, or the user's file."""
    if config["distance_features"]["backbone"] != "segmenter":
        return [config["distance_features"]["weights"]] * len(MODALITIES)
    return [
        singles(wildcards.split, modality, wildcards.seed)[0] for modality in MODALITIES
    ]


def by_modality(paths):
    """Paths in the order of the modalities, each named by its own."""
    return [f"{modality}={path}" for modality, path in zip(MODALITIES, paths)]


def all_scores_of_translations(wildcards):
    """Scores, or distances, of every split, seed, translator and kind of models, and of their bounds."""
    name = {"translation": "scores", "distribution": "distances"}[wildcards.table]
    bounds = {"translation": ["copy", "real"], "distribution": ["copy"]}[
        wildcards.table
    ]
    made = [
        f"{translator}/seed{{}}/{fit}"
        for translator in TRANSLATORS
        for fit in fits_of_tests()
    ]
    return [
        f"results/{split}/translations/{folder.format(seed)}/{name}.csv"
        for split in SPLITS
        for seed in config["seeds"]
        for folder in [*made, *(f"{bound}/seed{{}}" for bound in bounds)]
    ]
