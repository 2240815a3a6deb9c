"""Segmentation of one modality by nnU-Net, on its real channel and the synthetic ones."""


rule nnunet_dataset:
    """Name the channels of every case; nothing is copied."""
    input:
        scans="results/{run}/scans.csv",
        splits="results/{run}/splits.json",
        synthetic=synthetic_index,
        sources=sources("enrich.nnunet.dataset"),
    output:
        "results/{run}/nnunet/{modality}/{channels}/raw/Dataset001_enriched/dataset.json",
    log:
        "results/{run}/logs/nnunet_dataset/{modality}_{channels}.log",
    benchmark:
        "results/{run}/benchmarks/nnunet_dataset/{modality}_{channels}.tsv"
    conda:
        "../../environment.yml"
    params:
        modalities=MODALITIES,
        target=config["target"],
        synthetic=lambda wildcards, input: ["--synthetic", input.synthetic] if input.synthetic else [],
        folds=NNUNET["folds"],
    threads: 1
    resources:
        mem="2GB",
        runtime="1h",
    shell:
        "python -m enrich.nnunet.dataset --scans {input.scans:q} --splits {input.splits:q}"
        " --modality {wildcards.modality} --modalities {params.modalities} --target {params.target}"
        " {params.synthetic:q} --folds {params.folds} --output {output:q} > {log:q} 2>&1"


rule nnunet_preprocess:
    """Fingerprint, plan and preprocess."""
    input:
        dataset="results/{run}/nnunet/{modality}/{channels}/raw/Dataset001_enriched/dataset.json",
        sources=sources("enrich.nnunet.preprocess"),
    output:
        "results/{run}/nnunet/{modality}/{channels}/preprocessed/Dataset001_enriched/preprocessed.json",
    log:
        "results/{run}/logs/nnunet_preprocess/{modality}_{channels}.log",
    benchmark:
        "results/{run}/benchmarks/nnunet_preprocess/{modality}_{channels}.tsv"
    conda:
        "../../environment.yml"
    params:
        planner=NNUNET["planner"],
        configuration=NNUNET["configuration"],
        samples=NNUNET["foreground_samples"],
    threads: config["threads"]
    resources:
        mem="16GB",
        runtime="12h",
    shell:
        "python -m enrich.nnunet.preprocess --raw {input.dataset:q} --planner {params.planner}"
        " --configuration {params.configuration} --foreground-samples {params.samples} --workers {threads}"
        " --output {output:q} > {log:q} 2>&1"


rule nnunet_train:
    """Train one fold."""
    input:
        preprocessed="results/{run}/nnunet/{modality}/{channels}/preprocessed/Dataset001_enriched/preprocessed.json",
        sources=sources("enrich.nnunet.train"),
    output:
        "results/{run}/nnunet/{modality}/{channels}/seed{seed}/results/Dataset001_enriched/{model}/fold_{fold}/checkpoint_final.pth",
    log:
        "results/{run}/logs/nnunet_train/{modality}_{channels}_seed{seed}_{model}_fold{fold}.log",
    benchmark:
        "results/{run}/benchmarks/nnunet_train/{modality}_{channels}_seed{seed}_{model}_fold{fold}.tsv"
    conda:
        "../../environment.yml"
    params:
        trainer=NNUNET["trainer"],
    threads: config["threads"]
    resources:
        gpu=1,
        mem="16GB",
        runtime="4d",
    shell:
        "python -m enrich.nnunet.train > {log:q} 2>&1"
