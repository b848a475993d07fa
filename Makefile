# Everything a fresh machine needs is python3.11 (or newer) and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/quickstart

.PHONY: install quickstart test test-slow lint bench clean

install: $(VENV)/.installed

# torch goes first and alone: with a wider range, pip takes a build with gigabytes of CUDA packages.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,onnx,ray]'
	touch $@

quickstart: install
	$(BIN)/reknit adapt python-docs --start scratch --budget 3m --out $(RUN) --overwrite

test: install
	$(BIN)/pytest

test-slow: install
	$(BIN)/pytest -m slow --timeout 1800

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The main job on real collections, where ../shared/data has them: about an hour; writes records/adapt and docs/measured.md.
bench: install
	$(BIN)/python benchmarks/measure_adaptation.py cranfield xquad_en npl text

clean:
	rm -rf $(VENV) runs build
