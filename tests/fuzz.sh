#!/bin/bash
# Runs the fuzz targets that are named, or all, for so many seconds each, one on each core, and prints
# what each did: tests/fuzz.sh [SECONDS] [TARGET…]. Starts no more after a finding. COVERAGE=1 adds how much of the
# files under test the corpus reaches; that needs nightly Rust with llvm-tools, and takes minutes.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

seconds=${1:-10}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

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
    local log=$logs/$1
    cargo fuzz run --sanitizer none "$1" -- \
        -max_total_time="$seconds" -timeout=10 -print_final_stats=1 >"$log" 2>&1 && return
    tail -n 40 "$log" >&2
    echo "FAILED: fuzz target $1; the input is kept in fuzz/artifacts/$1" >&2
    return 1
}

# How many of the lines of its files the corpus reaches.
lines() { # target
    local target_dir=fuzz/target/coverage log=$logs/$1.lines host tools files
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

last() { # target, pattern
    grep -aoE "$2" "$logs/$1" | tail -n 1 | grep -aoE '[0-9]+[KMG]?b?$'
}

report() { # target
    local covered=-
    run "$1"
    [ "${COVERAGE:-}" != 1 ] || covered=$(lines "$1")
    # shellcheck disable=SC2059
    printf "$row" "$1" \
        "$(last "$1" 'number_of_executed_units: +[0-9]+')" "$(last "$1" 'average_exec_per_sec: +[0-9]+')" \
        "$(last "$1" 'cov: [0-9]+')" "$(last "$1" 'ft: [0-9]+')" \
        "$(last "$1" 'corp: [0-9]+')" "$(last "$1" 'corp: [0-9]+/[0-9]+[KM]?b')" "$covered"
}

cargo fuzz build --sanitizer none
row='%-20s %12s %10s %7s %7s %7s %7s %8s\n'
# shellcheck disable=SC2059
printf "$row" target executions per-s edges feature inputs bytes lines
cores=$(nproc)
running=()
for target in "${targets[@]}"; do
    [ "$(jobs -rp | wc -l)" -lt "$cores" ] || wait -n || break
    report "$target" &
    running+=($!)
done
for job in "${running[@]}"; do
    wait "$job"
done
