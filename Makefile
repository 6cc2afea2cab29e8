.PHONY: help run test test-failover check check-full bench bench-sizes bench-peer bench-overload clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build and start the zero-configuration server (ARGS='--listen …' are passed on)
	cargo run --locked --quiet --package factord -- dev $(ARGS)

test: ## everything quick: Rust tests, then the suites against the built server
	scripts/test.sh

test-failover: ## the cluster tests with their full counts: many nodes, lost servers, broken disks
	scripts/failover.sh

check: ## format, lints, documentation, and what comes in as a dependency
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets --all-features -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps --quiet
	scripts/deny.sh

check-full: ## the slow checks: mutants, compatibility, suites with their full counts
	scripts/check-full.sh

bench: ## measure every scenario on both stores, beside the bare HTTP stack and pgbench (ARGS='--scenario verify')
	scripts/bench.sh run $(ARGS)

bench-sizes: ## measure with 10 thousand, a million and ten million devices (needs 40 GB of disk)
	scripts/bench.sh run --scenario verify --connections 32 --seconds 10 --devices 10000,1000000,10000000 $(ARGS)

bench-overload: ## measure what happens at twice what the server can carry
	scripts/bench.sh overload $(ARGS)

bench-peer: ## measure privacyIDEA and factord in turn (ARGS='SECONDS CONNECTIONS…')
	scripts/bench-peer.sh $(ARGS)

clean: ## remove everything that was built or installed here
	cargo clean
	rm -rf .tools
