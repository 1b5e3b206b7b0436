# What a person or CI does with this project. `just` alone lists it.

_default:
    @just --list

# The embedded corpus: start, check, compare.
run *arguments:
    cargo run --release -- run {{arguments}}

# Build the images of the Docker backend; unchanged ones are not built again.
images *arguments:
    cargo run --release -- images build {{arguments}}

# All tests.
test:
    cargo test

# Formatting, lints, documentation, licences and sources of dependencies.
check:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items
    cargo deny --offline --all-features check bans licenses sources

# Write what is generated and committed: docs/rules.md, docs/scenarios.md, docs/schema/.
generate:
    MTALAB_GENERATE=1 cargo test --test it generated

# Accept what the embedded servers are seen to do now as the new snapshots.
snapshots:
    cargo run --release -- run --scenarios scenarios --update-snapshots

# The figures of docs/performance.md.
bench:
    cargo bench
    scripts/measure
