# Needs CPython 3.10 or newer and make, nothing else.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
PY := $(BIN)/python
PAGE := tests/page
RUN := PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY)

# A virtual environment without its torch would be taken for a finished one.
.DELETE_ON_ERROR:

.PHONY: help demo test lint types tests bench soak tables clean
help:
	@echo "make demo   text, image, keyframes and extend, offline and free -> demo_output/"
	@echo "make test   lint, types and all tests"
	@echo "make bench  time and memory of everything -> docs/benchmarks.md; about 15 minutes, PARTS=decode,encode for less"
	@echo "make soak   thousands of schedules of faults and of broken clips; many minutes"
	@echo "make tables the tables of the README and the help pages, anew from what the providers are, and locales/en"
	@echo "make clean  remove what these made"

demo: $(VENV)/demo.stamp
	$(RUN) -m luma_ray.nodes.cli demo --out demo_output

test: lint types tests

lint: $(VENV)/test.stamp
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(VENV)/test.stamp
	$(RUN) -m mypy nodes
	@$(MAKE) --no-print-directory $(PAGE)/node_modules/.stamp || \
	  echo "SKIPPED without TypeScript and axe-core from npm: the types of web/, and barriers in it."
	@test ! -f $(PAGE)/node_modules/.stamp || (set -x; $(PAGE)/node_modules/.bin/tsc -p $(PAGE))

# For checking only: nothing of it is shipped.
$(PAGE)/node_modules/.stamp: $(PAGE)/package.json
	@command -v npm >/dev/null || (echo "There is no npm here."; exit 1)
	cd $(PAGE) && npm install --silent
	@touch $@

# Not `python -m pytest`: that puts this folder on the path, where ComfyUI's own module `nodes` would be ours.
tests: $(VENV)/test.stamp
	$(BIN)/pytest tests -n auto --dist loadfile

# What cannot be installed here is left out of the tables, and named there.
bench: $(VENV)/test.stamp
	-$(RUN) -m pip install --quiet --editable ".[bench]"
	$(RUN) tests/bench --parts "$(PARTS)" $(if $(ROUNDS),--rounds $(ROUNDS))
	$(RUN) tests/pages.py

soak: $(VENV)/test.stamp
	$(RUN) tests/soak.py
	LUMA_RAY_THOROUGH=1 $(BIN)/pytest tests/test_faults.py
	$(RUN) tests/fuzz/hunt.py --count 5000
	LUMA_RAY_MUTATIONS=1000 $(BIN)/pytest tests/test_hostile_clips.py

tables: $(VENV)/test.stamp
	$(RUN) tests/pages.py

# torch first and by its own version: with one present, any is accepted; left to itself, pip would take the
# newest with gigabytes of CUDA.
$(PY):
	@$(PYTHON) -c "import sys; sys.exit('Python 3.10 or newer is needed, this is ' + sys.version.split()[0] if sys.version_info < (3, 10) else 0)"
	@$(PYTHON) -m venv $$($(PYTHON) -c "import torch" 2>/dev/null && echo --system-site-packages) $(VENV)
	$(RUN) -c "import torch" 2>/dev/null || $(RUN) -m pip install --quiet torch==2.13.0

$(VENV)/demo.stamp: $(PY) pyproject.toml
	$(RUN) -m pip install --quiet --editable .
	touch $@

$(VENV)/test.stamp: $(PY) pyproject.toml
	$(RUN) -m pip install --quiet --editable ".[dev]"
	touch $@ $(VENV)/demo.stamp

clean:
	rm -rf $(VENV) $(PAGE)/node_modules demo_output .mypy_cache .ruff_cache tests/.pytest_cache luma_ray.egg-info
