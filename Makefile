# SPDX-License-Identifier: Apache-2.0
# `make help` lists the targets. CI, the README and people call nothing else.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT  := $(shell git rev-parse --verify --quiet HEAD 2>/dev/null)
BUILD   := $(or $(DRONE_BUILD_NUMBER),$(GITHUB_RUN_NUMBER),0)
STAMP   := -X wolfpack/version.version=$(VERSION) -X wolfpack/version.build=$(BUILD) -X wolfpack/version.commit=$(COMMIT)

export GOFLAGS := -buildvcs=false
GO_BUILD := CGO_ENABLED=0 go build -trimpath -ldflags '-s -w $(STAMP)'
PROGRAMS := wolfpack vcsim lab govc hello

# Parameters: make up ONCE=1, make robot SUITE=pod_lifecycle TARGET=vcenter PROCESSES=4, make pitfalls PITFALL=5
ONCE      ?=
SUITE     ?=
TARGET    ?=
PROCESSES ?=
PITFALL   ?=

.PHONY: help
help: ## show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: up
up: build kube ## the main job: a lab with pods running as VMs, until Ctrl-C (ONCE=1: show it and end)
	@bin/lab up --show --examples examples --report build/telemetry.html $(if $(ONCE),--once)

.PHONY: test
test: lint unit robot ## everything: lint, Go tests with the race detector, Robot against the stand-in

.PHONY: unit
unit: need-gcc need-qemu build kube venv ## Go tests with the race detector, and the tests of Robot's Python keywords
	@mkdir -p build/unit
	gotestsum=$$(go tool -n gotestsum)
	tests() { name=$(CURDIR)/build/unit/$$1; cd $$2; shift 2; "$$gotestsum" --format pkgname-and-test-fails --jsonfile $$name.json --junitfile $$name.xml -- -timeout 15m "$$@"; cd $(CURDIR); }
	tests go . -race -skip '^TestKilledAtEveryRequest$$' ./...
	tests podvm podvm -race ./...
	# What that kills is another process, which the race detector would not see; and what it would see, the others show it.
	tests crash . -run '^TestKilledAtEveryRequest$$' ./tests/sweep
	.venv/bin/pytest -q --junitxml build/unit/python.xml

.PHONY: robot
robot: build kube venv need-browser ## Robot suites, in parallel (SUITE=area, TARGET=vcenter for GOVC_URL, PROCESSES=n)
	@.venv/bin/python tests/resources/run_robot.py $(if $(SUITE),--suite $(SUITE)) $(if $(TARGET),--target $(TARGET)) $(if $(PROCESSES),--processes $(PROCESSES))

.PHONY: bench
bench: build kube ## benchmarks: one table, each row a ratio to a baseline of the same run
	@go run ./tests/bench

.PHONY: pitfalls
pitfalls: kube ## prove that each pitfall of Virtual Kubelet has a test that fails on naive code (minutes; PITFALL=5 is one)
	@go run ./tests/pitfalls $(if $(PITFALL),--only $(PITFALL))

.PHONY: build
build: need-go ## the programs, into bin/
	@mkdir -p bin
	echo "build: $(PROGRAMS), $(or $(VERSION),outside git)"
	$(GO_BUILD) -o bin/ ./cmd/wolfpack ./tests/vcsim/cmd/vcsim ./tests/lab/cmd/lab ./tests/govc ./tests/images/hello

.PHONY: kube
kube: need-go ## the control plane, a registry, Helm and promtool: built once and cached outside the checkout
	@go run ./tests/kube/build >/dev/null

.PHONY: lint
lint: need-go venv ## formatting, vet, staticcheck, module files, CI files, Python and Robot style
	@step() { echo "lint: $$*"; "$$@"; }
	echo "lint: gofumpt"
	test -z "$$(go tool gofumpt -l . | tee /dev/stderr)" || { echo "make lint: run 'make fmt' for the files above" >&2; exit 1; }
	step go vet ./...
	step go tool staticcheck ./...
	step go -C podvm vet ./...
	staticcheck=$$(go tool -n staticcheck)
	(cd podvm && step "$$staticcheck" ./...)
	for module in . $(NESTED); do step go -C $$module mod tidy -diff; done
	step go tool actionlint
	step .venv/bin/ruff check --quiet .
	step .venv/bin/ruff format --quiet --check .
	step .venv/bin/mypy
	step .venv/bin/robocop check
	step .venv/bin/robocop format --check --diff

.PHONY: fmt
fmt: need-go venv ## format everything
	@go tool gofumpt -w .
	.venv/bin/ruff format . && .venv/bin/robocop format

.PHONY: generate
generate: need-go ## mocks anew, after a change of an interface that has one
	@go tool mockery --log-level error

.PHONY: venv
venv: .venv/.installed
.venv/.installed: requirements.txt
	@command -v python3 >/dev/null || { echo "make: Python 3 is missing: install the package python3" >&2; exit 1; }
	python3 -c 'import venv, ensurepip' 2>/dev/null || { echo "make: Python's venv module is missing: install the package python3-venv" >&2; exit 1; }
	test -x .venv/bin/python || python3 -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	touch $@

.PHONY: clean
clean: ## remove what was built in the checkout; the caches outside it stay
	@rm -rf bin build .venv

.PHONY: need-go need-gcc need-browser need-qemu
need-go:
	@command -v go >/dev/null || { echo "make: Go is missing: install Go $$(awk '$$1 == "go" { print $$2 }' go.mod) or newer from https://go.dev/dl" >&2; exit 1; }
need-gcc:
	@command -v gcc >/dev/null || { echo "make: gcc is missing, which Go's race detector needs: install the package gcc" >&2; exit 1; }
need-browser:
	@browser() { command -v chromedriver >/dev/null && { command -v chromium || command -v google-chrome; } >/dev/null; }
	browser && exit
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "robot: installing chromium, which the HTML report is tested with"
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -qq && apt-get install -qq --no-install-recommends chromium chromium-driver >/dev/null
	fi
	browser || { echo "make: a browser is missing, which the HTML report is tested with: install the packages chromium and chromium-driver" >&2; exit 1; }
need-qemu:
	@command -v qemu-system-x86_64 >/dev/null && exit
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
		echo "make: installing QEMU, which runs real guests"
		export DEBIAN_FRONTEND=noninteractive
		apt-get update -qq && apt-get install -qq --no-install-recommends qemu-system-x86 >/dev/null
	fi
	command -v qemu-system-x86_64 >/dev/null || { echo "make: QEMU is missing, which runs real guests: install the package qemu-system-x86" >&2; exit 1; }
