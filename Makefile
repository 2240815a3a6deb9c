PYTHON ?= python3
CORES ?= all
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: demo test test-cluster check
demo: .venv/installed
	snakemake --cores $(CORES) all
	@echo "The report: results/phantom/report/index.html; its tables: results/phantom/tables"

test: check
	pytest --numprocesses auto --maxprocesses 4 --dist loadfile

test-cluster: .venv/installed  # dev does without the executors, since they slow every start of Snakemake
	python -m pip install --quiet --constraint constraints.txt --editable '.[dev,slurm,kubernetes]'
	pytest -m cluster tests/cluster

check: .venv/installed
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@
