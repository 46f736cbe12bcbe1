from pathlib import Path

from snakemake.utils import min_version

min_version("9.27")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/archive.smk"
include: "workflow/rules/field.smk"
include: "workflow/rules/reduction.smk"
include: "workflow/rules/windows.smk"
include: "workflow/rules/baselines.smk"
include: "workflow/rules/search.smk"
include: "workflow/rules/ensemble.smk"
include: "workflow/rules/verify.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/leakage.smk"
include: "workflow/rules/judged.smk"
include: "workflow/rules/tabular.smk"
include: "workflow/rules/uncertainty.smk"
include: "workflow/rules/index.smk"
include: "workflow/rules/outlook.smk"
include: "workflow/rules/classification.smk"
include: "workflow/rules/audit.smk"


report: "workflow/report/experiment.rst"


if SCHEDULER and SITE.light_rules == "here":
    workflow.localrules(*(rule.name for rule in workflow.rules if rule.name in layout.LIGHT))


rule all:
    default_target: True
    input:
        wanted(),
