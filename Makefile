# The manual of this repository: `make help`. Every target does its own set-up, in .venv, from a CPython and a C++ compiler.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Any CPython from 3.11 on; name another one with `make PYTHON=/path/to/python3.13 test`.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Test processes side by side, each with one thread of torch.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS)

TOOLS_READY := $(VENV)/.tools-ready
READY := $(VENV)/.ready
NATIVE := $(wildcard CMakeLists.txt) $(shell find csrc -type f 2>/dev/null)
NATIVE_CODE := $(filter %.cpp %.h %.inc,$(NATIVE))

.PHONY: help demo test test-slow bench lint types format native wheel wheel-check warnings sanitize sanitize-address sanitize-thread docs learn ci clean

help: ## print this list
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

# The environment, in two steps, so that a change in the C++ does not start from nothing.
$(TOOLS_READY): constraints.txt
	@test -n "$(PYTHON)" || { echo "make: expected CPython 3.11 or newer, found none; name one: make PYTHON=/path/to/python3" >&2; exit 2; }
	@echo "== $(VENV): a virtual environment of $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@echo "== $(VENV): pip and the build tools, in the versions of constraints.txt"
	@$(PIP) install --quiet -c constraints.txt pip cmake nanobind ninja scikit-build-core
	@echo "== $(VENV): torch, NumPy and safetensors (the longest download; minutes the first time)"
	@$(PIP) install --quiet -c constraints.txt torch numpy safetensors
	@touch $@

$(READY): $(TOOLS_READY) pyproject.toml constraints.txt $(NATIVE)
	@command -v $${CXX:-c++} >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null \
		|| { echo "make: expected a C++ compiler with C++20 on the PATH, found none; install g++ or clang++" >&2; exit 2; }
	@echo "== $(VENV): the C++ core is built, and throughtime installed with its extras and the test tools"
	@$(PIP) install --quiet --no-build-isolation -c constraints.txt --group dev --editable '.[all]'
	@touch $@

demo: $(READY) ## train three recurrent forecasters on real series, compare them, draw them, save one
	@$(BIN)/throughtime demo

test: $(READY) ## the test suite (seconds to minutes, no network)
	@echo "== tests"
	@$(PYTEST) $(ARGS)

test-slow: $(READY) ## the slow tests: full products and long runs
	@echo "== slow tests"
	@$(PYTEST) -m slow --timeout 3600 $(ARGS)

bench: $(READY) ## measure the layers beside their peers, as far as benchmarks/results does not hold it (a quiet machine)
	@$(BIN)/python -m benchmarks.speed $(ARGS)

lint: $(READY) ## ruff, and clang-format on csrc
	@echo "== ruff"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(if $(NATIVE_CODE),echo "== clang-format" && $(BIN)/clang-format --dry-run -Werror $(NATIVE_CODE))

format: $(READY) ## rewrite Python and C++ files in the house's format
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .
	@$(if $(NATIVE_CODE),$(BIN)/clang-format -i $(NATIVE_CODE))

types: $(READY) ## mypy --strict on src
	@echo "== mypy"
	@$(BIN)/mypy --strict src

native: $(TOOLS_READY) ## build the C++ core again and install it
	@rm -f $(READY)
	@$(MAKE) --no-print-directory $(READY)

wheel: $(READY) ## build a wheel into dist/
	@echo "== wheel"
	@rm -rf dist
	@$(PIP) wheel --quiet --no-build-isolation --no-deps -w dist .
	@ls dist/*.whl

# Only the fresh environment is on the PATH: no compiler, no make, no git.
wheel-check: wheel ## install that wheel in a fresh environment without a compiler, and run the main job there
	@echo "== wheel-check: a fresh environment"
	@rm -rf build/wheel-check
	@$(PYTHON) -m venv build/wheel-check
	@cd build/wheel-check && here="$$PWD" && export PATH="$$here/bin" \
		&& for tool in cc c++ gcc g++ clang clang++ cmake; do \
			if command -v $$tool >/dev/null; then echo "make: $$tool is on the PATH" >&2; exit 1; fi; done \
		&& python -m pip --disable-pip-version-check install --quiet -c ../../constraints.txt pip \
		&& python -m pip --disable-pip-version-check install --quiet --only-binary :all: -c ../../constraints.txt \
			"$$(echo ../../dist/throughtime-*.whl)[forecast]" \
		&& python -I ../../.ci/short_run.py "$$here/bin/throughtime"

CMAKE_CONFIGURE = $(BIN)/cmake -S . -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja \
	-DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -Dnanobind_DIR="$$($(BIN)/python -m nanobind --cmake_dir)"

warnings: $(READY) ## compile csrc with warnings as errors
	@echo "== C++ with warnings as errors"
	@$(CMAKE_CONFIGURE) -B build/warnings -DTHROUGHTIME_WERROR=ON >/dev/null
	@$(BIN)/cmake --build build/warnings

# The driver calls every kernel through the module that lies in the folder it is given; NumPy alone, since torch under a
# sanitizer reports its own. The runtime must be there before Python starts: hence the preload, and GCC, whose runtimes
# have these names. The thread sanitizer needs addresses that are not randomised.
SANITIZE_CXX := g++
runtime = $$($(SANITIZE_CXX) -print-file-name=$(1))
SANITIZE_RUN = PYTHONPATH=.:src OPENBLAS_NUM_THREADS=1 PYTHONMALLOC=malloc

sanitize: sanitize-address sanitize-thread ## the kernels under address + undefined-behaviour and thread sanitizers

sanitize-address: SANITIZERS := address,undefined
sanitize-address: PRELOAD = LD_PRELOAD="$(call runtime,libasan.so) $(call runtime,libubsan.so) $(call runtime,libstdc++.so)" \
	ASAN_OPTIONS=detect_leaks=0
sanitize-address: PROVOKE := overrun

sanitize-thread: SANITIZERS := thread
sanitize-thread: PRELOAD = LD_PRELOAD="$(call runtime,libtsan.so) $(call runtime,libstdc++.so)" TSAN_OPTIONS=halt_on_error=1 \
	setarch -R
sanitize-thread: PROVOKE := race

# First a finding made on purpose: a sanitizer that is not at work would find nothing either.
sanitize-address sanitize-thread: $(READY)
	@echo "== $@: build"
	@CXX=$(SANITIZE_CXX) $(CMAKE_CONFIGURE) -B build/$@ -DTHROUGHTIME_SANITIZE=$(SANITIZERS) \
		-DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_FLAGS_RELWITHDEBINFO="-O1 -g1" >/dev/null
	@$(BIN)/cmake --build build/$@
	@echo "== $@: run"
	@if $(SANITIZE_RUN) env $(PRELOAD) $(BIN)/python -m tests.kernels.sanitize_driver build/$@ --provoke $(PROVOKE) \
		2>/dev/null; then echo "make: expected $@ to report the $(PROVOKE) made on purpose, got none" >&2; exit 1; fi
	@$(SANITIZE_RUN) env $(PRELOAD) $(BIN)/python -m tests.kernels.sanitize_driver build/$@

docs: $(READY) ## the documentation as a site, in site/ (nothing on it is fetched when it is read)
	@echo "== docs"
	@$(PIP) install --quiet -c constraints.txt --group docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

learn: $(READY) ## run the learning path's programs anew: what they print, and their pictures
	@echo "== learn"
	@$(BIN)/python docs/learn/refresh.py $(ARGS)

ci: ## everything that CI runs, in this checkout
	@.ci/run

clean: ## remove builds, caches and the environment
	rm -rf $(VENV) build dist demo-output .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests tools benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true
