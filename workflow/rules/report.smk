"""The report: one page that opens offline."""


include: "common_report.smk"


rule html_report:
    """Put the tables, slices, trainings, audit and facts of the run on one page."""
    input:
        scans=SCANS,
        splits=expand("results/{split}/splits.json", split=SPLITS),
        scores="results/{run}/scores/segmentation.csv",
        tables=tables_of_report,
        comparisons="results/{run}/tables/comparisons.csv",
        audit="results/{run}/audit.json",
        figures=figures_of_report,
        dropped=f"results/{RUN}/dropped.csv" if SIMULATED else [],
        synthetic=[path for _, path in synthetic_of_report()],
        channels=[path for _, path in channels_of_report()],
        predictions=[path for _, path in predictions_of_report()],
        models=models_of_report(),
        sources=sources_of_report(),
    output:
        "results/{run}/report/index.html",
    log:
        "results/{run}/logs/html_report.log",
    benchmark:
        "results/{run}/benchmarks/html_report.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=mem_of_reading,
        runtime="2h",
    params:
        config=CONFIG_JSON,
        dropped=lambda wildcards, input: optional("--dropped", input.dropped or None),
        synthetic=[f"{name}={path}" for name, path in synthetic_of_report()],
        channels=[f"{name}={path}" for name, path in channels_of_report()],
        predictions=[f"{name}={path}" for name, path in predictions_of_report()],
    shell:
        "python -m enrich.report --config-json {params.config:q} --scans {input.scans:q} --splits {input.splits:q}"
        " --scores {input.scores:q} --tables {input.tables:q} --comparisons {input.comparisons:q}"
        " --audit {input.audit:q} --figures {input.figures:q} {params.dropped:q} --synthetic {params.synthetic:q}"
        " --channels {params.channels:q} --predictions {params.predictions:q}"
        " --models {input.models:q} --output {output:q} > {log:q} 2>&1"
