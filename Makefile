# Everything a developer runs. Two commands are enough to start: `make run` and `make test`.
# Needs git, make and Python 3.11 or newer with venv; everything else goes into .venv.

.DEFAULT_GOAL := help
SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
NODES ?= 3
DATA ?= ./data
SEED ?=
RUNS ?=
ARGS ?=
PYTEST := $(BIN)/python -m pytest -q -rs $(ARGS)

# The one-minute gate; tests/process and tests/clients have targets of their own.
QUICK := $(wildcard $(addprefix tests/,unit properties vectors conformance formats scenarios simulation docs))
# What is tried on every other Python of this machine.
SMOKE := $(wildcard tests/unit tests/vectors)
PARALLEL := -n auto --maxprocesses 4

.PHONY: help run demo test pythons process clients sim soak browser check format bench docs wheel ci clean

help:  ## List these targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.runtime  ## Set up .venv and run a ring: NODES=3 processes, data under DATA=./data
	@$(BIN)/python -m compileall -q src/anel  # Else each node compiles, where Python may leave no files.
	@exec $(BIN)/anel up --nodes $(NODES) --data $(DATA) $(ARGS)

demo: $(VENV)/.test  ## Load real data through redis-py, kill a node in the middle, check every key
	@$(BIN)/python -m demo $(ARGS)

test: $(VENV)/.test  ## Every quick test, in about a minute, without root
	@$(BIN)/python -c 'import sys; print("Python", sys.version.split()[0], sys.executable)'
	@sh tools/find_python.sh | sed 's/^/found: /'
	$(PYTEST) $(PARALLEL) $(QUICK)

pythons: $(VENV)/.test  ## The unit tests on every other Python from 3.11 to 3.14 found here
	@$(BIN)/python -m tools.pythons $(PARALLEL) $(ARGS) $(SMOKE)

process: $(VENV)/.test  ## Real processes on loopback: kill -9, restart, damage
	$(PYTEST) tests/process

clients: $(VENV)/.test  ## Real clients as judges: redis-py, redis-cli, redis-benchmark
	$(PYTEST) tests/clients

sim: $(VENV)/.test  ## Simulated rings; SEED=7 plays one seed again, RUNS=1000 plays so many new ones
ifneq ($(SEED),)
	@$(BIN)/python -m tools.soak --seed $(SEED)
else ifneq ($(RUNS),)
	@$(BIN)/python -m tools.soak --runs $(RUNS)
else
	$(PYTEST) tests/simulation
endif

soak: $(VENV)/.test  ## New simulated rings until stopped
	@$(BIN)/python -m tools.soak

browser:  ## The web console in a real browser (comes with the console)
	@echo "There is no console yet, so nothing to test in a browser: see docs/status.md"

check: $(VENV)/.check  ## Format, lint, types, layers, determinism, house rules: reads only
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	PYTHONPATH=src $(BIN)/lint-imports --no-logo
	$(BIN)/python -m tools.determinism
	$(BIN)/python -m tools.tidy

format: $(VENV)/.check  ## Rewrite the code in the house format
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format .

bench: $(VENV)/.test  ## Measure beside redis-server; appends bench/history.jsonl, writes docs/performance.md
	@$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/.test  ## Check the documentation: links, error codes, targets, settings
	$(PYTEST) tests/docs

wheel: $(VENV)/.wheel  ## Build the wheel and try it in an empty environment
	@$(BIN)/python -m tools.try_wheel

ci: $(VENV)/.check  ## What .ci/run runs: check, test, the other Pythons, process, clients
	@$(BIN)/python -m tools.ci

clean:  ## Remove the environments, the caches and what was built; never ./data
	rm -rf .venv .venv-3.* dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# --------------------------------------------------------------------------------------------
# One environment, filled step by step; a stamp remembers each step, so the second time is quick.

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(VENV)/.made: tools/find_python.sh
	@if [ ! -x $(BIN)/python ]; then \
		python=$$(sh tools/find_python.sh --first) && echo "Making $(VENV) with $$python" && \
		"$$python" -m venv $(VENV); \
	fi
	@touch $@

$(VENV)/.runtime: $(VENV)/.made requirements/runtime.txt requirements/build.txt pyproject.toml
	@echo "Installing what Anel runs on into $(VENV)"
	@$(INSTALL) -r requirements/runtime.txt -r requirements/build.txt
	@$(INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.runtime requirements/test.txt
	@echo "Installing what the tests need into $(VENV)"
	@$(INSTALL) -r requirements/test.txt
	@touch $@

$(VENV)/.check: $(VENV)/.test requirements/check.txt
	@echo "Installing the linters into $(VENV)"
	@$(INSTALL) -r requirements/check.txt
	@touch $@

$(VENV)/.wheel: $(VENV)/.test requirements/wheel.txt
	@$(INSTALL) -r requirements/wheel.txt
	@touch $@
