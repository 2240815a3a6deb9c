"""How good translations are: S-score between its floor and its ceiling, likeness, and distances of distributions."""


include: "common_translation.smk"


rule segment_translations:
    """Segment the test patients' translations to a modality by Single of that modality."""
    input:
        scans=SCANS,
        splits="results/{split}/splits.json",
        synthetic=synthetic_of_tests,
        checkpoints=checkpoints_of_single,
        sources=sources("enrich.nnunet.predict_translations"),
    output:
        "results/{split}/translations/{name}/seed{seed}/{test}/{modality}/index.csv",
    log:
        "results/{split}/logs/segment_translations/{name}_seed{seed}_{test}_{modality}.log",
    benchmark:
        "results/{split}/benchmarks/segment_translations/{name}_seed{seed}_{test}_{modality}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem=mem_of_predicting,
        runtime=runtime_of_network,
    params:
        intensity=json.dumps(config["intensity"]),
        mirroring=[] if NNUNET["mirroring"] else "--no-mirroring",
    shell:
        "python -m enrich.nnunet.predict_translations --scans {input.scans:q} --splits {input.splits:q}"
        " --synthetic {input.synthetic:q} --modality {wildcards.modality:q} --intensity {params.intensity:q}"
        " --checkpoints {input.checkpoints:q} {params.mirroring:q} --output {output:q} > {log:q} 2>&1"


rule segment_sources:
    """Segment the test patients' scans by Single of another modality, as if they were translations: the floor."""
    input:
        scans=SCANS,
        splits="results/{split}/splits.json",
        checkpoints=checkpoints_of_single,
        sources=sources("enrich.nnunet.predict_translations"),
    output:
        "results/{split}/translations/copy/seed{seed}/{modality}/index.csv",
    log:
        "results/{split}/logs/segment_translations/copy_seed{seed}_{modality}.log",
    benchmark:
        "results/{split}/benchmarks/segment_translations/copy_seed{seed}_{modality}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem=mem_of_predicting,
        runtime=runtime_of_network,
    params:
        intensity=json.dumps(config["intensity"]),
        mirroring=[] if NNUNET["mirroring"] else "--no-mirroring",
    shell:
        "python -m enrich.nnunet.predict_translations --scans {input.scans:q} --splits {input.splits:q} --floor"
        " --modality {wildcards.modality:q} --intensity {params.intensity:q} --checkpoints {input.checkpoints:q}"
        " {params.mirroring:q} --output {output:q} > {log:q} 2>&1"


rule score_translations:
    """Score one translator's translations of the test patients."""
    input:
        scans=SCANS,
        splits="results/{split}/splits.json",
        synthetic=synthetic_of_tests,
        predictions=segmented_translations,
        sources=sources("enrich.score_translation"),
    output:
        "results/{split}/translations/{name}/seed{seed}/{test}/scores.csv",
    log:
        "results/{split}/logs/score_translations/{name}_seed{seed}_{test}.log",
    benchmark:
        "results/{split}/benchmarks/score_translations/{name}_seed{seed}_{test}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=mem_of_scoring,
        runtime=runtime_of_reading,
    params:
        intensity=json.dumps(config["intensity"]),
        predictions=lambda wildcards, input: by_modality(input.predictions),
    shell:
        "python -m enrich.score_translation --scans {input.scans:q} --splits {input.splits:q}"
        " --method {wildcards.name:q} --seed {wildcards.seed:q} --synthetic {input.synthetic:q}"
        " --predictions {params.predictions:q} --intensity {params.intensity:q} --output {output:q} > {log:q} 2>&1"


rule score_bounds:
    """Score the floor of every translator, the sources copied, or the ceiling, real scans of the target."""
    input:
        scans=SCANS,
        splits="results/{split}/splits.json",
        predictions=segmented_bound,
        sources=sources("enrich.score_translation"),
    output:
        "results/{split}/translations/{bound}/seed{seed}/scores.csv",
    log:
        "results/{split}/logs/score_translations/{bound}_seed{seed}.log",
    benchmark:
        "results/{split}/benchmarks/score_translations/{bound}_seed{seed}.tsv"
    wildcard_constraints:
        bound="copy|real",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=mem_of_scoring,
        runtime=runtime_of_reading,
    params:
        intensity=json.dumps(config["intensity"]),
        predictions=lambda wildcards, input: by_modality(input.predictions),
    shell:
        "python -m enrich.score_translation --scans {input.scans:q} --splits {input.splits:q}"
        " --method {wildcards.bound:q} --seed {wildcards.seed:q} --predictions {params.predictions:q}"
        " --intensity {params.intensity:q} --output {output:q} > {log:q} 2>&1"


rule distances:
    """Fréchet and kernel distance of one translator's translations and real scans."""
    input:
        scans=SCANS,
        splits="results/{split}/splits.json",
        synthetic=synthetic_of_tests,
        weights=weights_of_features,
        sources=sources("enrich.score_distribution"),
    output:
        "results/{split}/translations/{name}/seed{seed}/{test}/distances.csv",
    log:
        "results/{split}/logs/distances/{name}_seed{seed}_{test}.log",
    benchmark:
        "results/{split}/benchmarks/distances/{name}_seed{seed}_{test}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem=mem_of_predicting,
        runtime=runtime_of_network,
    params:
        intensity=json.dumps(config["intensity"]),
        outer=lambda wildcards: SPLITS.index(wildcards.split),
        backbone=config["distance_features"]["backbone"],
        weights=lambda wildcards, input: by_modality(input.weights),
    shell:
        "python -m enrich.score_distribution --scans {input.scans:q} --splits {input.splits:q}"
        " --method {wildcards.name:q} --seed {wildcards.seed:q} --outer {params.outer:q}"
        " --synthetic {input.synthetic:q}"
        " --backbone {params.backbone:q} --weights {params.weights:q} --intensity {params.intensity:q}"
        " --output {output:q} > {log:q} 2>&1"


rule distances_of_sources:
    """The same of the sources, copied."""
    input:
        scans=SCANS,
        splits="results/{split}/splits.json",
        weights=weights_of_features,
        sources=sources("enrich.score_distribution"),
    output:
        "results/{split}/translations/copy/seed{seed}/distances.csv",
    log:
        "results/{split}/logs/distances/copy_seed{seed}.log",
    benchmark:
        "results/{split}/benchmarks/distances/copy_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem=mem_of_predicting,
        runtime=runtime_of_network,
    params:
        intensity=json.dumps(config["intensity"]),
        outer=lambda wildcards: SPLITS.index(wildcards.split),
        backbone=config["distance_features"]["backbone"],
        weights=lambda wildcards, input: by_modality(input.weights),
    shell:
        "python -m enrich.score_distribution --scans {input.scans:q} --splits {input.splits:q} --method copy"
        " --seed {wildcards.seed:q} --outer {params.outer:q} --backbone {params.backbone:q}"
        " --weights {params.weights:q}"
        " --intensity {params.intensity:q} --output {output:q} > {log:q} 2>&1"


rule translation_scores:
    """Gather the scores of all translators, or their distances."""
    input:
        scores=all_scores_of_translations,
        sources=sources("enrich.gather"),
    output:
        "results/{run}/scores/{table}.csv",
    log:
        "results/{run}/logs/scores_{table}.log",
    benchmark:
        "results/{run}/benchmarks/scores_{table}.tsv"
    wildcard_constraints:
        table="translation|distribution",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(1),
        runtime="10m",
    shell:
        "python -m enrich.gather {input.scores:q} --table {wildcards.table:q} --output {output:q} > {log:q} 2>&1"
