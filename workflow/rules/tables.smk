"""Tables of the scores: as numbers, and as they are printed."""


rule availability_table:
    """Which cases have which modalities."""
    input:
        scans=SCANS,
        dropped=f"results/{RUN}/dropped.csv" if SIMULATED else [],
        sources=sources("enrich.tables.availability"),
    output:
        csv="results/{run}/tables/availability.csv",
        markdown=report(
            "results/{run}/tables/availability.md",
            caption="../report/availability.rst",
            category="Data",
        ),
        latex="results/{run}/tables/availability.tex",
    log:
        "results/{run}/logs/tables/availability.log",
    benchmark:
        "results/{run}/benchmarks/tables/availability.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(1),
        runtime="10m",
    params:
        dropped=lambda wildcards, input: optional("--dropped", input.dropped or None),
        config=CONFIG_JSON,
    shell:
        "python -m enrich.tables.availability --scans {input.scans:q} {params.dropped:q}"
        " --config-json {params.config:q}"
        " --output {output.csv:q} > {log:q} 2>&1"


rule comparisons:
    """Compare the methods with the reference, patient by patient."""
    input:
        scores="results/{run}/scores/segmentation.csv",
        sources=sources("enrich.tables.comparisons"),
    output:
        csv="results/{run}/tables/comparisons.csv",
        markdown=report(
            "results/{run}/tables/comparisons.md",
            caption="../report/comparisons.rst",
            category="Segmentation",
        ),
        latex="results/{run}/tables/comparisons.tex",
    log:
        "results/{run}/logs/tables/comparisons.log",
    benchmark:
        "results/{run}/benchmarks/tables/comparisons.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(1),
        runtime="30m",
    params:
        config=CONFIG_JSON,
    shell:
        "python -m enrich.tables.comparisons --scores {input.scores:q} --config-json {params.config:q}"
        " --output {output.csv:q} > {log:q} 2>&1"


rule segmentation_table:
    """Mean and standard deviation per modality and method."""
    input:
        scores="results/{run}/scores/segmentation.csv",
        comparisons="results/{run}/tables/comparisons.csv",
        protocols=PROTOCOLS,
        sources=sources("enrich.tables.segmentation"),
    output:
        csv="results/{run}/tables/segmentation.csv",
        markdown=report(
            "results/{run}/tables/segmentation.md",
            caption="../report/segmentation.rst",
            category="Segmentation",
        ),
        latex="results/{run}/tables/segmentation.tex",
    log:
        "results/{run}/logs/tables/segmentation.log",
    benchmark:
        "results/{run}/benchmarks/tables/segmentation.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(1),
        runtime="10m",
    params:
        config=CONFIG_JSON,
    shell:
        "python -m enrich.tables.segmentation --scores {input.scores:q} --comparisons {input.comparisons:q}"
        " --config-json {params.config:q} --output {output.csv:q} > {log:q} 2>&1"


rule translation_table:
    """How good the translations to each modality are, between floor and ceiling."""
    input:
        scores="results/{run}/scores/translation.csv",
        distances="results/{run}/scores/distribution.csv",
        protocols=PROTOCOLS,
        sources=sources("enrich.tables.translation"),
    output:
        csv="results/{run}/tables/translation.csv",
        markdown=report(
            "results/{run}/tables/translation.md",
            caption="../report/translation_table.rst",
            category="Translation",
        ),
        latex="results/{run}/tables/translation.tex",
    log:
        "results/{run}/logs/tables/translation.log",
    benchmark:
        "results/{run}/benchmarks/tables/translation.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(1),
        runtime="10m",
    params:
        config=CONFIG_JSON,
    shell:
        "python -m enrich.tables.translation --scores {input.scores:q} --distances {input.distances:q}"
        " --config-json {params.config:q} --output {output.csv:q} > {log:q} 2>&1"


rule ablation_table:
    """The S-score of every translator of the config, and its mean over modalities."""
    input:
        scores="results/{run}/scores/translation.csv",
        protocols=PROTOCOLS,
        sources=sources("enrich.tables.ablation"),
    output:
        csv="results/{run}/tables/ablation.csv",
        markdown=report(
            "results/{run}/tables/ablation.md",
            caption="../report/translation_table.rst",
            category="Translation",
        ),
        latex="results/{run}/tables/ablation.tex",
    log:
        "results/{run}/logs/tables/ablation.log",
    benchmark:
        "results/{run}/benchmarks/tables/ablation.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(1),
        runtime="10m",
    params:
        config=CONFIG_JSON,
    shell:
        "python -m enrich.tables.ablation --scores {input.scores:q} --config-json {params.config:q}"
        " --output {output.csv:q} > {log:q} 2>&1"


rule crossfit_table:
    """What cross-fitting costs the translations of test patients."""
    input:
        scores="results/{run}/scores/translation.csv",
        sources=sources("enrich.tables.crossfit"),
    output:
        csv="results/{run}/tables/crossfit.csv",
        markdown=report(
            "results/{run}/tables/crossfit.md",
            caption="../report/crossfit.rst",
            category="Translation",
        ),
        latex="results/{run}/tables/crossfit.tex",
    log:
        "results/{run}/logs/tables/crossfit.log",
    benchmark:
        "results/{run}/benchmarks/tables/crossfit.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(1),
        runtime="10m",
    params:
        config=CONFIG_JSON,
    shell:
        "python -m enrich.tables.crossfit --scores {input.scores:q} --config-json {params.config:q}"
        " --output {output.csv:q} > {log:q} 2>&1"


rule label_budget_table:
    """DICE by the share of labels and of synthetic cases."""
    input:
        scores="results/{run}/scores/segmentation.csv",
        sources=sources("enrich.tables.label_budget"),
    output:
        csv="results/{run}/tables/label_budget.csv",
        markdown=report(
            "results/{run}/tables/label_budget.md",
            caption="../report/label_budget.rst",
            category="Segmentation",
        ),
        latex="results/{run}/tables/label_budget.tex",
    log:
        "results/{run}/logs/tables/label_budget.log",
    benchmark:
        "results/{run}/benchmarks/tables/label_budget.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(1),
        runtime="30m",
    params:
        config=CONFIG_JSON,
    shell:
        "python -m enrich.tables.label_budget --scores {input.scores:q} --config-json {params.config:q}"
        " --output {output.csv:q} > {log:q} 2>&1"


rule cost_table:
    """Hours and memory of the jobs, parameters and multiply-adds of the methods."""
    input:
        scores=expand("results/{{run}}/scores/{table}.csv", table=SCORES),
        sources=sources(
            "enrich.tables.cost",
            *(f"gan.methods.{METHOD[name]}" for name in METHOD if name not in GIVEN),
        ),
    output:
        csv="results/{run}/tables/cost.csv",
        markdown=report(
            "results/{run}/tables/cost.md",
            caption="../report/cost.rst",
            category="Cost",
        ),
        latex="results/{run}/tables/cost.tex",
    log:
        "results/{run}/logs/tables/cost.log",
    benchmark:
        "results/{run}/benchmarks/tables/cost.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(2),
        runtime="30m",
    params:
        config=CONFIG_JSON,
        results=subpath(output.csv, ancestor=2),
    shell:
        "python -m enrich.tables.cost --results {params.results:q} --config-json {params.config:q}"
        " --output {output.csv:q} > {log:q} 2>&1"


rule tables:
    """Every table of the run."""
    input:
        expand(
            "results/{run}/tables/{table}.{suffix}",
            run=RUN,
            table=TABLES,
            suffix=["csv", "md", "tex"],
        ),
