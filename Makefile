PYTHON ?= python3
CORES ?= all
STUDY = $(if $(CONFIG),--configfile $(CONFIG))
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: demo resume test test-faults test-cluster check audit
demo: .venv/installed
	snakemake --cores $(CORES) all
	@echo "The report: results/phantom/report/index.html; its tables: results/phantom/tables"

resume: .venv/installed
	snakemake --cores $(CORES) --unlock $(STUDY)
	snakemake --cores $(CORES) all --rerun-incomplete $(STUDY)

test: check
	pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-faults: .venv/installed
	NNENRICH_KILLS=30 pytest -rP tests/faults

test-cluster: .venv/installed  # dev does without the executors, since they slow every start of Snakemake
	python -m pip install --quiet --constraint constraints.txt --editable '.[dev,slurm,kubernetes]'
	pytest -m cluster tests/cluster

check: .venv/installed
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

audit: .venv/installed
	python -m venv .venv/audit
	.venv/audit/bin/pip install --quiet pip-audit
	.venv/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
