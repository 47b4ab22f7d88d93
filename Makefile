# `make demo` and `make test` do all their set-up themselves; everything is installed into VENV and nowhere else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
# The environment of the backend `diffusers`: with torch, in the build that TORCH names, so that .venv stays small.
LOCAL := .venv-local
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
UV := UV_NO_PROGRESS=1 $(BIN)/uv
# Only the named steps need the network: an editable install must find its builder in the environment.
EDITABLE := --quiet --offline --no-deps --no-build-isolation -e .
LOCKS := requirements.lock requirements-dev.lock
# What differs between torch's builds and comes with it.
TORCH_BUILD := torch triton cuda-bindings cuda-pathfinder cuda-toolkit nvidia-cublas nvidia-cuda-cupti \
	nvidia-cuda-nvrtc nvidia-cuda-runtime nvidia-cudnn-cu13 nvidia-cufft nvidia-cufile nvidia-curand nvidia-cusolver \
	nvidia-cusparse nvidia-cusparselt-cu13 nvidia-nccl-cu13 nvidia-nvjitlink nvidia-nvshmem-cu13 nvidia-nvtx
COMPILE = $(UV) pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" $(UPGRADE)

# Extra arguments: `make test ARGS="-k skeletons"`, `make demo ARGS="--help"`.
ARGS ?=
# `make lock UPGRADE=--upgrade` takes the newest releases that the ranges allow.
UPGRADE ?=

# One thread per process: the tests run in two of them, and pools of their own would fight.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help install install-dev install-local demo lab test test-local check format lock clean bench

help:  ## Show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(VENV)/.installed  ## Install posegen and what it needs into .venv
	@:

install-dev: $(VENV)/.installed-dev  ## The same with what tests and checks need
	@:

install-local: $(LOCAL)/.installed  ## The same with torch and diffusers, into .venv-local; TORCH=... chooses a build
	@:

demo: $(VENV)/.installed  ## Run the main job offline: a small varied batch
	@$(BIN)/posegen demo $(ARGS)

lab: $(VENV)/.installed  ## Open JupyterLab on the notebooks
	@$(BIN)/jupyter lab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks \
		$(if $(filter 0,$(shell id -u)),--allow-root) $(ARGS)

test: $(VENV)/.installed-dev  ## Run every test, with coverage
	@tools/install_exiftool.sh
ifneq ($(wildcard tests/notebooks/*.ipynb),)
	@# Stored outputs are compared in a run of their own: with coverage on, nbval hangs in the kernel.
	@$(BIN)/pytest --nbval --nbval-current-env --nbval-cell-timeout=120 tests/notebooks/*.ipynb
endif
	@$(BIN)/pytest -n 2 --dist loadfile --cov --cov-report=term $(ARGS)

test-local: $(LOCAL)/.installed  ## Run the tests of the backend diffusers with torch, on tiny pipelines
	@# Without these the tests below would be skipped, not failed.
	@$(LOCAL)/bin/python -W ignore -c "import torch, diffusers; print('torch', torch.__version__, 'diffusers', diffusers.__version__)"
	@$(LOCAL)/bin/pytest --quiet -n 2 --dist loadfile tests/backends/diffusers $(ARGS)

check: $(VENV)/.installed-dev  ## Run the static checks
	@failed=""; \
	$(BIN)/ruff check --quiet --output-format concise . || failed+=" ruff"; \
	$(BIN)/ruff format --check --quiet --output-format concise . || failed+=" format (make format)"; \
	$(BIN)/mypy --no-error-summary || failed+=" types"; \
	$(BIN)/lint-imports --no-logo || failed+=" layers"; \
	[ -z "$$failed" ] || { echo "Failed:$$failed"; exit 1; }

format: $(VENV)/.installed-dev  ## Format, and mend what can be mended by itself
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev  ## Run the benchmarks
	@for script in benchmarks/*.py; do [ -e "$$script" ] || continue; echo "== $$script"; $(BIN)/python "$$script"; done

lock: $(BIN)/uv  ## Resolve the locked dependencies anew, from the ranges in pyproject.toml
	@$(COMPILE) pyproject.toml --group build --extra accuracy -o requirements.lock
	@$(COMPILE) pyproject.toml --group build --extra accuracy --extra dev -c requirements.lock -o requirements-dev.lock
	@echo "$(TORCH)" | $(COMPILE) pyproject.toml - --group build --extra accuracy --extra dev --extra local -c requirements-dev.lock \
		$(TORCH_BUILD:%=--no-emit-package %) -o requirements-local.lock
	@$(COMPILE) --group bootstrap -o requirements-bootstrap.lock

clean:  ## Remove the environment and what tools left, but not what runs wrote
	@rm -rf $(VENV) $(LOCAL) build dist htmlcov .coverage .coverage.* coverage.xml
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find posegen tests notebooks benchmarks -name __pycache__ -prune -exec rm -rf {} +

$(BIN)/uv: requirements-bootstrap.lock
	@echo "Making $(VENV)"
	@tools/make_venv.sh $(VENV)
	@touch $@

# A development environment stays one: its lock holds the same pins and more.
$(VENV)/.installed: $(BIN)/uv $(LOCKS) pyproject.toml
	@lock=requirements.lock; [ ! -e $(VENV)/.installed-dev ] || lock=requirements-dev.lock; \
	echo "Installing $$lock"; $(UV) pip sync --quiet --require-hashes $$lock
	@$(UV) pip install $(EDITABLE)
	@touch $@

$(VENV)/.installed-dev: $(BIN)/uv $(LOCKS) pyproject.toml
	@echo "Installing requirements-dev.lock"
	@$(UV) pip sync --quiet --require-hashes requirements-dev.lock
	@$(UV) pip install $(EDITABLE)
	@touch $@ $(VENV)/.installed

# torch comes by pip, which knows the builds of this machine; the rest from the lock, which has all but torch.
$(LOCAL)/.installed: requirements-bootstrap.lock requirements-local.lock pyproject.toml
	@[ -e $(LOCAL)/bin/uv ] || { echo "Making $(LOCAL)"; tools/make_venv.sh $(LOCAL); }
	@echo "Installing $(TORCH) and requirements-local.lock"
	@$(LOCAL)/bin/python -m pip install --quiet --disable-pip-version-check "$(TORCH)" || { \
		echo "$(TORCH) cannot be installed here: make TORCH=... names another build."; exit 1; }
	@UV_NO_PROGRESS=1 $(LOCAL)/bin/uv pip install --python $(LOCAL)/bin/python --quiet --no-deps --require-hashes -r requirements-local.lock
	@UV_NO_PROGRESS=1 $(LOCAL)/bin/uv pip install --python $(LOCAL)/bin/python $(EDITABLE)
	@touch $@
