#!/bin/bash
# Converts the files of an SRS checkout that concern RTMP, HLS, HTTP-FLV, edges, security, the API and
# hooks, loads each result, and prints what became of it: tests/from_srs.sh DIRECTORY [BINARY].
# DIRECTORY is SRS's trunk/conf. Fails if a result is printed that does not load.
set -euo pipefail
cd "$(dirname "$0")/.."

conf=$(realpath "${1:?the directory trunk/conf of SRS}")
binary=$(realpath "${2:-target/debug/srs-lite}")
result=$(mktemp)
trap 'rm -f "$result"' EXIT

# What is included is looked for from the directory above.
cd "$conf/.."
files=0 loaded=0 failed=0
row='%-34s %5s %9s  %s\n'
# shellcheck disable=SC2059
printf "$row" file keys comments result
for file in "$conf"/*.conf; do
    name=$(basename "$file")
    # Other protocols, and other programs.
    case $name in
    *rtc* | *srt* | *gb28181* | *mpegts* | *rtsp* | nginx.* | hls.edge.conf) continue ;;
    esac
    files=$((files + 1)) keys=- comments=-
    if why=$("$binary" --from-srs "conf/$name" 2>&1 >"$result"); then
        read -r keys comments < <(sed -nE '1s/.*Keys: ([0-9]+);.*comments: ([0-9]+).*/\1 \2/p' "$result")
        if why=$("$binary" -t -c "$result" 2>&1); then
            why=loads loaded=$((loaded + 1))
        else
            failed=$((failed + 1))
        fi
    else
        why="refused: ${why#srs-lite: }"
    fi
    # shellcheck disable=SC2059
    printf "$row" "$name" "$keys" "$comments" "$why"
done
echo "$files files: $loaded load, $((files - loaded - failed)) are refused, $failed do not load"
[ "$failed" -eq 0 ]
