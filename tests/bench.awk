# Draws an SVG: two panels, cost and latency against the number of players. A line of input is a
# point: players, server, CPU seconds for each GB, milliseconds. All scales are logarithmic, since
# all values spread over decades; what is not above 0 is left out.

BEGIN {
    width = 460 # of a panel
    height = 400
    left = 62; right = 18; top = 84; bottom = 56
    colour["srs-lite"] = "#0b62c4"
    colour["nginx"] = "#c2410c"
    legend["srs-lite"] = "srs-lite, mw_latency = auto"
    legend["nginx"] = "nginx-rtmp, one worker"
}

$1 > 0 {
    if (!($2 in known)) { known[$2] = ++servers; name[servers] = $2 }
    if (!($1 in place)) { place[$1] = ++places; players[places] = $1 + 0 }
    value[$2, $1, 1] = $3
    value[$2, $1, 2] = $4
}

function log10(x) { return log(x) / log(10) }

function text(x, y, anchor, size, what) {
    printf "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\">%s</text>\n",
        x, y, anchor, size, what
}

function line(x1, y1, x2, y2, stroke) {
    printf "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\"/>\n",
        x1, y1, x2, y2, stroke
}

# Shapes differ too, for whoever does not see the colours.
function mark(x, y, server) {
    if (server == 1)
        printf "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\" fill=\"%s\"/>\n", x, y, hue(server)
    else
        printf "<rect x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"8\" fill=\"%s\"/>\n",
            x - 4, y - 4, hue(server)
}

function hue(server) { return name[server] in colour ? colour[name[server]] : "#555555" }

function across(count) {
    return panel_x + left + (width - left - right) * share(count, least_players, most_players)
}

function up(y) { return height - bottom - (height - top - bottom) * share(y, least, most) }

function share(x, from, to) { return to > from ? log(x / from) / log(to / from) : 0.5 }

# The next lower (direction -1) or higher (1) of 1, 2, 5, 10, 20, …
function round_to(x, direction,    power, i, n, steps) {
    power = log10(x)
    power = 10 ^ (power < int(power) ? int(power) - 1 : int(power))
    n = split(direction < 0 ? "5 2 1" : "1 2 5 10", steps, " ")
    for (i = 1; i <= n; i++)
        if ((x - steps[i] * power * (1 + direction * 1e-9)) * direction <= 0)
            return steps[i] * power
    return x
}

function range(which,    s, p, v) {
    least = most = 0
    for (s = 1; s <= servers; s++)
        for (p = 1; p <= places; p++) {
            v = value[name[s], players[p], which] + 0
            if (v <= 0) continue
            if (!least || v < least) least = v
            if (v > most) most = v
        }
    if (!least) least = most = 1
    least = round_to(least, -1)
    most = round_to(most, 1)
    if (most == least) most = least * 10
}

function panel(which, title,    tick, p, s, v, x, y, path) {
    panel_x = (which - 1) * width
    range(which)
    text(panel_x + left, top - 14, "start", 14, title)
    for (tick = least; tick <= most * 1.001; tick = round_to(tick * 1.01, 1)) {
        line(panel_x + left, up(tick), panel_x + width - right, up(tick), "#d9d9d9")
        text(panel_x + left - 8, up(tick) + 4, "end", 12, tick)
    }
    for (p = 1; p <= places; p++) {
        x = across(players[p])
        line(x, height - bottom, x, height - bottom + 5, "#333333")
        text(x, height - bottom + 20, "middle", 12, players[p])
    }
    line(panel_x + left, height - bottom, panel_x + width - right, height - bottom, "#333333")
    text(panel_x + (left + width - right) / 2, height - 14, "middle", 13, "players")
    for (s = 1; s <= servers; s++) {
        path = ""
        for (p = 1; p <= places; p++) {
            v = value[name[s], players[p], which] + 0
            if (v <= 0) continue
            x = across(players[p])
            y = up(v)
            path = path sprintf("%s%.1f,%.1f", path == "" ? "" : " ", x, y)
            mark(x, y, s)
        }
        printf "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n",
            path, hue(s)
    }
}

END {
    for (p = 1; p <= places; p++) {
        if (p == 1 || players[p] < least_players) least_players = players[p]
        if (p == 1 || players[p] > most_players) most_players = players[p]
    }
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" ", 2 * width, height
    printf "font-family=\"sans-serif\" fill=\"#1a1a1a\">\n"
    printf "<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n", 2 * width, height
    text(left, 26, "start", 16, title)
    for (s = 1; s <= servers; s++) {
        x = left + 5 + (s - 1) * 250
        mark(x, 44, s)
        text(x + 12, 48, "start", 13, name[s] in legend ? legend[name[s]] : name[s])
    }
    panel(1, "CPU seconds for each GB delivered (less is better)")
    panel(2, "Latency p50, milliseconds")
    print "</svg>"
}
