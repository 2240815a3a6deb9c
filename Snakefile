"""From raw scans to the DICE/RAVD table: snakemake --cores 8 all [--configfile workflow/config/chaos.yaml]."""

from snakemake.utils import min_version

min_version("9.0")

if not workflow.config_settings.configfiles:

    configfile: "workflow/config/phantom.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/gan.smk"
include: "workflow/rules/nnunet.smk"
include: "workflow/rules/results.smk"


report: "workflow/report/workflow.rst"


localrules:
    all,


rule all:
    """Every table and figure of the run."""
    default_target: True
    input:
        expand(
            "results/{run}/tables/segmentation.{suffix}",
            run=RUN,
            suffix=["csv", "md", "tex"],
        ),
        expand("results/{run}/figures/{figure}.png", run=RUN, figure=FIGURES),


onstart:
    record(config, Path("results", RUN))
