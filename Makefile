# tinybox: everything that one does with a checkout. `make help` lists it.
#
# Set-up is done by whichever target needs it, says what it does, and is silent once it is done. What needs root asks
# sudo for it, so that `sudo make run` and `make run` come to the same.

.DEFAULT_GOAL := help
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

IMAGE ?= alpine
CMD ?=
ARGS ?=

VENV := $(CURDIR)/.venv
VENV_PYTHON := $(VENV)/bin/python
TINYBOX := $(VENV)/bin/tinybox
READY := $(VENV)/.ready
# Not in the checkout, which may be a user's: root obeys no such store.
V2_STORE := /var/tmp/tinybox-v2-store
JUNIT = $(if $(REPORTS),--junitxml="$(REPORTS)/$@.xml")
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)
export PATH := $(VENV)/bin:$(PATH)
export CMD

.PHONY: help
help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

# -- set-up ------------------------------------------------------------------------------------------------------------

.PHONY: setup
setup: packages $(READY)  ## Debian packages and the virtual environment .venv, no more
	@$(VENV_PYTHON) -m compileall -q tinybox

.PHONY: packages
packages:
	@tools/setup.sh packages

.PHONY: test-packages
test-packages:
	@tools/setup.sh packages test

$(READY): pyproject.toml tools/setup.sh
	@tools/setup.sh venv "$(VENV)"
	@touch $@

.PHONY: images
images: setup  ## the images alpine and busybox, in /var/lib/tinybox
	@$(SUDO) tools/setup.sh images "$(TINYBOX)" busybox alpine

.PHONY: install
install: setup  ## the command for everyone: a link in /usr/local/bin, completion, manual pages
	@$(SUDO) tools/setup.sh install "$(VENV)/bin"

# -- the two commands of the README ------------------------------------------------------------------------------------

.PHONY: run
run: setup  ## a shell in a box; make run IMAGE=busybox CMD='echo hi' runs that instead
	@$(SUDO) tools/setup.sh images "$(TINYBOX)" "$(IMAGE)"
	@$(SUDO) env CMD="$$CMD" tools/run.sh "$(TINYBOX)" "$(IMAGE)"

.PHONY: test
test: setup test-packages  ## the whole test suite, for which be root; make test ARGS='-k memory' chooses
	@$(VENV_PYTHON) -m pytest $(JUNIT) $(ARGS)

.PHONY: test-v2
test-v2: setup test-packages  ## kernel and cli tests on pure cgroup v2, in machines of their own; more than an hour
	@$(SUDO) env TINYBOX_ROOT="$(V2_STORE)" tools/setup.sh images "$(TINYBOX)" busybox alpine
	@exec $(SUDO) $(VENV_PYTHON) -m tests.vm.suite "$(V2_STORE)" $(ARGS)

.PHONY: test-provision
test-provision: setup  ## the Vagrantfile, and vm/provision.sh on a Debian from nothing; minutes, and the network
	@tools/setup.sh packages lecture-test
	@$(VENV_PYTHON) -m pytest $(JUNIT) tests/vm/test_lecture.py $(ARGS)

.PHONY: soak
soak: setup test-packages  ## the races and the kills in their long form: 200 rounds, every call; tens of minutes
	@TINYBOX_SOAK=1 $(VENV_PYTHON) -m pytest $(JUNIT) tests/kernel/life/test_races.py tests/kernel/life/test_life_faults.py tests/kernel/life/test_faults.py $(ARGS)

# -- for those who change it -------------------------------------------------------------------------------------------

.PHONY: check
check: $(READY)  ## lint, types, unit tests and guards; no root, seconds
	@$(MAKE) --jobs=4 --keep-going --output-sync=target lint types unit guards

.PHONY: lint
lint: $(READY)
	@ruff check --quiet --output-format=concise . && ruff format --quiet --check . && echo "lint: ok"

.PHONY: types
types: $(READY)
	@mypy

.PHONY: unit
unit: $(READY)
	@$(VENV_PYTHON) -m pytest -q $(JUNIT) -m "not root and not slow" tests/unit $(ARGS)

.PHONY: guards
guards: $(READY)
	@$(VENV_PYTHON) -m pytest -q $(JUNIT) -m "not root and not slow" tests/guards $(ARGS)

.PHONY: format
format: $(READY)  ## let ruff lay out the code
	@ruff check --quiet --fix . ; ruff format .

.PHONY: docs
docs: $(READY)  ## write anew what the documents take from the code
	@$(VENV_PYTHON) -m tools.cli_reference > docs/cli.md.new && mv docs/cli.md.new docs/cli.md
	@$(VENV_PYTHON) -m tools.documents

.PHONY: bench
bench: images  ## start-up against runc, crun, bwrap and podman
	@$(SUDO) $(VENV_PYTHON) benchmarks/startup.py $(ARGS)

.PHONY: scale
scale: images  ## many containers at once: starts a second and memory, against podman; ps over 1000
	@$(SUDO) $(VENV_PYTHON) benchmarks/scale.py $(ARGS)

.PHONY: clean
clean:  ## remove what set-up and tests made here; images and containers stay
	@[ "$$(readlink /usr/local/bin/tinybox)" != "$(TINYBOX)" ] || $(SUDO) tools/setup.sh uninstall
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
