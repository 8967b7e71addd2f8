#!/bin/bash
# Sets up and runs every check and test, on a machine with Rust and Debian's packages. As root it
# installs what is missing. SRS_LITE_WITHOUT_CLIENTS=1 does without the clients that are missing.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
. tests/support/install.sh

# ffmpeg makes and checks the media of most tests, ip and unshare make networks for single tests,
# libFuzzer is C++, nginx is what the benchmark measures beside us, and faketime moves clocks.
# Firefox decodes with ffmpeg's libraries.
needed=(ffmpeg iproute2 util-linux g++ libnginx-mod-rtmp faketime)
clients=(rtmpdump curl mpv vlc-bin vlc-plugin-base gstreamer1.0-tools gstreamer1.0-plugins-good
    gstreamer1.0-plugins-bad chromium firefox-esr prometheus systemd strace logrotate)
# It may be there from elsewhere, in one package with Node.js.
command -v npm >/dev/null || clients+=(nodejs npm)
PATH=$PATH:/usr/sbin command -v nginx >/dev/null || needed+=(nginx-light)

# Bytes, stripped: of the core alone, and with the features and the page's players.
max_core=1500000
max_binary=2100000
max_crates=35
fuzz_seconds=6

step() {
    printf '\n== %s\n' "$1"
    "${@:2}"
}

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

packages() {
    [ "${SRS_LITE_WITHOUT_CLIENTS:-}" = 1 ] || needed+=("${clients[@]}")
    install_missing "${needed[@]}"
}

browser_libraries() {
    command -v npm >/dev/null || [ "${SRS_LITE_WITHOUT_CLIENTS:-}" != 1 ] || return 0
    npm ci --prefix tests/browser
}

# Without optimisation, cargo-deny is built in a quarter of the time, and is fast enough.
tools() {
    cargo fuzz --version 2>/dev/null || cargo install cargo-fuzz --locked
    cargo deny --version 2>/dev/null ||
        cargo install cargo-deny --locked --no-default-features --debug
}

tools_made() {
    # What failed while the compiler's packages changed does not fail again.
    wait "$tools" || tools
}

deny() {
    cargo deny --offline --locked check bans licenses sources
}

# Without the features that a build may have.
core() { # cargo command, arguments…
    cargo "$1" --locked --no-default-features "${@:2}"
}

format() {
    cargo fmt --check
    cargo fmt --check --manifest-path fuzz/Cargo.toml
}

at_most() { # what, value, limit
    echo "$1: $2 (at most $3)"
    [ "$2" -le "$3" ] || fail "$1"
}

stripped() { # binary
    local stripped size
    stripped=$(mktemp)
    strip -o "$stripped" "$1"
    size=$(stat -c %s "$stripped")
    rm "$stripped"
    echo "$size"
}

release() {
    local crates core_build
    # Beside the other: most of the time, each keeps one core busy.
    core build --release --bin srs-lite --target-dir target/core &
    core_build=$!
    cargo build --release --locked
    wait $core_build
    at_most "stripped binary of the core, bytes" "$(stripped target/core/release/srs-lite)" "$max_core"
    at_most "stripped binary, bytes" "$(stripped target/release/srs-lite)" "$max_binary"
    crates=$(cargo tree --locked --edges normal,build --prefix none --no-dedupe | sort -u | wc -l)
    at_most "crates of the release build, with its own" "$crates" "$max_crates"
}

# While packages are fetched.
tools >/dev/null 2>&1 &
tools=$!
step "Debian packages" packages
step "libraries of the browser tests" browser_libraries
step "cargo-fuzz and cargo-deny" tools_made
step "format" format
step "lints" cargo clippy --locked --all-targets -- -D warnings
step "licences, sources and versions of crates" deny
step "tests" cargo test --locked
step "the core alone: lints" core clippy --all-targets -- -D warnings
step "the core alone: tests" core test --lib --test scenario --test hls_scenario --test publish_play \
    --test edge --test conf_examples --test conf_messages --test process
step "documentation" env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps
step "fuzzing, $fuzz_seconds s a target" tests/fuzz.sh "$fuzz_seconds"
step "release build" release
step "benchmark, tiny: that it works" env SIZE=tiny tests/bench.sh
printf '\nAll is well.\n'
