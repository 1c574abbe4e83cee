# `make demo` and `make test` work on a fresh machine: each makes .venv and installs the pinned requirements first.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo clean-demo results options test bench chaos faults slurm-check lint hostile full-disk

PYTHON := .venv/bin/python
CONFIG ?= configs/demo_cars.txt
PIP_FLAGS := --disable-pip-version-check $(if $(CI),-qq)  # a person sees the downloads, a log does not need them

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

demo: .venv/.installed  ## from nothing to novel cars: steps 0 to 7 on demo cars; finished steps are skipped
	@$(PYTHON) runtime/check_system.py
	@bash demo.sh $(CONFIG)

clean-demo:  ## delete the demo's cars and its experiment, so that `make demo` starts over
	rm -rf datasets/demo_cars models/experiments/demo_cars

results: .venv/.installed  ## write docs/results.md and the table of README.md from the demo's results
	@$(PYTHON) -m lab.documents.write_results --config $(CONFIG)

options: .venv/.installed  ## write docs/options.md, the table of all options
	@$(PYTHON) -m lab.documents.write_options

test: .venv/.installed-dev  ## run the tests; one of them: make test ARGS="-k coupling"
	@$(PYTHON) runtime/check_system.py
	OMP_NUM_THREADS=1 $(PYTHON) -m pytest -n 2 --dist worksteal $(ARGS)

bench: .venv/.installed-bench  ## our speed beside other libraries', into lab/notes/speed.md (30 minutes); ARGS="--quick": a look
	@$(PYTHON) runtime/check_system.py
	$(PYTHON) -m lab.benchmarks $(or $(ARGS),--document lab/notes/speed.md)

chaos: .venv/.installed-dev  ## kill every step at random moments, 100 times, and compare; other numbers: make chaos ARGS="--kills 20"
	$(PYTHON) -m lab.stress.kills $(ARGS)

faults: .venv/.installed-dev  ## let single calls of the system fail in every step, as network disks do; ARGS="--faults 3"
	$(PYTHON) -m lab.stress.faults $(ARGS)

hostile: .venv/.installed-dev  ## broken and hostile input for every reader (minutes); ARGS="split ply": some of them
	OMP_NUM_THREADS=1 $(PYTHON) -m lab.stress.hostile.run $(ARGS)

full-disk: .venv/.installed-dev  ## every step on a full disk, as root (minutes); ARGS="train_ndf.py": one of them
	OMP_NUM_THREADS=1 $(PYTHON) -m lab.stress.hostile.full_disk $(ARGS)

slurm-check: .venv/.installed-dev  ## the job scripts on a real Slurm (minutes); ARGS="--install": install one on this machine, as root
	OMP_NUM_THREADS=1 $(PYTHON) -m lab.slurm.run $(ARGS)

lint: .venv/.installed-dev  ## check style, format and types
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

# The first of these commands that is Python 3.10, 3.11 or 3.12 and can make virtual environments.
.venv/bin/python:
	@for python in python3.11 python3.12 python3.10 python3; do \
	  if $$python -c 'import sys, ensurepip; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; then \
	    echo "making .venv with $$($$python --version)"; \
	    exec $$python -m venv --clear .venv; \
	  fi; \
	done; \
	echo "error: no Python 3.10, 3.11 or 3.12 with its venv module found; install one" \
	  "(Debian 12, Ubuntu 22.04 and 24.04: sudo apt-get install python3-venv), then try again" >&2; \
	exit 2

.venv/.installed: requirements.txt pyproject.toml | .venv/bin/python
	@echo "installing requirements.txt into .venv (about 1.7 GB, a few minutes)"
	@$(PYTHON) -m pip install $(PIP_FLAGS) -r requirements.txt
	@touch $@

.venv/.installed-bench: requirements-bench.txt .venv/.installed
	@$(PYTHON) -m pip install $(PIP_FLAGS) -r requirements-bench.txt
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	@$(PYTHON) -m pip install $(PIP_FLAGS) -r requirements-dev.txt
	@touch $@
