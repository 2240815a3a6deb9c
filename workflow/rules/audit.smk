"""Proof, from recorded patients and hashes, that nobody who tests was trained on."""


include: "common_audit.smk"


rule audit:
    """Trace every score back to the patients that its networks were trained on."""
    input:
        scans=SCANS,
        splits=expand("results/{split}/splits.json", split=SPLITS),
        slices=audited_slices,
        models=audited_models,
        synthetic=audited_indexes,
        nnunet=audited_nnunet,
        scores=audited_scores,
        sources=sources("enrich.audit.__main__"),
    output:
        "results/{run}/audit.json",
    log:
        "results/{run}/logs/audit.log",
    benchmark:
        "results/{run}/benchmarks/audit.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        mem=gigabytes(4),
        runtime="4h",
    params:
        folder=subpath(output[0], parent=True),
        config_sha256=digest(config),
    shell:
        "python -m enrich.audit --run {params.folder:q} --workers {threads} --output {output:q} > {log:q} 2>&1"
