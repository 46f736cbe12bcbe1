# make help lists the targets; each sets the environment up first where it is missing or the lock has changed.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

EXPERIMENT ?= sst
CORES ?= $(shell nproc)
PYTHON ?= $(shell command -v python3.11 || command -v python3)

# Archives at hand are used where they lie; without them, what is needed is downloaded or the error says how to get it.
ifndef PODNAS_DATA
ifneq ($(wildcard ../shared/data/.),)
export PODNAS_DATA := $(abspath ../shared/data)
endif
endif

# A run is hundreds of short processes: where Python is told to keep no bytecode, as in many containers, each would
# compile all that it imports anew, which more than doubles the time that imports take.
export PYTHONDONTWRITEBYTECODE :=

BIN := .venv/bin
READY := .venv/.stamp
UV := .tools/uv/bin/uv
UV_READY := .tools/uv/.stamp
TORCH := .tools/torch
TORCH_READY := $(TORCH)/.stamp
SEARCH_PEERS := .tools/search-peers
SEARCH_PEERS_READY := $(SEARCH_PEERS)/.stamp
DATA_PEERS := .tools/data-peers
DATA_PEERS_READY := $(DATA_PEERS)/.stamp
RESULTS := results/$(EXPERIMENT)
# the page of scores that an experiment makes
PAGE = $(firstword $(wildcard $(addprefix $(RESULTS)/,$(addsuffix .md,$(PAGES)))))
PAGES := scorecard verification classified outlook leakage judged
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES) \
	$(if $(filter-out sst,$(EXPERIMENT)),--configfile config/experiments/$(EXPERIMENT).yaml)

.PHONY: help setup run report outlook test lint format generate lock bench bench-population bench-search bench-scaling bench-two-step bench-data clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "EXPERIMENT=$(EXPERIMENT) (or a name in config/experiments), CORES=$(CORES), PYTHON=$(PYTHON)"

setup: $(READY)  ## install everything into .venv, as locked in requirements.lock

run: $(READY)  ## run EXPERIMENT on CORES, make its report, print its scorecard
	$(SNAKEMAKE)
	@$(MAKE) --no-print-directory report

outlook: $(READY)  ## forecast Niño 3.4 eight weeks ahead, with its record: results/outlook/outlook.md and figures
	$(BIN)/snakemake --cores $(CORES) --configfile config/experiments/outlook.yaml
	@sed '/^## Record/,$$d' results/outlook/outlook.md
	@echo "more: results/outlook/outlook.md, record.md, outlook.json, figures/outlook.png, figures/outlook_record.png"

# Remade only if an artifact is newer. --report cannot be a rule of the workflow that it reports on.
report: $(READY)
	@if [[ -f $(RESULTS)/report.html && -z "$$(find $(RESULTS) -newer $(RESULTS)/report.html -type f \
			-not -path '*/logs/*' -print -quit)" ]]; then \
		echo "$(PAGE) and $(RESULTS)/report.html are up to date"; \
	else \
		$(SNAKEMAKE) --quiet all --report $(RESULTS)/unfinished_report.html; \
		mv $(RESULTS)/unfinished_report.html $(RESULTS)/report.html; \
		sed -E '/^##+ (In degrees Celsius|In space|Record)/,$$d' $(PAGE); \
		echo "scores: $(PAGE), report: $(RESULTS)/report.html"; \
	fi

test: $(READY)  ## run all tests; the last lines count those skipped and say why
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder

lint: $(READY)  ## check style, types, floors, spelling, the workflow and the generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python -m podnas generate --check
	$(BIN)/snakemake --lint

format: $(READY)  ## put code and rules into the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

generate: $(READY)  ## write config/schema.json, config/README.md and envs/ from the code and the lock
	$(BIN)/python -m podnas generate

bench: bench-population bench-search bench-scaling bench-two-step bench-data  ## run all benchmarks (hours)

bench-population: $(READY) $(TORCH_READY)  ## ours, PyTorch and Keras train the same networks: results/bench/population.json
	$(BIN)/python benchmarks/population.py

# NePS needs PyTorch
bench-search: $(READY) $(TORCH_READY) $(SEARCH_PEERS_READY)  ## our searches, Optuna's, DeepHyper's, NePS's: results/bench/search.json
	$(BIN)/python benchmarks/search.py

bench-scaling: $(READY)  ## searches on up to 10,240 simulated workers: results/bench/scaling.json
	$(BIN)/python benchmarks/scaling.py

bench-two-step: $(READY)  ## how small the first step of a two-step search may be: results/bench/two_step.json
	$(BIN)/python benchmarks/two_step.py

# CDO comes from Debian, where it is missing (needs root or sudo); the synthetic archives take about 4 GB
bench-data: $(READY) $(DATA_PEERS_READY)  ## coarsening and POD beside CDO, xarray and others: results/bench/data.json
	benchmarks/install_cdo.sh
	PYTHONPATH=$(DATA_PEERS) $(BIN)/python benchmarks/data.py

# uv does not read pip's settings: where pip uses a mirror, so does uv.
MIRROR = $(or $(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null))
FETCH = $(if $(MIRROR),UV_DEFAULT_INDEX="$(MIRROR)") $(UV) pip

lock: $(UV_READY)  ## resolve pyproject.toml anew into requirements.lock and envs/; LOCKFLAGS=--upgrade for new versions
	@$(FETCH) compile pyproject.toml --extra dev --python $(PYTHON) --python-version 3.11 --universal --quiet \
		--generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
		-o requirements.lock $(LOCKFLAGS)
	@$(MAKE) --no-print-directory generate

clean:  ## remove the environment and the caches; results stay
	rm -rf .venv .tools .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# The stamp goes first and comes last: what an interrupted set-up leaves behind has none, and is made anew.
$(READY): requirements.lock pyproject.toml $(UV_READY)
	@echo "setting .venv up from requirements.lock (2 GB; minutes the first time)"
	@[[ -f $@ ]] || $(UV) venv --quiet --clear --no-project --python $(PYTHON) .venv
	@rm -f $@
	@$(FETCH) sync --quiet --compile-bytecode --python .venv --require-hashes requirements.lock
	@$(UV) pip install --quiet --python .venv --offline --no-deps --no-build-isolation --editable .
	@touch $@

# uv comes by pip into a folder of its own: neither a writable system Python nor its venv module is needed.
$(UV_READY): bootstrap.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
		echo "podnas needs Python 3.11, and PYTHON=$(PYTHON) is not; install it, or name it: make PYTHON=/path/of/python3.11" >&2; \
		exit 1; }
	@rm -rf $(@D)
	@$(PYTHON) -m pip install -qq --disable-pip-version-check --target $(@D) --only-binary :all: \
		--require-hashes -r bootstrap.lock
	@touch $@

# The peers of benchmarks lie beside .venv, which stays as locked. The stamp holds what was asked for: other changes of
# pyproject.toml do not fetch it again. $(1): extra, $(2): options of pip.
define BESIDE
	@asked="$$($(PYTHON) -c 'import tomllib; from pathlib import Path; \
		print(*tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]["$(1)"])')"; \
	if [[ "$$(cat $@ 2>/dev/null)" != "$$asked" ]]; then \
		echo "installing $$asked into $(@D)"; \
		rm -rf $(@D); \
		$(PYTHON) -m pip install -qq --disable-pip-version-check --target $(@D) --only-binary :all: $(2) $$asked; \
	fi; \
	echo "$$asked" > $@
endef

$(TORCH_READY): pyproject.toml
	$(call BESIDE,bench)

$(SEARCH_PEERS_READY): pyproject.toml
	$(call BESIDE,bench-search,--no-deps)

$(DATA_PEERS_READY): pyproject.toml
	$(call BESIDE,bench-data,--no-deps)
