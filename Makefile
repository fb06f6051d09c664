# Every target creates what it needs in .venv with plain pip, and reuses it.
PYTHON ?= python3
BIN := .venv/bin
RESULTS ?= results

# Where a machine forbids bytecode, every process that a test starts would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install demo knowing-base test test-slow coverage check docs site clean

install: .venv/installed

# Nothing is compiled beforehand: of most modules of these packages none is ever imported.
# torch is installed first and pinned. Where only a processor is wanted, point pip at wheels built for
# it (PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL): the registry's own wheel for Linux brings CUDA along.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e ".[dev]"
	@touch $@

demo: install
	OMP_NUM_THREADS=1 $(BIN)/rankscope demo --results $(RESULTS)

# A base that knows the facts of a made-up world, and what it knows (docs/knowledge.md): some 6 minutes on two cores.
knowing-base: install
	OMP_NUM_THREADS=1 $(BIN)/rankscope run studies/knowing-base.yaml --results $(RESULTS)

test: install
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# Apart, since measuring coverage takes as long again as the tests.
coverage: install
	$(BIN)/python -m coverage erase
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --cov --cov-report=term

test-slow: install
	$(BIN)/python -m pytest -m "slow and not gpu and not network"

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/house.py
	$(BIN)/python scripts/write_docs.py --check

docs: install
	$(BIN)/python scripts/write_docs.py

# The documentation as a site, in site/; links that lead nowhere fail.
site: install
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e ".[site]"
	$(BIN)/python scripts/gather_site.py site-src
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet --site-dir site

clean:
	rm -rf .venv site site-src .coverage* .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
