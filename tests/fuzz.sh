#!/bin/bash
# Runs the fuzz targets that are named, or all, for so many seconds each, and prints what each did:
# tests/fuzz.sh [SECONDS] [TARGET…]. Stops at the first finding. COVERAGE=1 adds how much of the
# files under test the corpus reaches; that needs nightly Rust with llvm-tools, and takes minutes.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

seconds=${1:-10}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# The files whose lines are counted.
files_of() { # target
    case $1 in
    chunk*) echo session/assembler.rs wire/chunk.rs ;;
    client_session) echo session/client.rs session/media.rs ;;
    command) echo wire/command.rs wire/control.rs ;;
    config) echo config ;;
    flv) echo wire/flv.rs wire/aggregate.rs ;;
    handshake) echo server/handshake.rs wire/handshake.rs ;;
    http) echo wire/http.rs wire/http_path.rs ;;
    mpegts) echo wire/mpegts ;;
    names) echo wire/announcement.rs wire/name.rs wire/url.rs ;;
    playlist) echo wire/m3u8.rs ;;
    segmenter) echo hls ;;
    session) echo session/server.rs session/connect.rs session/media.rs hub/registry.rs ;;
    srs_conf) echo from_srs ;;
    *) echo "wire/$1.rs" ;;
    esac
}

# Without sanitizers, which stable Rust does not have and code without `unsafe` does not need.
run() { # target
    cargo fuzz run --sanitizer none "$1" -- \
        -max_total_time="$seconds" -timeout=10 -print_final_stats=1 >"$log" 2>&1 && return
    tail -n 40 "$log" >&2
    echo "FAILED: fuzz target $1; the input is kept in fuzz/artifacts/$1" >&2
    exit 1
}

# How many of the lines of its files the corpus reaches.
lines() { # target
    local target_dir=fuzz/target/coverage host tools files
    cargo +nightly fuzz coverage --sanitizer none --target-dir $target_dir "$1" >"$log" 2>&1 || {
        tail -n 40 "$log" >&2
        return 1
    }
    host=$(rustc +nightly -vV | sed -n 's/^host: //p')
    tools=$(rustc +nightly --print sysroot)/lib/rustlib/$host/bin
    read -ra files < <(files_of "$1")
    "$tools/llvm-cov" report "$target_dir/$host/release/$1" \
        -instr-profile="fuzz/coverage/$1/coverage.profdata" "${files[@]/#/src/}" |
        awk '$1 == "TOTAL" { print $10 }'
}

last() { # pattern
    grep -aoE "$1" "$log" | tail -n 1 | grep -aoE '[0-9]+[KMG]?b?$'
}

cargo fuzz build --sanitizer none
row='%-20s %12s %10s %7s %7s %7s %7s %8s\n'
# shellcheck disable=SC2059
printf "$row" target executions per-s edges feature inputs bytes lines
for target in "${targets[@]}"; do
    run "$target"
    columns=(
        "$(last 'number_of_executed_units: +[0-9]+')" "$(last 'average_exec_per_sec: +[0-9]+')"
        "$(last 'cov: [0-9]+')" "$(last 'ft: [0-9]+')"
        "$(last 'corp: [0-9]+')" "$(last 'corp: [0-9]+/[0-9]+[KM]?b')"
    )
    covered=-
    [ "${COVERAGE:-}" != 1 ] || covered=$(lines "$target")
    # shellcheck disable=SC2059
    printf "$row" "$target" "${columns[@]}" "$covered"
done
