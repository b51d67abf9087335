# Single measurements in, sorted by workload, metric, peer and value; one line for each of the first three
# out: workload, peer, metric, median, unit, least, greatest, number of runs.
BEGIN {
    FS = OFS = "\t"
    print "workload", "peer", "metric", "median", "unit", "min", "max", "runs"
}

function emit(middle)
{
    if (n == 0)
        return
    middle = n % 2 ? value[(n + 1) / 2] : (value[n / 2] + value[n / 2 + 1]) / 2
    print workload, peer, metric, middle, unit, value[1], value[n], n
}

{
    key = $1 FS $2 FS $3
    if (key != last) {
        emit()
        n = 0
        last = key
    }
    workload = $1; peer = $2; metric = $3; unit = $5
    value[++n] = $4 + 0
}

END { emit() }
