"""Scores, tables and figures."""


rule evaluate:
    """Score one segmenter on the test patients."""
    input:
        scans="results/{run}/scans.csv",
        predictions="results/{run}/{segmenter}/{modality}/{channels}/seed{seed}/predictions/index.csv",
        sources=sources("enrich.score"),
    output:
        "results/{run}/{segmenter}/{modality}/{channels}/seed{seed}/scores.csv",
    log:
        "results/{run}/logs/evaluate/{segmenter}/{modality}_{channels}_seed{seed}.log",
    benchmark:
        "results/{run}/benchmarks/evaluate/{segmenter}/{modality}_{channels}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem="4GB",
        runtime="4h",
    params:
        method=row_of,
        structure=config["target"],
    shell:
        "python -m enrich.score --scans {input.scans:q} --predictions {input.predictions:q} --method {params.method}"
        " --modality {wildcards.modality} --seed {wildcards.seed} --structure {params.structure} --output {output:q}"
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
        mem="1GB",
        runtime="10m",
    shell:
        "python -m enrich.gather {input.scores:q} --output {output:q} > {log:q} 2>&1"


rule tables:
    """Mean and standard deviation per modality and method."""
    input:
        scores="results/{run}/scores/segmentation.csv",
        sources=sources("enrich.tables"),
    output:
        csv="results/{run}/tables/segmentation.csv",
        markdown=report(
            "results/{run}/tables/segmentation.md",
            caption="../report/segmentation.rst",
            category="Segmentation",
        ),
        latex="results/{run}/tables/segmentation.tex",
    log:
        "results/{run}/logs/tables.log",
    benchmark:
        "results/{run}/benchmarks/tables.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem="1GB",
        runtime="10m",
    params:
        modalities=MODALITIES,
        methods=[row.name for row in ROWS],
        titles=json.dumps(TITLES),
        labels=json.dumps({row.name: row.labels_used for row in ROWS}),
        dataset=(
            "phantom"
            if config["data"]["phantom"] is not None
            else config["data"]["reader"]
        ),
        config_sha256=digest(config),
    shell:
        "python -m enrich.tables --scores {input.scores:q} --modalities {params.modalities}"
        " --methods {params.methods} --titles-json {params.titles:q} --labels-used-json {params.labels:q}"
        " --dataset {params.dataset} --config-sha256 {params.config_sha256} --output {output.csv:q} > {log:q} 2>&1"


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
        mem="2GB",
        runtime="10m",
    params:
        modalities=MODALITIES,
        methods=[row.name for row in ROWS],
        titles=json.dumps(TITLES),
    shell:
        "python -m enrich.figures.segmentation --scores {input.scores:q} --modalities {params.modalities}"
        " --methods {params.methods} --titles-json {params.titles:q} --output {output:q} > {log:q} 2>&1"


rule translation_figure:
    """A test patient of each modality in every other one, by every method."""
    input:
        scans="results/{run}/scans.csv",
        splits="results/{run}/splits.json",
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
        mem="2GB",
        runtime="10m",
    params:
        modalities=MODALITIES,
        synthetic=lambda wildcards, input: [
            f"{n}={i}" for n, i in zip(TRANSLATORS, input.synthetic)
        ],
        titles=json.dumps(TRANSLATOR_TITLES),
    shell:
        "python -m enrich.figures.translation --scans {input.scans:q} --splits {input.splits:q}"
        " --modalities {params.modalities} --synthetic {params.synthetic:q} --titles-json {params.titles:q}"
        " --output {output:q} > {log:q} 2>&1"


rule figures:
    """Every figure of the run."""
    input:
        expand("results/{run}/figures/{figure}.png", run=RUN, figure=FIGURES),
