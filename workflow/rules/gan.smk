"""Translators, trained and applied."""


rule pretrain:
    """Train a network that a method starts from."""
    input:
        slices="results/{run}/slices/slices.json",
        sources=sources_of_pretraining,
    output:
        "results/{run}/gan/{name}/{training}/seed{seed}/{network}/model.pt",
    log:
        "results/{run}/logs/gan/{name}_{training}_seed{seed}_{network}.log",
    benchmark:
        "results/{run}/benchmarks/gan/{name}_{training}_seed{seed}_{network}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem="16GB",
        runtime="1d",
    params:
        method=lambda wildcards: pretrained_by(wildcards.name)[wildcards.network],
        modalities=training_modalities,
        settings=pretraining_settings,
        slices=subpath(input.slices, parent=True),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m gan.train --slices {params.slices:q} --modalities {params.modalities} --method {params.method}"
        " --settings {params.settings:q} --seed {wildcards.seed} --output {params.folder:q} --resume > {log:q} 2>&1"


rule train_gan:
    """Train one translation method on the training patients: all modalities, or those of one pair or direction."""
    input:
        slices="results/{run}/slices/slices.json",
        pretrained=pretrained_models,
        sources=sources_of_training,
    output:
        "results/{run}/gan/{name}/{training}/seed{seed}/model.pt",
    log:
        "results/{run}/logs/gan/{name}_{training}_seed{seed}.log",
    benchmark:
        "results/{run}/benchmarks/gan/{name}_{training}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem="16GB",
        runtime="4d",
    params:
        method=lambda wildcards: METHOD[wildcards.name],
        modalities=training_modalities,
        settings=settings_of,
        pretrained=pretrained_options,
        slices=subpath(input.slices, parent=True),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m gan.train --slices {params.slices:q} --modalities {params.modalities} --method {params.method}"
        " --settings {params.settings:q} --seed {wildcards.seed} {params.pretrained:q} --output {params.folder:q}"
        " --resume > {log:q} 2>&1"


rule synthesize:
    """Translate every scan into every other modality."""
    input:
        scans="results/{run}/scans.csv",
        models=models_of_synthesis,
        sources=sources_of_synthesis,
    output:
        "results/{run}/synthetic/{name}/seed{seed}/index.csv",
    log:
        "results/{run}/logs/synthesize/{name}_seed{seed}.log",
    benchmark:
        "results/{run}/benchmarks/synthesize/{name}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem="16GB",
        runtime="12h",
    params:
        intensity=json.dumps(config["intensity"]),
    shell:
        "python -m enrich.synthesize --scans {input.scans:q} --models {input.models:q}"
        " --intensity {params.intensity:q} --output {output:q} > {log:q} 2>&1"


rule cases:
    """Translate the training scans to a modality and there and back, as further cases of it."""
    input:
        scans="results/{run}/scans.csv",
        splits="results/{run}/splits.json",
        models=models_of_synthesis,
        sources=sources_of_cases,
    output:
        "results/{run}/cases/{name}/{modality}/seed{seed}/index.csv",
    log:
        "results/{run}/logs/cases/{name}_{modality}_seed{seed}.log",
    benchmark:
        "results/{run}/benchmarks/cases/{name}_{modality}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem="16GB",
        runtime="12h",
    params:
        intensity=json.dumps(config["intensity"]),
    shell:
        "python -m enrich.cases --scans {input.scans:q} --splits {input.splits:q} --models {input.models:q}"
        " --modality {wildcards.modality} --intensity {params.intensity:q} --output {output:q} > {log:q} 2>&1"


rule zero:
    """Write empty channels, the control."""
    input:
        scans="results/{run}/scans.csv",
        sources=sources("enrich.zero"),
    output:
        "results/{run}/synthetic/zero/index.csv",
    log:
        "results/{run}/logs/synthesize/zero.log",
    benchmark:
        "results/{run}/benchmarks/synthesize/zero.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem="4GB",
        runtime="4h",
    params:
        modalities=MODALITIES,
    shell:
        "python -m enrich.zero --scans {input.scans:q} --modalities {params.modalities} --output {output:q}"
        " > {log:q} 2>&1"
