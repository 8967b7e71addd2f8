#!/bin/bash
# What srs-lite's HTTP server costs beside nginx, which serves the same files: one process (nginx:
# one worker) each, in turns, in one run. Prints a table; takes 3 minutes. Not a check for CI: the
# figures are those of a machine that does nothing else.
#
# "nginx" has Debian's settings, without its log of every request, and is what srs-lite aims at;
# "nginx-cut" also hands files to the kernel in pieces as srs-lite does, which costs it far less.
#
# Needs: nginx-light (or nginx), wrk, util-linux, iproute2.
# ROUNDS (3) and SECONDS_EACH (8) may be set.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

rounds=${ROUNDS:-3}
seconds=${SECONDS_EACH:-8}
connections=50

if [ "${1:-}" != inside ]; then
    cargo build --release --locked
    [ "$(id -u)" = 0 ] && unshare=-n || unshare=-Urn
    # The ports are fixed, so nobody else may be on them.
    exec unshare "$unshare" "$0" inside
fi

ip link set lo up
export PATH="$PATH:/usr/sbin"
work=$(mktemp -d)
chmod 755 "$work"
servers=()
trap 'kill "${servers[@]}"; wait; rm -r "$work"' EXIT

mkdir -p "$work/html/live/name"
head -c 1000000 /dev/urandom >"$work/html/live/name/1000.ts"
{
    printf '#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXT-X-MEDIA-SEQUENCE:1000\n'
    for number in {1000..1006}; do
        printf '#EXTINF:10.000,\nname/%s.ts\n' "$number"
    done
} >"$work/html/live/name.m3u8"

cat >"$work/srs-lite.conf" <<END
listen = "127.0.0.1:1935"
srs_log_level = "warn"
[http_server]
enabled = true
listen = "127.0.0.1:8080"
dir = "$work/html"
END
cat >"$work/nginx.conf" <<END
daemon off;
worker_processes 1;
pid $work/nginx.pid;
error_log stderr warn;
events { worker_connections 768; }
http {
    sendfile on;
    tcp_nopush on;
    access_log off;
    keepalive_requests 1000000000;
    types { application/vnd.apple.mpegurl m3u8; video/mp2t ts; }
    root $work/html;
    server { listen 127.0.0.1:8081; }
    server { listen 127.0.0.1:8082 sndbuf=128k; sendfile_max_chunk 256k; }
}
END
cat >"$work/sum.lua" <<'END'
done = function(all)
    local failed = all.errors.connect + all.errors.read + all.errors.write
        + all.errors.status + all.errors.timeout
    io.write(string.format("sum %d %d %d %d\n", all.requests, all.bytes, all.duration, failed))
end
END

target/release/srs-lite -c "$work/srs-lite.conf" &
servers+=($!)
nginx -p "$work" -e stderr -c "$work/nginx.conf" &
servers+=($!)
for port in 8080 8081 8082; do
    for _ in {1..100}; do
        (: </dev/tcp/127.0.0.1/"$port") 2>/dev/null && break
        sleep 0.05
    done
done
worker=$(pgrep -P "${servers[1]}")
declare -A pid=([srs-lite]=${servers[0]} [nginx]=$worker [nginx-cut]=$worker)
declare -A port=([srs-lite]=8080 [nginx]=8081 [nginx-cut]=8082)
all=(srs-lite nginx nginx-cut)

cpu() { # server: its CPU time, in clock ticks
    local stat
    stat=$(<"/proc/${pid[$1]}/stat")
    # User and system time are the 14th and 15th field; what stands after the name begins with
    # the 3rd.
    awk '{ print $12 + $13 }' <<<"${stat##*) }"
}

resident() { # server: KiB
    awk '/^VmRSS/ { print $2 }' "/proc/${pid[$1]}/status"
}

# Prints: CPU seconds per GB, CPU microseconds per request, requests/s, MB/s, failed requests.
measure() { # server, path
    local before after out
    before=$(cpu "$1")
    out=$(wrk -t 1 -c "$connections" -d "${seconds}s" -s "$work/sum.lua" \
        "http://127.0.0.1:${port[$1]}$2")
    after=$(cpu "$1")
    awk -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" '/^sum/ {
        cpu = ticks / hz
        printf "%.3f %.2f %.0f %.0f %d\n", cpu / $3 * 1e9, cpu / $2 * 1e6,
            $2 / $4 * 1e6, $3 / $4, $5
    }' <<<"$out"
}

median() { # column, file
    awk -v column="$1" '{ print $column }' "$2" | sort -g |
        awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'
}

declare -A path=([ts]=/live/name/1000.ts [m3u8]=/live/name.m3u8)
for server in "${all[@]}"; do
    for kind in ts m3u8; do # so that both are warm
        seconds=1 measure "$server" "${path[$kind]}" >/dev/null
    done
done
declare -A warm=([srs-lite]=$(resident srs-lite) [nginx]=$(resident nginx))
for kind in ts m3u8; do
    for ((round = 0; round < rounds; round++)); do
        for server in "${all[@]}"; do
            measure "$server" "${path[$kind]}" >>"$work/$kind.$server"
        done
    done
done

row() {
    printf '%-6s %-9s %9s %10s %8s %6s %7s  %s\n' "$@"
}

echo "Medians of $rounds times $seconds s, $connections connections, keep-alive, $(nginx -v 2>&1)"
row file server CPU-s/GB CPU-us/req req/s MB/s failed "all CPU figures"
for kind in ts m3u8; do
    [ "$kind" = ts ] && column=1 || column=2
    for server in "${all[@]}"; do
        file=$work/$kind.$server
        row ".$kind" "$server" "$(median 1 "$file")" "$(median 2 "$file")" \
            "$(median 3 "$file")" "$(median 4 "$file")" "$(median 5 "$file")" \
            "$(awk -v column="$column" '{ printf "%s ", $column }' "$file")"
    done
    [ "$kind" = ts ] && aim=", aim: 1.1" || aim=", aim: 3"
    for server in nginx nginx-cut; do
        awk -v file=".$kind" -v server="$server" -v aim="$aim" \
            -v ours="$(median "$column" "$work/$kind.srs-lite")" \
            -v its="$(median "$column" "$work/$kind.$server")" \
            'BEGIN { printf "%s: %.2f x %s%s\n", file, ours / its, server, aim }'
        aim=
    done
done
for server in srs-lite nginx; do
    echo "RSS of $server, KiB: ${warm[$server]} warm, $(resident "$server") at the end"
done
