.PHONY: help run test test-failover check check-full clean

help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build and start the zero-configuration server (ARGS='--listen …' are passed on)
	cargo run --locked --quiet --package factord -- dev $(ARGS)

test: ## everything quick: Rust tests, then the suites against the built server
	scripts/test.sh

test-failover: ## the cluster tests with their full counts: many nodes, lost servers, broken disks
	scripts/failover.sh

check: ## format, lints, documentation, and what comes in as a dependency
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps --quiet
	scripts/deny.sh

check-full: ## the slow checks: mutants, compatibility, suites with their full counts
	scripts/check-full.sh

clean: ## remove everything that was built or installed here
	cargo clean
	rm -rf .tools
