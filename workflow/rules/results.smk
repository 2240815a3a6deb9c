"""Scores and figures."""


rule evaluate:
    """Score one segmenter on the test patients."""
    input:
        scans=SCANS,
        predictions="results/{split}/{segmenter}/{modality}/{channels}/seed{seed}/predictions/index.csv",
        sources=sources("enrich.score"),
    output:
        "results/{split}/{segmenter}/{modality}/{channels}/seed{seed}/scores.csv",
    log:
        "results/{split}/logs/evaluate/{segmenter}/{modality}_{channels}_seed{seed}.log",
    benchmark:
        "results/{split}/benchmarks/evaluate/{segmenter}/{modality}_{channels}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=mem_of_scoring,
        runtime=runtime_of_reading,
    params:
        method=row_of,
        structures=structures_to_score,
    shell:
        "python -m enrich.score --scans {input.scans:q} --predictions {input.predictions:q} --method {params.method:q}"
        " --modality {wildcards.modality:q} --seed {wildcards.seed:q} {params.structures:q} --output {output:q}"
        " > {log:q} 2>&1"


rule scores:
    """Gather the scores of all segmenters."""
    input:
        scores=all_scores,
        sources=sources("enrich.gather"),
    output:
        "results/{run}/scores/segmentation.csv",
    log:
        "results/{run}/logs/scores.log",
    benchmark:
        "results/{run}/benchmarks/scores.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(1),
        runtime="10m",
    shell:
        "python -m enrich.gather {input.scores:q} --output {output:q} > {log:q} 2>&1"


rule segmentation_figure:
    """DICE and RAVD of every patient."""
    input:
        scores="results/{run}/scores/segmentation.csv",
        sources=sources("enrich.figures.segmentation"),
    output:
        report(
            "results/{run}/figures/segmentation.png",
            caption="../report/segmentation.rst",
            category="Segmentation",
        ),
    log:
        "results/{run}/logs/segmentation_figure.log",
    benchmark:
        "results/{run}/benchmarks/segmentation_figure.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(2),
        runtime="10m",
    params:
        modalities=MODALITIES,
        methods=[row.name for row in ROWS if row.full],
        structure=config["target"][0],
        titles=json.dumps(TITLES),
    shell:
        "python -m enrich.figures.segmentation --scores {input.scores:q} --structure {params.structure:q}"
        " --modalities {params.modalities:q}"
        " --methods {params.methods:q} --titles-json {params.titles:q} --output {output:q} > {log:q} 2>&1"


rule availability_figure:
    """Which cases have which modalities, as a matrix."""
    input:
        table="results/{run}/tables/availability.csv",
        sources=sources("enrich.figures.availability"),
    output:
        report(
            "results/{run}/figures/availability.png",
            caption="../report/availability.rst",
            category="Data",
        ),
    log:
        "results/{run}/logs/availability_figure.log",
    benchmark:
        "results/{run}/benchmarks/availability_figure.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(2),
        runtime="10m",
    params:
        modalities=MODALITIES,
    shell:
        "python -m enrich.figures.availability --table {input.table:q} --modalities {params.modalities:q}"
        " --output {output:q} > {log:q} 2>&1"


rule label_budget_figure:
    """DICE against the share of labels and of synthetic cases."""
    input:
        table="results/{run}/tables/label_budget.csv",
        sources=sources("enrich.figures.label_budget"),
    output:
        report(
            "results/{run}/figures/label_budget.png",
            caption="../report/label_budget.rst",
            category="Segmentation",
        ),
    log:
        "results/{run}/logs/label_budget_figure.log",
    benchmark:
        "results/{run}/benchmarks/label_budget_figure.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(2),
        runtime="10m",
    params:
        modalities=MODALITIES,
        titles=json.dumps(TITLES),
    shell:
        "python -m enrich.figures.label_budget --table {input.table:q} --modalities {params.modalities:q}"
        " --titles-json {params.titles:q} --output {output:q} > {log:q} 2>&1"


rule translation_figure:
    """A test patient of each modality in every other one, by every method."""
    input:
        scans="results/{run}/scans.csv",
        splits=f"results/{SPLITS[0]}/splits.json",
        synthetic=synthetic_of_first_seed,
        sources=sources("enrich.figures.translation"),
    output:
        report(
            "results/{run}/figures/translation.png",
            caption="../report/translation.rst",
            category="Translation",
        ),
    log:
        "results/{run}/logs/translation_figure.log",
    benchmark:
        "results/{run}/benchmarks/translation_figure.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=mem_of_reading,
        runtime="10m",
    params:
        modalities=MODALITIES,
        synthetic=lambda wildcards, input: [
            f"{n}={i}" for n, i in zip(TRANSLATORS, input.synthetic)
        ],
        intensity=json.dumps(config["intensity"]),
        titles=json.dumps(TRANSLATOR_TITLES),
    shell:
        "python -m enrich.figures.translation --scans {input.scans:q} --splits {input.splits:q}"
        " --modalities {params.modalities:q} --synthetic {params.synthetic:q} --intensity {params.intensity:q}"
        " --titles-json {params.titles:q} --output {output:q} > {log:q} 2>&1"


rule figures:
    """Every figure of the run."""
    input:
        expand("results/{run}/figures/{figure}.png", run=RUN, figure=FIGURES),
