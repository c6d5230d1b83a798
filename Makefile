# The house around the code. `make help` lists what there is; README.md and CONTRIBUTING.md say more.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Where users do not have it: ip, iptables, tcpdump.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin

CONFIG   ?=
CAPTURES ?=
GOLDENS  ?=
PREFIX   ?= /usr/local
DESTDIR  ?=
ENGINE   ?= docker
CASES    ?= 50000
MINUTES  ?= 6

# Tests run in their package's folder and read these from the environment.
override CAPTURES := $(abspath $(CAPTURES))
override GOLDENS  := $(abspath $(GOLDENS))
GIVEN := $(and $(CAPTURES),$(GOLDENS))
ifneq ($(CAPTURES),)
export CAPTURES
endif
ifneq ($(GOLDENS),)
export GOLDENS
endif

# Network namespaces and real ports belong to root.
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo -E)
# Builds as the user, runs the test programs as root. With `-p`, what `make test` has built would be built again: a
# package alone asks fewer features of its dependencies.
TEST := cargo $(if $(AS_ROOT),--config "target.'cfg(unix)'.runner='$(AS_ROOT)'") test

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

## Build and run

.PHONY: setup build run clean-demo
setup: ## Install what the build needs (Debian 12, Ubuntu 24.04 or newer; SETUP=skip elsewhere)
	@scripts/setup.sh build

build: setup ## Build the release binary, target/release/weir
	cargo build --release -p weir-control

ifeq ($(CONFIG),)
run: build ## Run the demo, or your own file: make run CONFIG=my.yaml
	cargo run --release -p weir-tests --bin demo-capture -- target/demo
	target/release/weir demo
else
run: build
	$(AS_ROOT) target/release/weir run --config $(CONFIG)
endif

clean-demo: ## Remove what the demo left under target/demo
	rm -rf target/demo

## Prove

.PHONY: setup-test test e2e differential conformance properties fuzz bench instructions build-instructions fresh
setup-test: setup
	@scripts/setup.sh test

test: setup-test ## Everything that proves the project; CAPTURES=dir GOLDENS=dir adds conformance
	cargo build --workspace
	$(TEST) --workspace --no-fail-fast
	$(MAKE) instructions
ifneq ($(GIVEN),)
	$(MAKE) conformance
else
	@echo 'conformance: NOT RUN, it needs CAPTURES=dir and GOLDENS=dir'
endif

# The tests run the `weir` of their own profile, debug: its assertions are part of the proof.
e2e: setup-test ## Real programs through live gateways, in network namespaces
	cargo build --workspace --bin weir
	$(TEST) --workspace --test e2e

differential: setup-test ## Weir beside this machine's Linux, frame by frame; SEED=random SEEDS=n FRAMES=n hunt
	$(TEST) --workspace --test differential

ifneq ($(GIVEN),)
conformance: setup ## Agreement with recorded Linux verdicts: CAPTURES=dir GOLDENS=dir
	cargo build --workspace --bin weir --bin conformance
	target/debug/conformance --captures $(CAPTURES) --goldens $(GOLDENS)
else
conformance:
	@echo 'conformance needs both: make conformance CAPTURES=dir GOLDENS=dir' >&2; exit 1
endif

properties: ## The property tests of the packet path with CASES=50000 inputs each
	PROPTEST_CASES=$(CASES) cargo test --release -p weir-dataplane

fuzz: ## Coverage-guided fuzzing of every target, MINUTES=6 in all; needs a nightly compiler and cargo-fuzz
	scripts/fuzz.sh run $(MINUTES)

bench: build ## Everything measured side by side, about ten minutes; the method is in bench/README.md
	@scripts/setup.sh bench
	cargo build --release -p weir-bench
	$(AS_ROOT) target/release/weir-bench

# gungraun's library and its runner must be of one version.
GUNGRAUN := $(shell awk -F '"' '/^name = "gungraun"$$/ { getline; print $$2 }' Cargo.lock)
COUNTS   := target/instructions.jsonl
instructions build-instructions: export GUNGRAUN_RUNNER := $(CURDIR)/target/tools/bin/gungraun-runner
build-instructions: setup-test
	@[[ $$($$GUNGRAUN_RUNNER --version 2>/dev/null) == 'gungraun-runner $(GUNGRAUN)' ]] || \
	CARGO_PROFILE_DEV_DEBUG=none cargo install gungraun-runner@$(GUNGRAUN) --locked --debug --root target/tools
	cargo bench -p weir-bench --bench instructions --no-run

instructions: build-instructions ## Instructions a packet of each stage beside bench/instructions.json; RECORD=1 records them
	cargo bench -p weir-bench --bench instructions -- --output-format=json > $(COUNTS)
	cargo build --workspace --bin instructions
	target/debug/instructions $(if $(RECORD),--record) $(COUNTS)

fresh: ## Run and test a clone of HEAD in a bare Debian 12 (root, debootstrap)
	@scripts/setup.sh fresh
	$(AS_ROOT) env "PATH=$(PATH)" scripts/fresh.sh

## Check

.PHONY: check deny
check: setup ## Formatting, lints, documentation, dependencies, tidy, scripts
	@scripts/setup.sh check
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps
	cargo test -p weir-tests --test tidy
	shellcheck scripts/*.sh .ci/run
	$(MAKE) deny

# Own copy of the tool where the machine has none.
deny: export PATH := $(PATH):$(CURDIR)/target/tools/bin
deny: ## Licences, sources and advisories of the dependencies
	@cargo deny --version 2>/dev/null || cargo install cargo-deny --locked --root target/tools
	cargo deny check bans licenses sources
	@if cargo deny fetch db; then cargo deny check advisories; \
	else echo 'advisories: NOT CHECKED, the advisory database cannot be fetched from here'; fi

## Ship

COMPLETIONS := $(DESTDIR)$(PREFIX)/share/bash-completion/completions
MAN         := $(DESTDIR)$(PREFIX)/share/man/man1
UNITS       := $(DESTDIR)$(PREFIX)/lib/systemd/system
WEIR        := target/release/weir

.PHONY: install docker
install: ## Binary, completions, man pages and systemd unit under PREFIX=/usr/local (after make build)
	install -D -m 755 $(WEIR) $(DESTDIR)$(PREFIX)/bin/weir
	install -d $(COMPLETIONS) $(MAN) $(UNITS)
	$(WEIR) completions bash > $(COMPLETIONS)/weir
	$(WEIR) man $(MAN)
	sed 's|/usr/local|$(PREFIX)|' control/weir.service > $(UNITS)/weir.service

docker: ## Build the container image (ENGINE=podman for podman)
	$(ENGINE) build -t weir .
