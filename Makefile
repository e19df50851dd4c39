# The commands of this project. `make demo` and `make test` need nothing but Python 3.11 and set up the rest.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup
ARGS ?=
OLDEST_AIOHTTP = $(shell sed -n 's/.*"aiohttp>=\(.*\)",/\1/p' pyproject.toml)
RELAY_TESTS := $(addprefix tests/proxy/,test_[bdfhk]*.py test_con*.py test_re[ls]*.py test_shutdown.py test_websocket_*.py)

.DEFAULT_GOAL := help
.PHONY: help setup demo test oldest soak serve check format bench wheel clean

help: ## say what there is to make
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: $(STAMP) ## create .venv and install everything into it

$(STAMP): pyproject.toml
	@command -v $(PYTHON) > /dev/null || { \
	  echo "tailrace needs Python 3.11 or later, and '$(PYTHON)' is not there. On Debian: apt-get install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "tailrace needs Python 3.11 or later, and '$(PYTHON)' is older. Name another: make setup PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2> /dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments. On Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV): a minute, once"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo,dev]'
	@touch $@

demo: $(STAMP) ## the main job on a scripted upstream: no key, no network
	@$(BIN)/tailrace demo $(ARGS)

test: $(STAMP) ## run all tests (ARGS="tests/tracing -x" for some)
	@$(BIN)/python -m pytest $(ARGS)

oldest: $(STAMP) ## run the relay's tests on the oldest aiohttp that is allowed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	  --target .ci/cache/aiohttp-$(OLDEST_AIOHTTP) aiohttp==$(OLDEST_AIOHTTP)
	@PYTHONPATH=.ci/cache/aiohttp-$(OLDEST_AIOHTTP) $(BIN)/python -m pytest --quiet $(RELAY_TESTS)

soak: $(STAMP) ## half an hour of mixed traffic with faults (ARGS="--seconds 60" for less)
	@$(BIN)/python -m tests.soak $(ARGS)

serve: $(STAMP) ## trace what goes to https://api.openai.com/v1
	@exec $(BIN)/tailrace serve $(ARGS)

check: $(STAMP) ## formatting, lint and types
	@$(BIN)/ruff format --check --quiet . || { echo "Not formatted: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy

format: $(STAMP) ## format the code and sort its imports
	@$(BIN)/ruff check --quiet --select I --fix .
	@$(BIN)/ruff format .

bench: $(STAMP) ## measure what the proxy costs, beside others (ARGS="burst small --rounds 3")
	@$(BIN)/python -m bench $(ARGS)

wheel: $(STAMP) ## build dist/tailrace-*.whl
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean: ## remove what was built and set up
	rm -rf $(VENV) dist build .ci/cache node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
