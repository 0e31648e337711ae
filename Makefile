# The smart exchange. `make` alone prints the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
UV := build/bootstrap/bin/uv
# One interpreter for everything: the one that runs make. uv must not fetch another.
export UV_PYTHON_DOWNLOADS := never
export UV_PROJECT_ENVIRONMENT := $(VENV)
READY := $(VENV)/.ready

.PHONY: help up test bench lint format proto clean

help: ## Print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: $(READY) ## Install what is missing and start the whole exchange (ARGS="--help" lists its options)
	@exec $(VENV)/bin/smartex-up $(ARGS)

test: $(READY) ## Run every check and every test, real servers included
	@$(VENV)/bin/python .ci/checks.py
	@$(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

bench: $(READY) ## Measure product and peers in one run (ONLY=name, FLOW=file.npz); writes build/bench.json
	@$(VENV)/bin/python tests/benchmarks/run.py $(if $(ONLY),--only $(ONLY)) $(if $(FLOW),--flow $(FLOW)) $(ARGS)

lint: $(READY) ## Check style, types, import contracts, protobuf lint and generated code only
	@$(VENV)/bin/python .ci/checks.py --only lint

format: $(READY) ## Format the code
	@$(VENV)/bin/ruff check -q --fix-only . ; $(VENV)/bin/ruff format -q .

proto: $(READY) ## Generate contracts and the API page from proto/
	@$(VENV)/bin/python libs/contracts/generate.py

clean: ## Remove what was built and installed (not ./data, the exchange's memory)
	@rm -rf $(VENV) .venvs build .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ": set PYTHON=") if sys.version_info < (3, 11) else None'
	@echo "installing uv …"
	@$(PYTHON) -m venv build/bootstrap 2>/dev/null && build/bootstrap/bin/python -m pip install -q --disable-pip-version-check "uv>=0.9,<1" \
	  || $(PYTHON) -m pip install -q --disable-pip-version-check --target build/bootstrap "uv>=0.9,<1"

# Compiled here, once: where PYTHONDONTWRITEBYTECODE is set, every process would compile all that it imports.
$(READY): $(UV) uv.lock pyproject.toml $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)
	@echo "installing the exchange into $(VENV) …"
	@$(UV) sync --quiet --frozen --all-packages --compile-bytecode --python $(PYTHON)
	@$(VENV)/bin/python -m compileall -q libs services
	@touch $@
