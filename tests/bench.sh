#!/bin/bash
# What players and publishers cost srs-lite, beside nginx-rtmp with one worker and beside a bare
# loop of writes (`srs-lite-load floor`): in turns, in one run. Prints a table of medians and draws
# a plot. These are figures, not verdicts, and those of a machine that does nothing else: no row
# fails, unless no media came through at all.
#
#   tests/bench.sh [ROW…]     these rows only; -l lists them. All take half an hour
#
# As root it installs what is missing; Debian starts nginx when it is installed. ROUNDS (3),
# SECONDS_EACH (10) and PLOT (target/bench.svg) may be set. With SRS=BINARY that is measured, too.
# SIZE=tiny does everything once, with a handful of players: that tests this script, and measures nothing.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
export PATH="$PATH:/usr/sbin"
. tests/support/install.sh

# The first is for a network in which nothing has happened yet.
all=(idle p1000-350 p1000-auto p500-0 p50-auto edge-100 p2000 p5000 p10000-100k flv-1000 join-200
    churn-400 burst publish-50 publish-50-hls plot)
plotted=(p50-auto p200-auto p500-auto p1000-auto p2000)

size=${SIZE:-full}
plot=${PLOT:-target/bench.svg}
load=target/release/srs-lite-load
if [ "$size" = tiny ]; then
    rounds=1 seconds=1 starts=3 warm=0.2 length=4 gop=10
else
    # The publisher is given time for a whole group of pictures, which players then find.
    rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-10} starts=20 warm=3 length=20 gop=50
fi

if [ "${1:-}" = -l ]; then
    printf '%s\n' "${all[@]}"
    exit
fi
if [ "${1:-}" != inside ]; then
    needed=(libnginx-mod-rtmp ffmpeg iproute2 util-linux)
    command -v nginx >/dev/null || needed+=(nginx-light)
    install_missing "${needed[@]}"
    cargo build --release --locked
    [ "$(id -u)" = 0 ] && unshare=-n || unshare=-Urn
    # The ports are fixed, so nobody else may be on them.
    exec unshare "$unshare" "$0" inside "$@"
fi
shift

ip link set lo up
ulimit -n "$(ulimit -Hn)"
work=$(mktemp -d)
chmod 755 "$work"
started=()
empty=()
trap 'stop_all; rm -r "$work"' EXIT
trap 'exit 1' INT TERM

stop_all() {
    local process
    for process in "${started[@]}"; do
        kill "$process" 2>/dev/null || true
    done
    for process in "${started[@]}"; do
        wait "$process" 2>/dev/null || true
    done
    started=()
}

start() { # log, command…; its process is `pid` then
    "${@:2}" >"$work/$1" 2>&1 &
    pid=$!
    started+=("$pid")
}

listens() { # port, log: waits for the process that was started last
    local _
    for _ in {1..200}; do
        (: </dev/tcp/127.0.0.1/"$1") 2>/dev/null && return
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    echo "nobody listens on port $1:" >&2
    cat "$work/$2" >&2
    exit 1
}

media() { # name, size, kbit/s of video, of audio
    # Constant, and without B-frames. Noise, so that AAC needs all that it is given. Containers take
    # the rest of what the name says.
    ffmpeg -v error -f lavfi -i "testsrc2=size=$2:rate=25" \
        -f lavfi -i anoisesrc=amplitude=0.1:sample_rate=44100 -t "$length" \
        -c:v libx264 -preset veryfast -pix_fmt yuv420p -bf 0 -g "$gop" -keyint_min "$gop" \
        -sc_threshold 0 -b:v "$3k" -minrate "$3k" -maxrate "$3k" -bufsize "$3k" \
        -x264-params nal-hrd=cbr -c:a aac -b:a "$4k" -f flv "$work/$1.flv"
}

few() { # so many players or streams, or a handful
    [ "$size" = tiny ] && echo $(($1 / 200 + 2)) || echo "$1"
}

# With room besides the players: twice as many for a row with others, and HTTP may take no more
# than three quarters.
connections() {
    [[ $row =~ ^(flv|burst|churn) ]] && echo $((count * 2 + 100)) || echo $((count + 100))
}

start_srs_lite() { # port, more of its configuration; log and configuration are named by the port
    cat >"$work/$1.conf" <<END_OF_FILE
listen = "127.0.0.1:$1"
max_connections = $(connections)
max_connections_per_address = $(connections)
srs_log_level = "warn"
[play]
mw_latency = $mw
${2:-}
END_OF_FILE
    start "$1.log" target/release/srs-lite -c "$work/$1.conf"
    listens "$1" "$1.log"
}

start_nginx() { # more of its configuration
    cat >"$work/nginx.conf" <<END_OF_FILE
load_module /usr/lib/nginx/modules/ngx_rtmp_module.so;
user $(id -un);
daemon off;
worker_processes 1;
pid $work/nginx.pid;
error_log stderr error;
events { worker_connections $(connections); }
rtmp {
    access_log off;
    server {
        listen 127.0.0.1:1937;
        application live { live on; wait_key on; ${1:-} }
    }
}
END_OF_FILE
    start nginx.log nginx -p "$work" -e stderr -c "$work/nginx.conf"
    listens 1937 nginx.log
    pid=$(pgrep -P "$pid" -f 'worker process')
}

start_srs() { # more of its vhost's configuration
    local latency=
    [ "$mw" = '"auto"' ] || latency="play { mw_latency $mw; }"
    cat >"$work/srs.conf" <<END_OF_FILE
listen 1938;
max_connections $(connections);
daemon off;
pid $work/srs.pid;
srs_log_tank console;
srs_log_level error;
vhost __defaultVhost__ { $latency ${1:-} }
END_OF_FILE
    start srs.log "$SRS" -c "$work/srs.conf"
    listens 1938 srs.log
}

# Starts one of the servers; `url` is where it is played then, and `origin` where it is published.
serve() { # server
    local more=
    origin=rtmp://127.0.0.1:1935/live/s
    case $1 in
    floor)
        origin=
        start floor.log "$load" floor "$work/$media.flv" 127.0.0.1:8080 --merge "$merge" \
            --seconds 3600
        listens 8080 floor.log
        url=http://127.0.0.1:8080/live/s.flv
        ;;
    nginx)
        [ "$row" != publish-50-hls ] || more="hls on; hls_path $work/hls; hls_fragment 1s;"
        start_nginx "$more"
        origin=rtmp://127.0.0.1:1937/live/s
        url=$origin
        ;;
    srs)
        start_srs
        origin=rtmp://127.0.0.1:1938/live/s
        url=$origin
        ;;
    srs-edge)
        start_srs_lite 1935
        start_srs "cluster { mode remote; origin 127.0.0.1:1935; }"
        url=rtmp://127.0.0.1:1938/live/s
        ;;
    edge)
        start_srs_lite 1935
        start_srs_lite 1936 $'[cluster]\nmode = "remote"\norigin = ["127.0.0.1:1935"]'
        url=rtmp://127.0.0.1:1936/live/s
        ;;
    srs-lite*)
        [ "$row" != publish-50-hls ] ||
            more=$'[hls]\nenabled = true\nhls_fragment = 1\nhls_path = "'"$work/hls\""
        [[ $row != flv* ]] || more=$'[http_remux]\nenabled = true\n[http_server]\nenabled = true
            listen = "127.0.0.1:7935"\ndir = "'"$work/html\""
        start_srs_lite 1935 "$more"
        url=$origin
        [ "$1" != srs-lite-flv ] || url=http://127.0.0.1:7935/live/s.flv
        ;;
    esac
}

# Runs srs-lite-load; its report goes to a file. In the background, so that a signal is heeded.
report() { # file, argument…
    local process status=0
    "$load" "${@:2}" --seconds "$seconds" --pid "$pid" >"$1" 2>"$work/load.log" &
    process=$!
    started+=("$process")
    wait "$process" || status=$?
    if [ "$status" != 0 ]; then
        empty+=("$row, $(basename "$1"): $(tail -n 1 "$work/load.log")")
    fi
}

measure() { # server, round: one report
    local file=$work/$row.$1.$2 server
    serve "$1"
    server=$pid
    if [ "$doing" = publish ]; then
        report "$file" publish "$work/$media.flv" "$origin{}" -n "$count"
    else
        [ -z "$origin" ] || start publish.log "$load" publish "$work/$media.flv" "$origin" \
            --seconds 3600 --json
        [ "$row" != burst ] || start slow.log "$load" play "$url" -n "$count" --slow 100 \
            --seconds 3600 --json
        sleep "$warm"
        pid=$server
        report "$file" play "$url" -n "$count" "${options[@]}"
    fi
    stop_all
    awk -v unit="$unit" -v count="$count" '{ value[$1] = $2 } END {
        cost = value["server_cpu_seconds_per_gb"]
        cpu = value["server_cpu_seconds"] * 1000
        if (unit == "ms to keyframe") cost = value["first_keyframe_ms_p50"]
        if (unit == "CPU-ms each" && value["served"]) cost = cpu / value["served"]
        if (unit == "CPU-ms/stream-s" && value["seconds"]) cost = cpu / value["seconds"] / count
        if (cost != "") printf "cost %.3f\n", cost
        if (value["seconds"]) printf "served_per_second %.0f\n", value["served"] / value["seconds"]
        printf "rss_mib %.1f\n", value["server_rss_kib"] / 1024
    }' "$file" >"$work/more"
    cat "$work/more" >>"$file"
    if [ "$row" = publish-50-hls ]; then
        [ -n "$(find "$work/hls" -name '*.ts' -print -quit)" ] ||
            empty+=("$row, $1: no segment was written")
        rm -r "$work/hls"
    fi
}

values() { # name, server: of all rounds, sorted
    cat "$work/$row.$2".[0-9]* | awk -v name="$1" '$1 == name { print $2 }' | sort -g
}

median() { # name, server, decimals
    values "$1" "$2" | awk -v format="%.${3:-0}f" '{ all[NR] = $1 }
        END { if (NR) printf format, all[int((NR + 1) / 2)]; else printf "-" }'
}

line() {
    printf '%-15s %-12s %8s %-15s %7s %7s %7s %7s %11s %7s %7s %6s  %s\n' "$@"
}

notes() { # server, the others…: all its costs, its ratio to theirs, and what hindered it
    local other lowered
    values cost "$1" | awk '{ printf "%s%s", (NR > 1 ? " " : ""), $1 }'
    for other in "${@:2}"; do
        awk -v ours="$(median cost "$1" 3)" -v its="$(median cost "$other" 3)" -v other="$other" \
            'BEGIN { if (its > 0) printf "; %.2f x %s", ours / its, other }'
    done
    [ "$doing" != churn ] || echo -n "; $(median served_per_second "$1") connections/s"
    echo -n "; kernel's TCP $(($(median machine_tcp_kib "$1") / 1024)) MiB"
    awk '/^ended:/ { printf "; %s", $0 }' "$work/$row.$1.$((rounds - 1))"
    lowered=$(grep -ohm 1 'max_connections lowered .*' "$work"/193?.log || true)
    if [[ $1 =~ srs-lite|edge && $lowered =~ to\ ([0-9]+): ]] && [ "${BASH_REMATCH[1]}" -lt "$count" ]; then
        echo -n "; $lowered"
    fi
}

# Measures the servers in turns, and prints a line for each.
row() { # server…
    local round server missing live others
    # Of SRS no segment was there in time.
    case ${SRS:+$row $1} in
    publish-50-hls*) ;;
    *" edge") set -- "$@" srs-edge ;;
    *" srs-lite") set -- "$@" srs ;;
    esac
    for ((round = 0; round < rounds; round++)); do
        rm -f "$work"/*.log
        for server in "$@"; do
            measure "$server" "$round"
        done
    done
    for server in "$@"; do
        # Not medians: whatever is lost in one round is told.
        missing=$(values frames_missing "$server" | tail -n 1)
        live=$(values live "$server" | head -n 1)
        [ "$doing" != churn ] || live=-
        others=()
        [ "$server" != "$1" ] || others=("${@:2}")
        line "$row" "$server" "$(median cost "$server" 3)" "$unit" \
            "$(median latency_ms_p50 "$server" 1)" "$(median latency_ms_p99 "$server" 1)" \
            "$(median first_keyframe_ms_p50 "$server" 1)" \
            "$(median first_keyframe_ms_p99 "$server" 1)" "${live:--}/$count" "${missing:--}" \
            "$(median rss_mib "$server" 1)" "$(median server_threads "$server")" \
            "$(notes "$server" "${others[@]}")"
    done
}

play() { # row, players, mw_latency, server…
    row=$1 doing=play unit=CPU-s/GB mw=$3
    count=$(few "$2")
    [ "$mw" != auto ] || mw='"auto"'
    # What "auto" comes to.
    merge=$((count / 12 > 350 ? 350 : count / 12 > 0 ? count / 12 : 1))
    [ "$3" = auto ] || merge=$3
    row "${@:4}"
}

join() { # row, players that begin in a second
    # nginx begins with audio, and its keyframe comes up to a group of pictures later.
    [ "$size" = tiny ] || local seconds=3
    row=$1 doing=play unit="ms to keyframe" mw='"auto"' options=(--ramp "$2")
    count=$(few 200)
    row srs-lite nginx
}

# A connection is over when its first frame is there. From srs-lite a whole group of pictures comes
# with it; from nginx, which keeps none, that frame is most often audio, and all that comes.
churn() {
    row=churn-400 doing=churn unit="CPU-ms each" mw='"auto"' options=(--churn --ramp 0)
    count=$(few 400)
    row srs-lite nginx
}

publish() { # row
    row=$1 doing=publish unit=CPU-ms/stream-s mw='"auto"'
    count=$(few 50)
    # With HLS until segments are there, which are cut at keyframes.
    [[ $row != *-hls || $seconds -gt 2 ]] || local seconds=3
    row srs-lite nginx
}

# From fork to the first connection. Then, when its log says that it is all there, its size.
idle() {
    local times=() begun line resident threads log probe
    printf 'listen = "127.0.0.1:1935"\n' >"$work/idle.conf"
    for ((round = 0; round < starts; round++)); do
        begun=${EPOCHREALTIME/./}
        exec {log}< <(exec target/release/srs-lite -c "$work/idle.conf" 2>&1)
        pid=$!
        started+=("$pid")
        until { exec {probe}<>/dev/tcp/127.0.0.1/1935; } 2>/dev/null; do :; done
        times+=($((${EPOCHREALTIME/./} - begun)))
        exec {probe}<&-
        while read -r -u "$log" line && [[ $line != *"listening on rtmp"* ]]; do :; done
        resident=$(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")
        threads=$(awk '/^Threads/ { print $2 }' "/proc/$pid/status")
        stop_all
        exec {log}<&-
    done
    strip -o "$work/stripped" target/release/srs-lite
    printf '%-15s RSS %s KiB, %s threads, stripped binary %s bytes, start to listening %s ms\n' \
        idle "$resident" "$threads" "$(stat -c %s "$work/stripped")" \
        "$(printf '%s\n' "${times[@]}" | sort -g |
            awk '{ all[NR] = $1 } END { printf "%.1f", all[int((NR + 1) / 2)] / 1000 }')"
}

# What was measured before in this run is not measured again.
draw() {
    local server
    for row in "${plotted[@]}"; do
        [ -e "$work/$row.nginx.0" ] || one "$row"
        for server in srs-lite nginx; do
            echo "$(median wanted "$server") $server $(median cost "$server" 3)" \
                "$(median latency_ms_p50 "$server" 1)"
        done >>"$work/points"
    done
    awk -v title="What a player costs, and how late it is: medians of $rounds times $seconds s, 864 kbit/s" \
        -f tests/bench.awk "$work/points" >"$plot"
    echo "plot            $plot"
}

one() { # row
    media=864k options=()
    case $1 in
    p1000-350) play "$1" 1000 350 srs-lite nginx floor ;;
    p1000-auto) play "$1" 1000 auto srs-lite nginx floor ;;
    p500-0) play "$1" 500 0 srs-lite nginx ;;
    p50-auto) play "$1" 50 auto srs-lite nginx ;;
    p200-auto) play "$1" 200 auto srs-lite nginx ;;
    p500-auto) play "$1" 500 auto srs-lite nginx ;;
    edge-100) play "$1" 100 auto edge ;;
    p2000) play "$1" 2000 auto srs-lite nginx ;;
    p5000) play "$1" 5000 auto srs-lite nginx ;;
    p10000-100k) media=100k && play "$1" 10000 auto srs-lite nginx ;;
    flv-1000) play "$1" 1000 350 srs-lite-flv srs-lite ;;
    join-200) join "$1" 1000 && join "$1-at-once" 0 ;;
    churn-400) churn ;;
    # As many players that read 100 kbit/s are there as well.
    burst) play "$1" 1000 auto srs-lite nginx ;;
    publish-50 | publish-50-hls) publish "$1" ;;
    idle) idle ;;
    plot) draw ;;
    *)
        echo "there is no row $1; there are: ${all[*]}" >&2
        exit 2
        ;;
    esac
}

media 864k 640x360 774 64
media 100k 160x90 66 24
echo "Medians of $rounds times $seconds s. $(nproc) processors, Linux $(uname -r)," \
    "$(nginx -v 2>&1). Latency and first keyframe in ms; all costs, and their ratios, at the end."
line row server cost unit lat-p50 lat-p99 key-p50 key-p99 live/wanted missing RSS-MiB threads ""
[ $# -gt 0 ] || set -- "${all[@]}"
for name in "$@"; do
    one "$name"
done
if [ ${#empty[@]} -gt 0 ]; then
    printf 'FAILED, no media: %s\n' "${empty[@]}" >&2
    exit 1
fi
