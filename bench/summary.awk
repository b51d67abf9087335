# awk -f summary.awk aims.tsv RESULTS: what collate.awk printed, as a table of Coil's numbers beside the
# best peer's, the physical limit's and the aim.
BEGIN { FS = "\t" }

# Four digits are more than any of this is good for.
function short(x)
{
    if (x >= 1000)
        return sprintf("%.0f", x)
    return sprintf("%.3g", x)
}

FNR == NR && /^#/ { next }

FNR == NR {
    aims++
    workload[aims] = $1; metric[aims] = $2; unit[aims] = $3; aim[aims] = $4; peers[aims] = $5
    limit[aims] = $6
    next
}

# TSV only: other programs' remarks are not.
NF >= 8 && $4 != "median" {
    seen++
    its_workload[seen] = $1; its_peer[seen] = $2; its_metric[seen] = $3
    median[seen] = $4; least[seen] = $6; greatest[seen] = $7
}

function find(peer, workload, metric,    k)
{
    for (k = 1; k <= seen; k++)
        if (its_peer[k] == peer && its_workload[k] == workload && its_metric[k] == metric)
            return k
    return 0
}

function best_peer(row,    k, best)
{
    best = 0
    for (k = 1; k <= seen; k++)
        if (its_workload[k] == workload[row] && its_peer[k] != "coil" && its_peer[k] != "limit" &&
            its_peer[k] " " its_metric[k] ~ peers[row] && (!best || median[k] < median[best]))
            best = k
    return best
}

function limit_of(row,    n, k, place, parts, found)
{
    n = split(limit[row], place, ",")
    for (k = 1; k <= n; k++) {
        split(place[k], parts, "/")
        found = find("limit", parts[1], parts[2])
        if (found)
            return found
    }
    return 0
}

function verdict(row, mine)
{
    if (aim[row] == "-")
        return ""
    if (median[mine] + 0 <= aim[row])
        return "met"
    return least[mine] + 0 <= aim[row] ? "at best" : "NOT MET"
}

END {
    format = "%-36s %8s %-19s %-16s %7s %9s %7s %6s  %s\n"
    printf format, "workload", "coil", "(min - max)", "best peer", "ratio", "limit", "ratio", "aim", ""
    for (row = 1; row <= aims; row++) {
        mine = find("coil", workload[row], metric[row])
        if (!mine)
            continue
        peer = peers[row] == "-" ? 0 : best_peer(row)
        floor = limit_of(row)
        printf format, workload[row] " " metric[row] (metric[row] ~ unit[row] ? "" : " [" unit[row] "]"),
            short(median[mine]), "(" short(least[mine]) " - " short(greatest[mine]) ")",
            peer ? its_peer[peer] " " short(median[peer]) : "-",
            peer ? sprintf("%.2f", median[mine] / median[peer]) : "-",
            floor ? short(median[floor]) : "-",
            floor ? sprintf("%.2f", median[mine] / median[floor]) : "-",
            aim[row], verdict(row, mine)
    }
}
