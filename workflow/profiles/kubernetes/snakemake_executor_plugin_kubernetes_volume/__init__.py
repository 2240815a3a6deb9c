"""Snakemake's Kubernetes executor where a volume is shared, which the executor itself takes to be impossible.

Without one, Snakemake moves the files that rules declare through an object store. Rules leave others beside these, such
as the slices or nnU-Net's preprocessed cases, which later jobs read.
"""

from dataclasses import replace

import snakemake_executor_plugin_kubernetes as kubernetes

Executor, ExecutorSettings = kubernetes.Executor, kubernetes.ExecutorSettings
common_settings = replace(kubernetes.common_settings, implies_no_shared_fs=False, job_deploy_sources=False)
