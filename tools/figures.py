#!/usr/bin/env python3
"""Puts what was measured into the documents.

    tools/figures.py DIRECTORY

DIRECTORY has what tools/retake_figures left there: compare.json, latency.json and builds.json of
//bench:compare and //bench:latency, paths.md and atomics.md of the counting tools. Each that is
there replaces what stands between its marks in docs/performance.md and docs/scaling.md:

    <!-- figures: compare -->
    <!-- end -->
"""

import json
import math
import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = ["docs/performance.md", "docs/scaling.md"]
SHARES = ["p50", "p90", "p99", "p99.9", "p99.99", "max"]


def geometric_mean(values):
    return math.exp(statistics.fmean(map(math.log, values)))


def time_name(ns):
    for unit, name in [(1e6, "ms"), (1e3, "µs")]:
        if ns >= unit:
            return f"{ns / unit:.1f} {name}"
    return f"{ns:.1f} ns"


def short_name(ns):
    """Whole ns, without the unit: for latencies, which have the clock's resolution."""
    if ns >= 1e6:
        return f"{ns / 1e6:.1f} ms"
    return f"{ns / 1e3:.0f} µs" if ns >= 1e4 else f"{ns:.0f}"


def mb_name(megabytes):
    return f"{megabytes:.1f} MB"


def table_of(rows):
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def machine_of(report):
    machine = report["machine"]
    versions = ", ".join(f'{one["name"]} {one["version"]}' for one in report["allocators"]
                         if one["name"] != "hakmem")
    return (f'{machine["cpu"]}, {machine["cores"]:g} cores, Linux {machine["kernel"]}, THP '
            f'{machine["thp"]}; {report["options"]["rounds"]:g} rounds; {versions}.')


def means_of(quantity):
    """Two sentences: the mean of the ratios, and who is how far from the best of each row."""
    rows = quantity["rows"]
    sure = [row["ratio"] for row in rows if row["mark"] != "?"]
    names = list(rows[0]["values"])
    times = {name: geometric_mean([row["values"][name] / min(row["values"].values())
                                   for row in rows]) for name in names}
    groups = {}
    for row in rows:
        groups.setdefault(row["name"].split(".")[0], []).append(row["ratio"])
    return (f'Geometric mean of the ratios: **{quantity["geometric_mean"]:.2f}** over {len(rows)} '
            f"rows, {geometric_mean(sure):.2f} over the {len(sure)} that say who is better. "
            "By group: " +
            ", ".join(f"{name} {geometric_mean(ratios):.2f}" for name, ratios in groups.items()) +
            ". Times the row's best: " +
            ", ".join(f"{name} {mean:.2f}" for name, mean in
                      sorted(times.items(), key=lambda item: item[1])) + ".")


def rows_of(quantity, name_of):
    rows = [["row", "hakmem", "best peer", "ratio", "rounds"]]
    for row in quantity["rows"]:
        peer = row["best_peer"]
        rows.append([row["title"], name_of(row["values"]["hakmem"]),
                     f'{peer} {name_of(row["values"][peer])}',
                     f'{row["ratio"]:.2f}{row["mark"].strip()}',
                     f'{row["ratio_low"]:.2f}–{row["ratio_high"]:.2f}'])
    return table_of(rows)


def compare_text(report):
    compared = report["compare"]
    missing = "".join(f"\n\nNot installed: {name}." for name in compared["missing_programs"])
    return "\n\n".join([
        machine_of(report),
        "**Time** of a malloc and its free, or of a run. " + means_of(compared["time"]),
        rows_of(compared["time"], time_name),
        "**Memory**: the most that was resident; of lives, the average. " +
        means_of(compared["memory"]),
        rows_of(compared["memory"], mb_name)]) + missing


def latency_text(report):
    parts = [machine_of(report)]
    for case in report["cases"]:
        for call in ["malloc", "free"]:
            rows = [[f"{call}, ns", *SHARES, "switches"]]
            for result in case["results"]:
                medians = {key: statistics.median(one[key] for one in result["rounds"])
                           for key in result["rounds"][0]}
                rows.append([result["allocator"],
                             *(short_name(medians[f"{call}_{share}"]) for share in SHARES),
                             f'{medians["switches"]:.0f}'])
            clock = case["results"][0]["rounds"]
            rows.append(["the clock alone",
                         *(short_name(statistics.median(one[f"clock_{share}"] for one in clock))
                           for share in SHARES), "-"])
            title = [f'**{case["title"]}**'] if call == "malloc" else []
            parts += [*title, table_of(rows)]
    return "\n\n".join(parts)


def builds_text(report):
    """Each build against the first one, which ships: above 1 it is faster."""
    rows = report["compare"]["time"]["rows"]
    names = list(rows[0]["values"])
    groups = {}
    for row in rows:
        groups.setdefault(row["name"].split(".")[0], []).append(row)
    ratio = lambda some, name: geometric_mean(
        [row["values"][names[0]] / row["values"][name] for row in some])
    table = [["of -O2's speed", *names[1:]]]
    for group, some in groups.items():
        table.append([group, *(f"{ratio(some, name):.2f}" for name in names[1:])])
    table.append(["**all**", *(f"**{ratio(rows, name):.3f}**" for name in names[1:])])
    return table_of(table)


SECTIONS = {
    "compare": ("compare.json", lambda text: compare_text(json.loads(text))),
    "latency": ("latency.json", lambda text: latency_text(json.loads(text))),
    "builds": ("builds.json", lambda text: builds_text(json.loads(text))),
    "paths": ("paths.md", str.strip),
    "atomics": ("atomics.md", str.strip),
}


def put(document, section, text):
    """The document with `text` between the section's marks; None when it has no such section."""
    pattern = re.compile(rf"(<!-- figures: {section} -->\n).*?(<!-- end -->)", re.DOTALL)
    found = pattern.search(document)
    if not found:
        return None
    return document[:found.end(1)] + "\n" + text + "\n\n" + document[found.start(2):]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    for section, (name, make) in SECTIONS.items():
        file = pathlib.Path(sys.argv[1], name)
        if not file.is_file():
            print(f"tools/figures.py: {section}: no {file}")
            continue
        text = make(file.read_text(encoding="utf-8"))
        for path in (ROOT / document for document in DOCUMENTS):
            if not path.is_file():
                continue
            changed = put(path.read_text(encoding="utf-8"), section, text)
            if changed is not None:
                path.write_text(changed, encoding="utf-8")
                print(f"tools/figures.py: {section}: {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
