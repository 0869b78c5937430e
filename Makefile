# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
# They need Python 3.11 or newer with venv. PYTHON=python3.12 and PORT=8000 are yours to set.

PYTHON ?= python3
PORT ?= 7860
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lint browser bench screenshots clean

demo: $(VENV)/.ready
	$(BIN)/python app.py --port $(PORT)

# Two processes with a thread each; `pytest` alone runs one after the other.
test: $(VENV)/.ready-test browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

check: lint test

lint: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Think2Seg needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: requirements.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	touch $@

$(VENV)/.ready-test: requirements-test.txt requirements-train.txt $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-test.txt
	touch $@

# Every claim of speed, measured: under twenty minutes on a quiet machine, QUICK=1 under two. Writes BENCHMARKS.md
# (QUICK=1: BENCHMARKS.quick.md, which is not kept). DEVICE=cuda runs the same on a GPU.
DEVICE ?= cpu
bench: $(VENV)/.ready-test
	$(BIN)/python -m bench --device $(DEVICE) $(if $(QUICK),--quick --out BENCHMARKS.quick.md)

# The README's pictures of the page, with the bundled models and a real Chromium.
screenshots: $(VENV)/.ready-test browser
	$(BIN)/python assets/screenshots/take.py

# The browser tests drive Chromium; where it is missing and may be installed, it is. Else they are skipped, and say so.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null 2>&1 || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y chromium >/dev/null; } || \
	  echo "No Chromium here: the browser tests will be skipped. Install the package 'chromium' to run them."

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache dist
