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
# Needed by tests besides: a file system of their own to cut the power of, readers for PDF reports, a browser, and somebody
# who looks for services in a network.
TEST_PACKAGES := e2fsprogs mount util-linux perl-base poppler-utils qpdf chromium chromium-driver iproute2 python3-zeroconf

# $(call need,PACKAGES): installs those that are not there, as root or through sudo.
need = missing=""; for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q '^install ok' || missing="$$missing $$p"; done; \
	[ -z "$$missing" ] || { command -v dpkg-query >/dev/null || { echo "install$$missing, then try again" >&2; exit 1; }; \
	echo "installing$$missing"; sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	$$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; }

.PHONY: help build release demo test sim lint bench narrow peers axe clients deb reproduce boot alerts deny build-packages deb-packages boot-packages test-packages toolchain

help: ## This list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | awk -F '\t' '{ printf "  make %-9s %s\n", $$1, $$2 }'

toolchain:
	@command -v $(CARGO) >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs, then try again" >&2; exit 1; }

build-packages: toolchain
	@$(call need,$(BUILD_PACKAGES))

test-packages: toolchain
	@$(call need,$(BUILD_PACKAGES) $(TEST_PACKAGES))

build: build-packages ## Both programs and the tests, lightly optimised
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
	@if $(CARGO) deny --version >/dev/null 2>&1; then $(CARGO) deny --offline check bans licenses sources; \
		else echo "left out: licences and bans of dependencies; make deny installs what that needs"; fi
	@if [ -x "$(PROMTOOL)" ] || command -v promtool >/dev/null; then $(ALERTS); \
		else echo "left out: the alert rules; make alerts gets what that needs"; fi

deny: toolchain ## Licences, bans, sources and known faults of all dependencies (installs cargo-deny where it is missing)
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install cargo-deny --locked
	$(CARGO) deny --offline check bans licenses sources
	@# The database of known faults is fetched where there is a network, else taken as it was last fetched.
	@if $(CARGO) deny fetch db 2>/dev/null; then $(CARGO) deny --offline check advisories; \
		elif [ -n "$$(ls -d $${CARGO_HOME:-$$HOME/.cargo}/advisory-db*/*/.git 2>/dev/null)" ]; then \
			echo "the database of known faults cannot be fetched: the one of last time is used"; \
			$(CARGO) deny --offline check advisories; \
		else echo "left out: advisories, because the database of known faults cannot be fetched and was never"; fi

bench: release ## How fast, how small: a table (BENCH="--json FILE" writes it for machines)
	@target/release/bench $(BENCH)

narrow: release ## 20 MB of photos over 256 kbit/s, 600 ms there and back, 2 % loss (twelve minutes)
	@target/release/bench --narrow $(BENCH)

peers: build-packages ## Photos and reports beside sharp, Pillow and reportlab (needs node, npm and python3)
	@tests/bench/peers/run.sh

axe: test-packages build ## Every page under axe-core, and what it costs to open one (needs npm)
	@tests/axe/run.sh

clients: release ## Mail, webhooks, TLS and backups under an SMTP server, a verifier, a scanner and age (needs python3, openssl; age where backups are to be looked at)
	@tests/clients/run.sh

# Which build is packed: dist is small and takes long to link; dev packs what `make build` has made, to try the packages.
PACK ?= dist
PACKED = target/$(if $(filter dev,$(PACK)),debug,$(PACK))
# To compress a debug build as well as it can be takes minutes.
PACKING = --profile $(PACK) --no-build $(if $(filter dev,$(PACK)),--fast)
# The same packages from the same sources: file times in them are those of the last commit.
EPOCH = SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || date +%s)
# And wherever they are built: no folder of this machine stands in them, of Rust code or of C. For dist alone, since other flags build
# everything anew.
CARGO_FOLDER = $${CARGO_HOME:-$$HOME/.cargo}
ANYWHERE = $(if $(filter dist,$(PACK)),$(EPOCH) \
	CARGO_ENCODED_RUSTFLAGS="$$(printf -- '--remap-path-prefix=%s=/cargo\037--remap-path-prefix=%s=/aincident' "$(CARGO_FOLDER)" "$(CURDIR)")" \
	CFLAGS="$$CFLAGS -ffile-prefix-map=$(CARGO_FOLDER)=/cargo -ffile-prefix-map=$(CURDIR)=/aincident")

deb: deb-packages ## Debian packages of both programs, in target/debian
	@$(CARGO) deb --version >/dev/null 2>&1 || $(CARGO) install cargo-deb --version "^3.8" --locked
	$(ANYWHERE) $(CARGO) build --workspace --bin aincident-hub --bin aincident-node --profile $(PACK) --locked
	rm -rf target/manual
	$(PACKED)/aincident-hub manual --to target/manual/aincident-hub
	$(PACKED)/aincident-node manual --to target/manual/aincident-node
	mkdir -p target/third-party
	for one in aincident-hub aincident-node; do packaging/third-party.sh $$one >target/third-party/$$one && \
		gzip -9nf target/third-party/$$one || exit 1; done
	$(EPOCH) $(CARGO) deb -p aincident-hub $(PACKING)
	$(EPOCH) $(CARGO) deb -p aincident-node $(PACKING)
	lintian --fail-on error target/debian/*.deb

reproduce: deb-packages ## Packs twice, in two folders, and compares (an hour)
	@packaging/reproduce.sh

deb-packages: build-packages
	@$(call need,lintian dpkg-dev)

boot: boot-packages ## Boots a Debian with systemd and drives the packages: install, enrol, upgrade, kill, reboot, purge (as root)
	@hub=$$(ls -t target/debian/aincident-hub_*.deb 2>/dev/null | head -n 1); \
		node=$$(ls -t target/debian/aincident-node_*.deb 2>/dev/null | head -n 1); \
		if [ -z "$$hub" ] || [ -z "$$node" ]; then $(MAKE) deb; \
		elif newer=$$(packaging/stale.sh "$$hub" "$$node"); then echo "the packages are older than $$newer: packing anew"; $(MAKE) deb; fi
	@tests/boot/run.sh

boot-packages: build-packages
	@$(call need,mmdebstrap systemd-container util-linux procps dpkg-dev sqlite3)

# Of the package only the one tool is taken: installed, it would start a server.
PROMTOOL = target/prometheus/usr/bin/promtool
# By the tool that was taken, else by an installed one.
ALERTS = tool=$(PROMTOOL); [ -x "$$tool" ] || tool=promtool; \
	"$$tool" check rules packaging/prometheus/aincident.rules.yml && "$$tool" test rules packaging/prometheus/aincident.rules.test.yml

alerts: $(PROMTOOL) ## The alert rules, against series that have to raise them and series that must not
	@$(ALERTS)

$(PROMTOOL):
	@mkdir -p target/prometheus
	@cd target/prometheus && { apt-get download -qq prometheus 2>/dev/null || { sudo=""; [ "$$(id -u)" = 0 ] || sudo=sudo; \
		$$sudo apt-get update -qq && apt-get download -qq prometheus; }; } && dpkg -x prometheus_*.deb .
