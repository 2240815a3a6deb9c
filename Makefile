PYTHON ?= python3
CORES ?= all
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: demo test check audit
demo: .venv/installed
	snakemake --cores $(CORES) all
	@echo "The report: results/phantom/report/index.html; its tables: results/phantom/tables"

test: check
	pytest --numprocesses auto --maxprocesses 4 --dist loadfile

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
