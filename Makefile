# tinybox: all commands for a checkout. `make help` lists them.
#
# Each target that needs the set-up does it. The set-up prints what it does, and prints nothing when it is complete.
# Commands that need root use sudo, so `sudo make run` and `make run` do the same. `make run SUDO=` runs the box without
# root, with images and boxes of the user's own: see docs/rootless.md.

.DEFAULT_GOAL := help
SHELL := /bin/sh
MAKEFLAGS += --no-print-directory

IMAGE ?= alpine
CMD ?=
ARGS ?=
DOCKER ?=

VENV := $(CURDIR)/.venv
VENV_PYTHON := $(VENV)/bin/python
TINYBOX := $(VENV)/bin/tinybox
READY := $(VENV)/.ready
# Not in the checkout, which may belong to another user: root refuses a store that another user can write.
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
setup: packages $(READY)  ## install Debian packages, make the virtual environment .venv
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
images: setup  ## make the images alpine and busybox, in /var/lib/tinybox
	@$(SUDO) tools/setup.sh images "$(TINYBOX)" busybox alpine

.PHONY: install
install: setup  ## install the command for all users: links, completion, manual pages; DOCKER=1 installs it as docker, too
	@$(SUDO) tools/setup.sh install "$(VENV)/bin" "$(DOCKER)"

.PHONY: uninstall
uninstall:  ## remove what install has made; a docker that is not tinybox stays
	@$(SUDO) tools/setup.sh uninstall

# -- the two commands of the README ------------------------------------------------------------------------------------

.PHONY: run
run: setup  ## run a shell in a box; IMAGE=busybox CMD='echo hi' is another image and command, SUDO= is without root
	@$(SUDO) tools/setup.sh images "$(TINYBOX)" "$(IMAGE)"
	@$(SUDO) env CMD="$$CMD" tools/run.sh "$(TINYBOX)" "$(IMAGE)"

.PHONY: test
test: setup test-packages  ## run the whole test suite, as root; make test ARGS='-k memory' selects tests
	@$(VENV_PYTHON) -m tests.halves $(JUNIT) $(ARGS)

.PHONY: test-v2
test-v2: setup test-packages  ## run kernel and cli tests on pure cgroup v2, in virtual machines; more than an hour
	@$(SUDO) env TINYBOX_ROOT="$(V2_STORE)" tools/setup.sh images "$(TINYBOX)" busybox alpine
	@exec $(SUDO) $(VENV_PYTHON) -m tests.vm.suite "$(V2_STORE)" $(ARGS)

.PHONY: test-provision
test-provision: setup  ## test the Vagrantfile, and vm/provision.sh on a new Debian; minutes, needs the network
	@tools/setup.sh packages lecture-test
	@$(VENV_PYTHON) -m pytest $(JUNIT) tests/vm/test_lecture.py $(ARGS)

.PHONY: test-vagrant
test-vagrant: setup  ## test `vagrant up` with libvirt, from a new box to a lab, emulated; half an hour, needs the network
	@tools/setup.sh packages vagrant-test
	@$(SUDO) env TINYBOX_VAGRANT=1 $(VENV_PYTHON) -m pytest $(JUNIT) tests/vm/test_vagrant.py $(ARGS)

.PHONY: soak
soak: setup test-packages  ## run the long tests of races, kills and hostile input: every call, every value; an hour
	@TINYBOX_SOAK=1 PYTEST_TIMEOUT=7200 $(VENV_PYTHON) -m pytest $(JUNIT) tests/kernel/life/test_races.py tests/kernel/life/test_life_faults.py tests/kernel/life/test_faults.py tests/build/test_killed_builds.py tests/hostile tests/attacks/test_directories.py tests/registry/test_kills.py $(ARGS)

# -- for contributors --------------------------------------------------------------------------------------------------

.PHONY: check
check: $(READY)  ## run lint, types, unit tests and guards; no root, about two minutes
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
format: $(READY)  ## format the code with ruff
	@ruff check --quiet --fix . ; ruff format .

.PHONY: docs
docs: $(READY)  ## update the parts of the documents that are made from the code
	@$(VENV_PYTHON) -m tools.cli_reference > docs/cli.md.new && mv docs/cli.md.new docs/cli.md
	@$(VENV_PYTHON) -m tools.docker_words > docs/docker-words.md.new && mv docs/docker-words.md.new docs/docker-words.md
	@$(VENV_PYTHON) -m tools.documents

.PHONY: site
site: setup  ## make the site in build/site; as root, run each lab for its page (a minute), and use the records otherwise
	@[ "$$(id -u)" != 0 ] || tools/setup.sh images "$(TINYBOX)" alpine
	@$(VENV_PYTHON) -m tools.site $(ARGS)

.PHONY: bench
bench: images  ## measure start-up against runc, crun, bwrap and podman; ARGS='--table docs/performance.md --plot docs/performance.svg'
	@$(SUDO) $(VENV_PYTHON) benchmarks/startup.py $(ARGS)

.PHONY: bench-oci
bench-oci: images  ## measure each verb of tinybox-oci (create, start, exec ...) against runc
	@$(SUDO) $(VENV_PYTHON) -m benchmarks.verbs $(ARGS)

.PHONY: bench-commands
bench-commands: images  ## measure ps, logs, inspect, exec and --help against runc and podman
	@$(SUDO) $(VENV_PYTHON) benchmarks/commands.py $(ARGS)

.PHONY: scale
scale: images  ## measure many containers: starts per second, memory, the cost of each among 10, 50, 200, against podman
	@$(SUDO) $(VENV_PYTHON) benchmarks/scale.py $(ARGS)

.PHONY: clean
clean:  ## remove all that set-up and tests made here; images and containers stay
	@[ "$$(readlink /usr/local/bin/tinybox)" != "$(TINYBOX)" ] || $(SUDO) tools/setup.sh uninstall
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
