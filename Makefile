# Two commands for a start: `make run` and `make test`.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run build test test-aarch64 test-attach test-kernels kernels-table bench bench-dns bench-probes fuzz lint objects check-objects image-proof build-packages test-packages

ARCHITECTURE := $(shell uname -m)
TARGET := $(ARCHITECTURE)-unknown-linux-gnu
# That of another architecture has its name: target/release/bpftally.aarch64.
BINARY := target/release/bpftally$(if $(filter-out $(ARCHITECTURE),$(firstword $(subst -, ,$(TARGET)))),.$(firstword $(subst -, ,$(TARGET))))
SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
LISTEN ?= 127.0.0.1:9435
KERNELS ?= 5.10 6.1 6.12 6.18 newest
SECONDS ?= 60
TIMES ?= 500
TARGETS ?= config object decoder name event

BUILD_PACKAGES := gcc make pkg-config libelf-dev zlib1g-dev
OBJECT_PACKAGES := clang llvm libbpf-dev linux-libc-dev
TEST_PACKAGES := bpftool clang-19 curl iproute2 mount prometheus util-linux

# The runner of the tests: they load BPF programs, which takes root.
RUNNER := CARGO_TARGET_$(shell echo $(TARGET) | tr a-z- A-Z_)_RUNNER

help: ## Say what there is
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: build ## Build, and start the exporter on 127.0.0.1:9435 with all shipped configs
	@echo
	@echo "  metrics   http://$(LISTEN)/metrics"
	@echo "  status    http://$(LISTEN)/"
	@echo "  try       curl -s http://$(LISTEN)/metrics | grep ^ebpf_exporter_run_queue"
	@echo "  stop      Ctrl-C"
	@echo
	@exec $(SUDO) $(BINARY) --config.dir configs --object.dir bpf-objects --web.listen-address $(LISTEN) \
		--config.allow-insecure-permissions

build: build-packages ## Build the static release binary, target/release/bpftally (TARGET=aarch64-unknown-linux-gnu)
	RUSTFLAGS="-C target-feature=+crt-static" tools/cross.sh $(TARGET) cargo build --locked --release --target $(TARGET)
	install -D target/$(TARGET)/release/bpftally $(BINARY)
	tools/prove-static.sh $(BINARY)

test: build-packages test-packages ## Run all tests (as root, through sudo where needed)
	cargo test --locked --no-run
	$(RUNNER)=$(CURDIR)/tools/as-root.sh cargo test --locked

test-attach: build-packages test-packages ## Attach and detach every kind of place again and again, as root (TIMES=500)
	cargo test --locked --test it --no-run
	$(RUNNER)=$(CURDIR)/tools/as-root.sh BPFTALLY_ATTACH_TIMES=$(TIMES) \
		cargo test --locked --test it kernel::places::again -- --nocapture

test-aarch64: build-packages ## Test what needs no kernel as aarch64 does it, under QEMU
	tools/test-under-qemu.sh aarch64-unknown-linux-gnu

test-kernels: build ## Test the release binary on Debian's kernels in virtual machines (KERNELS="5.10 6.12")
	tools/kernels/test.sh $(KERNELS)
	tools/kernels/table.sh check $(KERNELS)

kernels-table: ## Write what the last `make test-kernels` found into docs/kernels.md
	tools/kernels/table.sh write $(KERNELS)

bench: build-packages ## Measure scrapes and events beside bare programs, as root (CASES="hash-10k ...")
	@tools/install-packages.sh $(OBJECT_PACKAGES)
	RUSTFLAGS="-C target-feature=+crt-static" cargo bench --locked --target $(TARGET) --bench events --bench scrape --no-run
	$(RUNNER)=$(CURDIR)/tools/as-root.sh RUSTFLAGS="-C target-feature=+crt-static" \
		cargo bench --locked --target $(TARGET) --bench events
	$(RUNNER)=$(CURDIR)/tools/as-root.sh RUSTFLAGS="-C target-feature=+crt-static" \
		cargo bench --locked --target $(TARGET) --bench scrape -- $(CASES)

bench-probes: build ## Measure what each shipped program takes, as root (SECONDS=60; WRITE=docs/probes.md puts it there)
	@tools/install-packages.sh curl gcc
	$(SUDO) env WRITE=$(WRITE) tools/bench-probes.sh $(SECONDS)

bench-dns: build-packages ## Offer 10,000 DNS queries a second to the DNS observer, and check every number, as root (SECONDS=60)
	RUSTFLAGS="-C target-feature=+crt-static" cargo bench --locked --target $(TARGET) --bench dns --no-run
	$(RUNNER)=$(CURDIR)/tools/as-root.sh RUSTFLAGS="-C target-feature=+crt-static" \
		cargo bench --locked --target $(TARGET) --bench dns -- $(SECONDS)

fuzz: build-packages ## Fuzz the readers of configs, objects, keys, names and events (SECONDS=60 each, TARGETS="config object decoder name event")
	@tools/install-packages.sh g++
	fuzz/run.sh $(SECONDS) $(TARGETS)

lint: build-packages ## Check format, clippy's advice and the documentation: a warning is an error
	cargo fmt --check
	cargo fmt --check --manifest-path fuzz/Cargo.toml
	cargo clippy --locked --all-targets --test guest -- -D warnings
	cargo clippy --locked --manifest-path fuzz/Cargo.toml --target-dir target/fuzz -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

objects: ## Compile bpf-objects/*.bpf.c again
	@tools/install-packages.sh $(OBJECT_PACKAGES)
	tools/build-objects.sh

check-objects: ## Prove that each committed object comes from its source
	@tools/install-packages.sh $(OBJECT_PACKAGES)
	tools/check-objects.sh

image-proof: build-packages ## Follow the Dockerfile in clean roots, without a container engine (root)
	@tools/install-packages.sh debootstrap
	$(SUDO) env "PATH=$$PATH" tools/prove-image.sh

build-packages:
	@tools/install-packages.sh $(BUILD_PACKAGES)
	@command -v cargo >/dev/null || { echo "Rust is needed: https://rustup.rs" >&2; exit 1; }

test-packages:
	@tools/install-packages.sh $(OBJECT_PACKAGES) $(TEST_PACKAGES)
	@tools/otlp-python.sh
