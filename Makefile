# Two commands need nothing but git, make and Python 3.11 to 3.13: `make demo` and `make test`.
# Each target sets up what it needs first; `make help` lists them.

PYTHON ?= python3
# uv from the PATH, or else a private copy of it in .uv/
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
BIN := .venv/bin
READY := .venv/.ready
DEMO := demo-out
# Set PYTEST_ARGS to pass words on to pytest: make test PYTEST_ARGS="tests/nn -x"
PYTEST_ARGS ?=
# Set BENCH_ARGS=all for all networks, cases and engines: it takes hours.
BENCH_ARGS ?=
# Tests that have processes of their own: those that start and kill others, and those of engines
# whose native code could take others with it.
TRAINING := tests/train tests/faults
ENGINES := tests/bench tests/cli tests/evaluate tests/export tests/fast tests/predict

.DEFAULT_GOAL := help
.PHONY: help setup demo fix check test docs bench soak lock clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(READY) ## make .venv from requirements.lock, with atrous in it

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv

# Bytecode is made once, here: where Python may write none, each process would need 12 seconds for it.
$(READY): requirements.lock pyproject.toml $(filter .uv/bin/uv,$(UV))
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  || { echo "atrous needs Python 3.11 to 3.13; name one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 2; }
	test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	$(UV) pip sync --quiet --compile-bytecode --python $(BIN)/python --require-hashes requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $(READY)

demo: $(READY) ## segment the photographs in examples/photos with the embedded model, offline
	$(BIN)/atrous predict examples/photos --out $(DEMO)

fix: $(READY) ## format the code and mend what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

check: $(READY) ## formatting, lint, import layers, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/basedpyright

test: $(READY) ## the whole test suite
ifeq ($(strip $(PYTEST_ARGS)),)
	$(BIN)/python -m pytest $(TRAINING)
	$(BIN)/python -m pytest $(ENGINES)
	$(BIN)/python -m pytest $(addprefix --ignore=,$(TRAINING) $(ENGINES))
else
	$(BIN)/python -m pytest $(PYTEST_ARGS)
endif

docs: $(READY) ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

bench: $(READY) ## time prediction and training, as interleaved ratios, into benchmarks/results/
	$(BIN)/python -m benchmarks.prediction
	$(BIN)/python -m benchmarks.pictures_per_second
	$(BIN)/python -m benchmarks.training_step
	$(BIN)/python -m benchmarks.training_against_smp
	$(BIN)/python -m benchmarks.data_pipeline
	$(BIN)/python -m benchmarks.label_map $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.against_peers $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.engines $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.upsampled_cross_entropy $(BENCH_ARGS)
	$(BIN)/python docs/make_measured.py

soak: $(READY) ## the long tests: many more random cases, slow ones included
	HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -m "slow or not slow" $(PYTEST_ARGS)

lock: $(if $(filter .uv/bin/uv,$(UV)),.uv/bin/uv) ## resolve requirements.lock anew
	$(UV) pip compile --quiet --universal --all-extras --group dev --generate-hashes --no-header \
	  --no-annotate --upgrade --output-file requirements.lock pyproject.toml

clean: ## remove what the other targets made
	rm -rf .venv .uv site $(DEMO) .pytest_cache .ruff_cache
