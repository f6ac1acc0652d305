# `make` lists what there is. Everything works on a fresh Debian 12 with a Rust toolchain; what is missing is installed.

SHELL := /bin/sh
CARGO ?= cargo
DEMO ?=
# Extra words for the benchmarks: `make bench BENCH="--json figures.json"`.
BENCH ?=
# The first seed and how many, for the simulator: `make sim SEED=7 RUNS=1`.
SEED ?= 1
RUNS ?= 5000
TRACE ?=

# Needed to build: a C compiler (SQLite and zstd are compiled in).
BUILD_PACKAGES := gcc libc6-dev
# Needed by tests besides: a file system of their own to cut the power of, readers for PDF reports, and a browser.
TEST_PACKAGES := e2fsprogs mount util-linux perl-base poppler-utils qpdf chromium chromium-driver

# $(call need,PACKAGES): installs those that are not there, as root or through sudo.
need = missing=""; for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok' || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] || { command -v dpkg-query >/dev/null || { echo "install$$missing, then try again" >&2; exit 1; }; \
	echo "installing$$missing"; sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; }

.PHONY: help build release demo test sim lint bench narrow peers deb build-packages test-packages toolchain

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F '\t' '{ printf "  make %-8s %s\n", $$1, $$2 }'

toolchain:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs, then try again" >&2; exit 1; }

build-packages: toolchain
	@$(call need,$(BUILD_PACKAGES))

test-packages: toolchain
	@$(call need,$(BUILD_PACKAGES) $(TEST_PACKAGES))

build: build-packages ## Both programs and the tests, unoptimised
	$(CARGO) build --workspace --all-targets --locked

release: build-packages
	$(CARGO) build --workspace --bins --release --locked

demo: release ## One hub and two stores here: an outage, the replication, the proof (DEMO=once: then end)
	@DEMO=$(DEMO) target/release/demo

test: test-packages build ## Every test, over real processes too
	$(CARGO) test --workspace --locked --no-fail-fast

sim: build-packages ## Thousands of simulated histories, optimised (SEED=7 RUNS=1 repeats one; TRACE=1 tells it all)
	AINCIDENT_SIM_SEED=$(SEED) AINCIDENT_SIM_RUNS=$(RUNS) $(if $(TRACE),AINCIDENT_SIM_TRACE=$(TRACE)) \
		$(CARGO) test --workspace --test sim --release --locked -- --nocapture whatever_happens

lint: build-packages ## Formatting, clippy, and the rules of the tree
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) test --workspace --test tidy --locked --quiet

bench: release ## How fast, how small: a table (BENCH="--json FILE" writes it for machines)
	@target/release/bench $(BENCH)

narrow: release ## 20 MB of photos over 256 kbit/s, 600 ms there and back, 2 % loss (twelve minutes)
	@target/release/bench --narrow $(BENCH)

peers: build-packages ## Photos and reports beside sharp, Pillow and reportlab (needs node, npm and python3)
	@tests/bench/peers/run.sh

deb: build-packages ## Debian packages of both programs, in target/debian
	@$(CARGO) deb --version >/dev/null 2>&1 || $(CARGO) install cargo-deb --locked
	$(CARGO) deb -p aincident-hub --profile dist
	$(CARGO) deb -p aincident-node --profile dist
