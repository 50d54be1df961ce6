# `make demo` and `make test` do all set-up: a virtual environment, torch, this project, its tools.
#
#   VENV    where the environment is made
#   PYTHON  what makes it, 3.11 to 3.13
#   TORCH   what pip installs first; say TORCH="torch==2.13.0 --index-url ..." for a CPU-only build
#   MARKS   which tests `make test` runs, a file at a time on each of 4 cores at most

VENV   ?= .venv
PYTHON ?= python3
TORCH  ?= torch==2.13.0
MARKS  ?= not train and not slow and not gpu and not network

BIN   := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test check fix clean

help:
	@echo "make demo    a teacher becomes a small 8-bit student, pulled and answering (minutes)"
	@echo "make test    the quick tests"
	@echo "make check   format, lint, types, imports, generated text"
	@echo "make fix     mend format, lint and generated text"

demo: $(READY)
	BIN=$(BIN) sh docs/demo.sh

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadfile -m "$(MARKS)"

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

fix: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/python docs/generate.py

clean:
	rm -rf demo .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache

# Once for a pyproject.toml. pip reads dependency groups from 25.1 on.
$(READY): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet --editable ".[serve,train]" --group dev
	@touch $(READY)
