# One word per routine. The environment is made on demand and again when the lock changes.
.DEFAULT_GOAL := help
.PHONY: help demo test lint format contracts chaos score bench serve lock

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
TOOLS := .tools/.ready
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## list these routines
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(READY) ## a generated MSP: 90 days from stand-in vendors, then the list of what leaks
	@$(BIN)/morton demo

serve: $(READY) ## the Dagster UI, its daemon and the schedules on the demo's book
	@$(BIN)/morton --book demo serve

test: $(READY) ## every test; says what was skipped and why
	@$(BIN)/python -m pytest -n auto --dist loadgroup

lint: $(READY) ## style, types, layers and SQL
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/sqlfmt --check --quiet --no-progressbar dbt_project/models dbt_project/macros dbt_project/tests

format: $(READY) ## rewrite Python and SQL the way lint wants them
	@$(BIN)/ruff check --fix --quiet .
	@$(BIN)/ruff format --quiet .
	@$(BIN)/sqlfmt --quiet --no-progressbar dbt_project/models dbt_project/macros dbt_project/tests

contracts: $(READY) $(TOOLS) ## hold requests and records against the vendors' own descriptions; nothing may be skipped
	@MORTON_REQUIRE_CONTRACTS=1 $(BIN)/python -m pytest -m contract -n 2 --dist loadgroup

chaos: $(READY) ## kill -9 the posting of invoices 10,000 times for each accounting system (KILLS=N for another number)
	@MORTON_CHAOS_KILLS=$(or $(KILLS),10000) $(BIN)/python -m pytest tests/accounting/test_chaos.py tests/connector/test_chaos.py -n 2

score: $(READY) ## plant edge cases into 1,000 generated MSPs and print what is found (MSPS=N; MORTON_SCORE_SEED=1/37 repeats one)
	@MORTON_SCORE_MSPS=$(or $(MSPS),1000) $(BIN)/python -m pytest tests/score -n 2

bench: $(READY) ## time and size of what grows
	@$(BIN)/python -m benchmarks

lock: $(READY) ## resolve pyproject.toml again into requirements.lock
	@$(BIN)/pip-compile --quiet --upgrade --all-extras --generate-hashes --no-emit-index-url --no-emit-trusted-host \
		--no-emit-find-links --no-strip-extras --allow-unsafe --output-file requirements.lock pyproject.toml

$(READY): requirements.lock pyproject.toml
	@echo "Making the environment in .venv from requirements.lock (about two minutes, once)."
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.11 …") if sys.version_info < (3, 11) else None'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(TOOLS): tests/contracts/package.json tests/contracts/package-lock.json
	@echo "Installing the API mock in .tools (once)."
	@mkdir -p .tools
	@cp $^ .tools/
	@cd .tools && npm ci --silent --no-audit --no-fund
	@touch $@
