"""Translators, trained and applied."""


rule pretrain:
    """Train a network that a method starts from."""
    input:
        slices="results/{split}/slices/slices.json",
        sources=sources_of_pretraining,
    output:
        "results/{split}/gan/{name}/{training}/{fit}/{network}/model.pt",
    log:
        "results/{split}/logs/gan/{name}_{training}_{fit}_{network}.log",
    benchmark:
        "results/{split}/benchmarks/gan/{name}_{training}_{fit}_{network}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=gpus_of_pretraining,
        mem=mem_of_pretraining,
        runtime=days(1),
    params:
        method=lambda wildcards: pretrained_by(wildcards.name)[wildcards.network],
        modalities=training_modalities,
        settings=pretraining_settings,
        fit=fit_options,
        slices=subpath(input.slices, parent=True),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m gan.train --slices {params.slices:q} --modalities {params.modalities:q} --method {params.method:q}"
        " --settings {params.settings:q} {params.fit:q} --output {params.folder:q} --resume > {log:q} 2>&1"


rule train_gan:
    """Train one translation method on the training patients: all modalities, or those of one pair or direction."""
    input:
        slices="results/{split}/slices/slices.json",
        pretrained=pretrained_models,
        sources=sources_of_training,
    output:
        "results/{split}/gan/{name}/{training}/{fit}/model.pt",
    log:
        "results/{split}/logs/gan/{name}_{training}_{fit}.log",
    benchmark:
        "results/{split}/benchmarks/gan/{name}_{training}_{fit}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=gpus_of_training,
        mem=mem_of_training,
        runtime=days(4),
    params:
        method=lambda wildcards: METHOD[wildcards.name],
        modalities=training_modalities,
        settings=settings_of,
        pretrained=pretrained_options,
        fit=fit_options,
        slices=subpath(input.slices, parent=True),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m gan.train --slices {params.slices:q} --modalities {params.modalities:q} --method {params.method:q}"
        " --settings {params.settings:q} {params.fit:q} {params.pretrained:q} --output {params.folder:q}"
        " --resume > {log:q} 2>&1"


rule synthesize:
    """Translate every scan into every other modality."""
    input:
        unpack(models_of_synthesis),
        scans=SCANS,
        splits="results/{split}/splits.json",
        sources=sources_of_synthesis,
    output:
        "results/{split}/synthetic/{name}/seed{seed}/index.csv",
    log:
        "results/{split}/logs/synthesize/{name}_seed{seed}.log",
    benchmark:
        "results/{split}/benchmarks/synthesize/{name}_seed{seed}.tsv"
    wildcard_constraints:
        name="|".join(TRAINED) or "(?!)",
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem=mem_of_translating,
        runtime=runtime_of_network,
    params:
        fits=options_of_fits,
        test=config["crossfit_test"],
        intensity=json.dumps(config["intensity"]),
    shell:
        "python -m enrich.synthesize --scans {input.scans:q} --splits {input.splits:q} {params.fits:q}"
        " --test {params.test:q} --intensity {params.intensity:q} --workers {threads}"
        " --output {output:q} > {log:q} 2>&1"


rule precomputed:
    """Take over scans that were synthesized elsewhere."""
    input:
        scans=SCANS,
        given=given_scans,
        dropped=f"results/{RUN}/dropped.csv" if SIMULATED else [],
        sources=sources("enrich.precomputed"),
    output:
        "results/{split}/synthetic/{name}/seed{seed}/index.csv",
    log:
        "results/{split}/logs/synthesize/{name}_seed{seed}.log",
    benchmark:
        "results/{split}/benchmarks/synthesize/{name}_seed{seed}.tsv"
    wildcard_constraints:
        name="|".join(GIVEN) or "(?!)",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=mem_of_reading,
        runtime=runtime_of_reading,
    params:
        modalities=MODALITIES,
        folder=folder_of_given_scans,
        dropped=lambda wildcards, input: optional("--dropped", input.dropped or None),
        intensity=json.dumps(config["intensity"]),
    shell:
        "python -m enrich.precomputed --scans {input.scans:q} --modalities {params.modalities:q} {params.dropped:q}"
        " --folder {params.folder:q} --intensity {params.intensity:q} --output {output:q} > {log:q} 2>&1"


rule synthesize_tests:
    """Translate the test patients' scans by one kind of cross-fitted models, for the gap between the kinds."""
    input:
        unpack(models_of_tests),
        scans=SCANS,
        splits="results/{split}/splits.json",
        sources=sources_of_synthesis,
    output:
        "results/{split}/synthetic/{name}/seed{seed}-test-{test}/index.csv",
    log:
        "results/{split}/logs/synthesize/{name}_seed{seed}_test-{test}.log",
    benchmark:
        "results/{split}/benchmarks/synthesize/{name}_seed{seed}_test-{test}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem=mem_of_translating,
        runtime=runtime_of_network,
    params:
        fits=options_of_fits,
        intensity=json.dumps(config["intensity"]),
    shell:
        "python -m enrich.synthesize --scans {input.scans:q} --splits {input.splits:q} {params.fits:q}"
        " --test {wildcards.test:q} --test-only --intensity {params.intensity:q} --workers {threads}"
        " --output {output:q} > {log:q} 2>&1"


rule cases:
    """Translate the training scans to a modality and there and back, as further cases of it."""
    input:
        unpack(models_of_training_patients),
        scans=SCANS,
        splits="results/{split}/splits.json",
        sources=sources_of_cases,
    output:
        "results/{split}/cases/{name}/{modality}/seed{seed}/index.csv",
    log:
        "results/{split}/logs/cases/{name}_{modality}_seed{seed}.log",
    benchmark:
        "results/{split}/benchmarks/cases/{name}_{modality}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem=mem_of_translating,
        runtime=runtime_of_network,
    params:
        fits=options_of_fits,
        intensity=json.dumps(config["intensity"]),
    shell:
        "python -m enrich.cases --scans {input.scans:q} --splits {input.splits:q} {params.fits:q}"
        " --modality {wildcards.modality:q} --intensity {params.intensity:q} --workers {threads}"
        " --output {output:q} > {log:q} 2>&1"


rule control:
    """Name what stands in the place of synthetic channels in a control."""
    input:
        scans=SCANS,
        dropped=dropped_scans,
        sources=sources("enrich.controls"),
    output:
        "results/{run}/synthetic/{control}/index.csv",
    log:
        "results/{run}/logs/synthesize/{control}.log",
    benchmark:
        "results/{run}/benchmarks/synthesize/{control}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=mem_of_reading,
        runtime="4h",
    params:
        modalities=MODALITIES,
        dropped=lambda wildcards, input: optional("--dropped", input.dropped or None),
    shell:
        "python -m enrich.controls --kind {wildcards.control:q} --scans {input.scans:q}"
        " --modalities {params.modalities:q}"
        " {params.dropped:q} --output {output:q} > {log:q} 2>&1"


rule fill:
    """Put the channels of every case together: its own scans, and what it lacks, synthesized."""
    input:
        scans=SCANS,
        synthetic=synthetic_to_fill,
        sources=sources("enrich.fill"),
    output:
        "results/{split}/filled/{made}/index.csv",
    log:
        "results/{split}/logs/fill/{made}.log",
    benchmark:
        "results/{split}/benchmarks/fill/{made}.tsv"
    wildcard_constraints:
        made="|".join([*KINDS, *(f"{name}/seed[0-9]+" for name in TRANSLATORS)]),
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=mem_of_reading,
        runtime=runtime_of_reading,
    params:
        modalities=MODALITIES,
        order=order_of_sources(),
        real=lambda wildcards: ["--real"] if wildcards.made == "oracle" else [],
        intensity=json.dumps(config["intensity"]),
    shell:
        "python -m enrich.fill --scans {input.scans:q} --synthetic {input.synthetic:q}"
        " --modalities {params.modalities:q} {params.order:q} {params.real:q} --intensity {params.intensity:q}"
        " --output {output:q} > {log:q} 2>&1"
