# What can be done here; each line's work is in scripts/, in `rig` or in the tests.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-pulumi demo demo-clean test test-full test-fast lint test-unit test-program test-inventory \
  test-templates molecule test-e2e bench leaks schema lock clean

PYTEST := scripts/with-tools.sh pytest
UNIT := $(wildcard tests/unit tests/clients)
FAST := $(UNIT) $(wildcard tests/inventory tests/templates)
SCENARIOS := systemd no-init

help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## get all that is needed; what is there is skipped
	@scripts/setup.sh

setup-pulumi: ## the same, and try again to get Pulumi's CLI
	@scripts/setup.sh --retry-pulumi

demo: setup ## one local host, from nothing to a trained model
	@scripts/demo.sh

demo-clean: setup ## remove all that the demo made
	@scripts/demo.sh clean

test: setup lint molecule ## everything: lint, Molecule, then all of tests/
	@$(PYTEST) tests -m "not full" --numprocesses 2 --dist loadfile --cov --cov-report term

test-full: setup lint molecule ## the same with every environment on one host: two versions of PyTorch, 25 GB of disk
	@$(PYTEST) tests --numprocesses 2 --dist loadfile

test-fast: setup ## for daily work, within a minute
	@$(PYTEST) $(FAST) --numprocesses 2 --dist loadfile

lint: setup ## form and types of everything
	@scripts/lint.sh

test-unit: setup ## Python, without a host
	@$(PYTEST) $(UNIT)

test-program: setup ## Pulumi: mocks, the provider's real gRPC interface, the CLI where found
	@$(PYTEST) tests/program

test-inventory: setup ## the inventory plugin in real Ansible
	@$(PYTEST) tests/inventory

test-templates: setup ## what is rendered for the laptop and for boot
	@$(PYTEST) tests/templates

molecule: setup ## roles on real containers, with systemd and without
	@for scenario in $(SCENARIOS); do scripts/with-tools.sh molecule test -s $$scenario || exit; done

test-e2e: setup ## the demo on the embedded engine, and its bad days
	@$(PYTEST) tests/e2e

bench: setup ## measure, and print ratios
	@scripts/with-tools.sh python -m bench

leaks: setup ## kill the program a thousand times per vendor, and count the machines that are left over
	@scripts/with-tools.sh python -m bench.leaks

schema: setup ## write the JSON Schema of Pulumi.<stack>.yaml anew
	@scripts/with-tools.sh python -m gpurig.schema

lock: setup ## resolve requirements.in into requirements.lock
	@scripts/lock.sh

clean: ## remove .venv, .tools, the host image and caches; hosts stay
	@scripts/clean.sh
