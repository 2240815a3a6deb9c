"""Data sets that anyone may fetch."""

CHAOS_URL = "https://zenodo.org/records/3431873/files/CHAOS_Train_Sets.zip"
CHAOS_SHA256 = "535f7d3417a0e0f0d9133fb3d962423d2a9cf3f103e4f09a3d8a1daf87d5d2fc"

if config["data"]["reader"] == "chaos" and config["data"]["folder"]:

    rule download_chaos:
        """Fetch CHAOS's training data into the config's data.folder, 0.9 GB, unless they are there.

        No output, since the folder outlives the studies that use it and its record belongs to the program; no benchmark
        either, for which alone Snakemake would take the rule for done.
        """
        log:
            f"results/{RUN}/logs/download_chaos.log",
        conda:
            "../../environment.yml"
        threads: 1
        resources:
            mem=gigabytes(1),
            runtime="1d",
        params:
            url=CHAOS_URL,
            sha256=CHAOS_SHA256,
            folder=config["data"]["folder"],
        shell:
            "python -m enrich.download --url {params.url:q} --sha256 {params.sha256:q}"
            " --folder {params.folder:q} > {log:q} 2>&1"
