"""Raw scans, read, split and sliced."""


rule phantom:
    """Write procedural scans in a data set's own layout."""
    input:
        sources=sources("enrich.phantom"),
    output:
        "results/{run}/raw/phantom.json",
    log:
        "results/{run}/logs/phantom.log",
    benchmark:
        "results/{run}/benchmarks/phantom.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(2),
        runtime="10m",
    params:
        layout=config["data"]["reader"],
        settings=json.dumps(config["data"]["phantom"]),
    shell:
        "python -m enrich.phantom --layout {params.layout:q} --settings {params.settings:q} --output {output:q}"
        " > {log:q} 2>&1"


rule prepare:
    """Read and check every scan."""
    input:
        raw=written_raw,
        sources=sources("enrich.prepare", f"enrich.datasets.{config['data']['reader']}"),
    output:
        "results/{run}/complete/scans.csv" if SIMULATED else "results/{run}/scans.csv",
    log:
        "results/{run}/logs/prepare.log",
    benchmark:
        "results/{run}/benchmarks/prepare.tsv"
    conda:
        "../../environment.yml"
    threads: all_cores
    resources:
        mem=mem_of_reading,
        runtime=runtime_of_reading,
    params:
        reader=config["data"]["reader"],
        options=reader_options(),
        folder=raw_folder(),
        modalities=MODALITIES,
        target=config["target"],
        segment=optional("--segment", config["structures"]),
        correction=json.dumps(config["correction"]),
    shell:
        "python -m enrich.prepare --reader {params.reader:q} {params.options:q} --folder {params.folder:q}"
        " --modalities {params.modalities:q} --target {params.target:q} {params.segment:q}"
        " --correction {params.correction:q}"
        " --workers {threads} --output {output:q}"
        " > {log:q} 2>&1"


if SIMULATED:

    rule missing:
        """Drop scans at random, so that the effect can be measured."""
        input:
            scans="results/{run}/complete/scans.csv",
            sources=sources("enrich.missing"),
        output:
            scans="results/{run}/scans.csv",
            dropped="results/{run}/dropped.csv",
        log:
            "results/{run}/logs/missing.log",
        benchmark:
            "results/{run}/benchmarks/missing.tsv"
        conda:
            "../../environment.yml"
        threads: 1
        resources:
            mem=gigabytes(1),
            runtime="10m",
        params:
            simulate=json.dumps(SIMULATED),
            seed=config["missing"]["seed"],
        shell:
            "python -m enrich.missing --scans {input.scans:q} --simulate {params.simulate:q} --seed {params.seed:q}"
            " --output {output.scans:q} > {log:q} 2>&1"


rule split:
    """Draw or read who trains and who tests."""
    input:
        scans=SCANS,
        user=config["split"] if isinstance(config["split"], str) else [],
        sources=sources("enrich.splits"),
    output:
        "results/{split}/splits.json",
    log:
        "results/{split}/logs/split.log",
    benchmark:
        "results/{split}/benchmarks/split.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem=gigabytes(1),
        runtime="10m",
    params:
        design=json.dumps({key: config[key] for key in DESIGN}),
        outer=lambda wildcards: SPLITS.index(wildcards.split),
    shell:
        "python -m enrich.splits --scans {input.scans:q} --design {params.design:q} --outer {params.outer:q}"
        " --output {output:q}"
        " > {log:q} 2>&1"


rule slices:
    """Cut the training patients' scans into slices for the GAN."""
    input:
        scans=SCANS,
        splits="results/{split}/splits.json",
        sources=sources("enrich.slices"),
    output:
        index="results/{split}/slices/index.csv",
        facts="results/{split}/slices/slices.json",
    log:
        "results/{split}/logs/slices.log",
    benchmark:
        "results/{split}/benchmarks/slices.tsv"
    conda:
        "../../environment.yml"
    threads: config["threads"]
    resources:
        mem=mem_of_reading,
        runtime=runtime_of_reading,
    params:
        modalities=MODALITIES,
        labels=LABELS_OF,
        image_size=config["image_size"],
        intensity=json.dumps(config["intensity"]),
    shell:
        "python -m enrich.slices --scans {input.scans:q} --splits {input.splits:q} --modalities {params.modalities:q}"
        " {params.labels:q} --image-size {params.image_size:q} --intensity {params.intensity:q} --workers {threads}"
        " --output {output.index:q} > {log:q} 2>&1"
