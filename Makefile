.DEFAULT_GOAL := study
.PHONY: study test lint docs lock

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

export PATH := $(CURDIR)/$(BIN):$(PATH)

# The default study: tables, figures, and a report that begins with what was found.
study: $(INSTALLED)
	@snakemake

# Every check and every test; a third of their time they wait, for Slurm or for processes that they kill.
test: lint
	OMP_NUM_THREADS=1 python -m pytest -n 3 --durations=15

lint: $(INSTALLED)
	ruff check
	ruff format --check
	snakefmt --check Snakefile workflow/rules
	snakemake --lint
	mypy

# What docs/tables.md and the README say of experiments and columns, the numbers that pages quote, the picture of the
# notebook, and the site: site/index.html.
docs: $(INSTALLED)
	python docs/generate.py
	python docs/quoted.py --write
	cd examples && jupyter execute two_networks.ipynb && cp two_networks/curves.png ../docs/two_networks.png
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

# Python and the pinned packages, once.
$(INSTALLED): requirements.txt constraints.txt pyproject.toml
	@for python in $(PYTHON) python3.12 python3.11 python3 python3.13 python3.14; do \
	  "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	  python=; \
	done; \
	if [ -z "$$python" ]; then \
	  echo "Python 3.11 or newer is needed and none was found; name one with: make PYTHON=/path/to/python" >&2; \
	  exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$python (once, a few minutes)"; \
	[ -x $(BIN)/python ] || "$$python" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# Pin what is installed now, after a change of requirements.txt.
lock:
	$(BIN)/python -m pip freeze --all --exclude pip --exclude-editable > constraints.txt
