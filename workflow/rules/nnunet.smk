"""Segmentation of one modality by nnU-Net, on its real channel and the synthetic ones."""


rule nnunet_dataset:
    """Name the channels of every case; nothing is copied."""
    input:
        scans=SCANS,
        splits="results/{split}/splits.json",
        synthetic=synthetic_index,
        cases=cases_index,
        sources=sources("enrich.nnunet.dataset"),
    output:
        "results/{split}/nnunet/{modality}/{channels}/raw/Dataset001_enriched/dataset.json",
    log:
        "results/{split}/logs/nnunet_dataset/{modality}_{channels}.log",
    benchmark:
        "results/{split}/benchmarks/nnunet_dataset/{modality}_{channels}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=mem_of_reading,
        runtime="1h",
    params:
        modalities=MODALITIES,
        added=added,
        kind=kind_of_channels,
        together=together_options,
        budget=budget_options,
        folds=NNUNET["folds"],
    shell:
        "python -m enrich.nnunet.dataset --scans {input.scans:q} --splits {input.splits:q}"
        " --modality {wildcards.modality:q} --modalities {params.modalities:q}"
        " {params.added:q} --kind {params.kind:q} {params.together:q} {params.budget:q} --folds {params.folds:q}"
        " --output {output:q} > {log:q} 2>&1"


rule nnunet_preprocess:
    """Fingerprint, plan and preprocess."""
    input:
        dataset="results/{split}/nnunet/{modality}/{channels}/raw/Dataset001_enriched/dataset.json",
        plans=plans_of_single,
        sources=sources("enrich.nnunet.preprocess"),
    output:
        "results/{split}/nnunet/{modality}/{channels}/preprocessed/Dataset001_enriched/preprocessed.json",
    log:
        "results/{split}/logs/nnunet_preprocess/{modality}_{channels}.log",
    benchmark:
        "results/{split}/benchmarks/nnunet_preprocess/{modality}_{channels}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        mem=mem_of_preprocessing,
        runtime=runtime_of_reading,
    params:
        planner=NNUNET["planner"],
        configuration=NNUNET["configuration"],
        samples=NNUNET["foreground_samples"],
        memory=optional("--gpu-memory-gb", NNUNET["gpu_memory_gb"]),
        spacing=["--spacing-mm", *NNUNET["spacing_mm"]] if NNUNET["spacing_mm"] else [],
        plans=lambda wildcards, input: optional("--plans-of", input.plans or None),
    shell:
        "python -m enrich.nnunet.preprocess --dataset {input.dataset:q} --planner {params.planner:q}"
        " --configuration {params.configuration:q} --foreground-samples {params.samples:q} {params.memory:q}"
        " {params.spacing:q} {params.plans:q} --workers {threads} --output {output:q} > {log:q} 2>&1"


rule nnunet_train:
    """Train one fold."""
    input:
        preprocessed="results/{split}/nnunet/{modality}/{channels}/preprocessed/Dataset001_enriched/preprocessed.json",
        pretrained=model_of_single,
        sources=sources("enrich.nnunet.train"),
    output:
        "results/{split}/nnunet/{modality}/{channels}/seed{seed}/results/Dataset001_enriched/{model}/fold_{fold}/checkpoint_final.pth",
    log:
        "results/{split}/logs/nnunet_train/{modality}_{channels}_seed{seed}_{model}_fold_{fold}.log",
    benchmark:
        "results/{split}/benchmarks/nnunet_train/{modality}_{channels}_seed{seed}_{model}_fold_{fold}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=NNUNET["devices"],
        mem=mem_of_nnunet,
        runtime=days(4),
    params:
        results="results/{split}/nnunet/{modality}/{channels}/seed{seed}/results",
        trainer=NNUNET["trainer"],
        epochs=optional("--epochs", NNUNET["epochs"]),
        iterations=optional("--iterations", NNUNET["iterations"]),
        validation=optional("--validation-iterations", NNUNET["validation_iterations"]),
        workers=NNUNET["augmentation_workers"],
        devices=NNUNET["devices"],
        halve=["--auto-find-batch-size"] if NNUNET["auto_find_batch_size"] else [],
        pretrained=lambda wildcards, input: optional(
            "--pretrained", input.pretrained or None
        ),
    shell:
        "python -m enrich.nnunet.train --preprocessed {input.preprocessed:q} --results {params.results:q}"
        " --fold {wildcards.fold:q}"
        " --trainer {params.trainer:q} {params.epochs:q} {params.iterations:q} {params.validation:q}"
        " --augmentation-workers {params.workers:q} --devices {params.devices:q} {params.halve:q}"
        " --seed {wildcards.seed:q} {params.pretrained:q} > {log:q} 2>&1"


rule nnunet_predict:
    """Segment the test patients by the mean of the folds."""
    input:
        dataset=dataset_to_predict,
        checkpoints=checkpoints,
        sources=sources("enrich.nnunet.predict"),
    output:
        "results/{split}/nnunet/{modality}/{channels}/seed{seed}/predictions/index.csv",
    log:
        "results/{split}/logs/nnunet_predict/{modality}_{channels}_seed{seed}.log",
    benchmark:
        "results/{split}/benchmarks/nnunet_predict/{modality}_{channels}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem=mem_of_predicting,
        runtime=runtime_of_network,
    params:
        mirroring=[] if NNUNET["mirroring"] else "--no-mirroring",
    shell:
        "python -m enrich.nnunet.predict --dataset {input.dataset:q} --checkpoints {input.checkpoints:q}"
        " {params.mirroring:q} --output {output:q} > {log:q} 2>&1"
