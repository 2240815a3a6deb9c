"""Segmentation by the methods themselves: their own branches, and segmenters in nnU-Net's place."""


rule enriched_slices:
    """Cut the training patients' cases, synthetic channels included, into slices for a segmenter."""
    input:
        scans=SCANS,
        splits="results/{split}/splits.json",
        synthetic=synthetic_index,
        sources=sources("enrich.enriched_slices"),
    output:
        index="results/{split}/enriched/{modality}/{channels}/index.csv",
        facts="results/{split}/enriched/{modality}/{channels}/slices.json",
    log:
        "results/{split}/logs/enriched_slices/{modality}_{channels}.log",
    benchmark:
        "results/{split}/benchmarks/enriched_slices/{modality}_{channels}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        mem=mem_of_reading,
        runtime=runtime_of_reading,
    params:
        modalities=MODALITIES,
        synthetic=synthetic_option,
        image_size=config["image_size"],
        intensity=json.dumps(config["intensity"]),
    shell:
        "python -m enrich.enriched_slices --scans {input.scans:q} --splits {input.splits:q}"
        " --modality {wildcards.modality:q} --modalities {params.modalities:q} {params.synthetic:q}"
        " --image-size {params.image_size:q} --intensity {params.intensity:q} --workers {threads}"
        " --output {output.index:q} > {log:q} 2>&1"


rule train_segmenter:
    """Train a method that only segments on one modality's cases."""
    input:
        slices="results/{split}/enriched/{modality}/{channels}/slices.json",
        sources=sources_of_training,
    output:
        "results/{split}/segmenters/{name}/{modality}/{channels}/seed{seed}/model.pt",
    log:
        "results/{split}/logs/train_segmenter/{name}_{modality}_{channels}_seed{seed}.log",
    benchmark:
        "results/{split}/benchmarks/train_segmenter/{name}_{modality}_{channels}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=gpus_of_training,
        mem=mem_of_training,
        runtime=days(4),
    params:
        method=lambda wildcards: METHOD[wildcards.name],
        settings=settings_of,
        slices=subpath(input.slices, parent=True),
        folder=subpath(output[0], parent=True),
    shell:
        "python -m gan.train --slices {params.slices:q} --method {params.method:q} --settings {params.settings:q}"
        " --seed {wildcards.seed:q} --output {params.folder:q} --resume > {log:q} 2>&1"


rule segment:
    """Segment the test patients by a method itself."""
    input:
        scans=SCANS,
        splits="results/{split}/splits.json",
        synthetic=synthetic_index,
        models=models_of_segmenter,
        sources=sources_of_segmentation,
    output:
        "results/{split}/segmenters/{name}/{modality}/{channels}/seed{seed}/predictions/index.csv",
    log:
        "results/{split}/logs/segment/{name}_{modality}_{channels}_seed{seed}.log",
    benchmark:
        "results/{split}/benchmarks/segment/{name}_{modality}_{channels}_seed{seed}.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        gpu=1,
        mem=mem_of_predicting,
        runtime=runtime_of_network,
    params:
        modalities=MODALITIES,
        synthetic=synthetic_option,
        intensity=json.dumps(config["intensity"]),
    shell:
        "python -m enrich.segment --scans {input.scans:q} --splits {input.splits:q} --modality {wildcards.modality:q}"
        " --modalities {params.modalities:q} {params.synthetic:q} --models {input.models:q}"
        " --intensity {params.intensity:q} --output {output:q} > {log:q} 2>&1"
