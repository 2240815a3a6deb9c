"""From raw scans to the DICE/RAVD table: snakemake --cores 8 all [--configfile workflow/config/chaos.yaml]."""

from snakemake.utils import min_version

min_version("9.0")

if not workflow.config_settings.configfiles:

    configfile: "workflow/config/phantom.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/common_resources.smk"
include: "workflow/rules/download.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/gan.smk"
include: "workflow/rules/nnunet.smk"
include: "workflow/rules/segmenters.smk"
include: "workflow/rules/translation.smk"
include: "workflow/rules/results.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/workflow.rst"


localrules:
    all,
    figures,
    tables,


rule all:
    """Every table and figure of the run."""
    default_target: True
    input:
        rules.tables.input,
        expand(rules.html_report.output, run=RUN),
        rules.figures.input,


onstart:
    gc.enable()
    begin(config, Path("results", RUN))


onerror:
    print(*last_words(log), sep="\n", file=sys.stderr)
