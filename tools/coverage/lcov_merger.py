#!/usr/bin/env python3
"""Adds up lcov files: what Bazel's own merger does, which it would have to download.

Takes the options that Bazel gives its merger: the files in --coverage_dir, or those that
--reports_file lists, go to --output_file; sources that match a --filter_sources are left out.
"""

import argparse
import collections
import pathlib
import re


def read_records(path, hits):
    """Adds the DA (line), BRDA (branch) and FNDA (function) counts of one lcov file to `hits`."""
    source = None
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("SF:"):
            source = line[3:]
        elif line.startswith("DA:") and source:
            number, count = line[3:].split(",")[:2]
            hits[source]["lines"][int(number)] += int(count)
        elif line.startswith("BRDA:") and source:
            branch, count = line[5:].rsplit(",", 1)
            # "-": the condition was never reached.
            hits[source]["branches"][branch] += 0 if count == "-" else int(count)
        elif line.startswith("FN:") and source:
            number, name = line[3:].split(",", 1)
            hits[source]["functions"][name] = int(number)
        elif line.startswith("FNDA:") and source:
            count, name = line[5:].split(",", 1)
            hits[source]["calls"][name] += int(count)
        elif line == "end_of_record":
            source = None


def covered(counts):
    return sum(1 for count in counts.values() if count)


def write_records(output, hits, filters):
    for source in sorted(hits):
        if any(pattern.fullmatch(source) for pattern in filters):
            continue
        record = hits[source]
        output.write(f"SF:{source}\n")
        for name, number in sorted(record["functions"].items(), key=lambda item: item[1]):
            output.write(f"FN:{number},{name}\nFNDA:{record['calls'][name]},{name}\n")
        for number, count in sorted(record["lines"].items()):
            output.write(f"DA:{number},{count}\n")
        branches = record["branches"]
        for branch in sorted(branches, key=lambda name: [int(n) for n in name.split(",")]):
            output.write(f"BRDA:{branch},{branches[branch]}\n")
        output.write(f"BRH:{covered(branches)}\nBRF:{len(branches)}\n")
        output.write(f"LH:{covered(record['lines'])}\nLF:{len(record['lines'])}\nend_of_record\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--coverage_dir")
    parser.add_argument("--reports_file")
    parser.add_argument("--output_file", required=True)
    parser.add_argument("--filter_sources", action="append", default=[])
    options, _ = parser.parse_known_args()

    paths = []
    if options.coverage_dir:
        paths += pathlib.Path(options.coverage_dir).rglob("*.dat")
    if options.reports_file:
        listed = pathlib.Path(options.reports_file).read_text().split()
        paths += [pathlib.Path(name) for name in listed if name.endswith(".dat")]
    output_path = pathlib.Path(options.output_file)

    hits = collections.defaultdict(
        lambda: {
            "lines": collections.Counter(),
            "branches": collections.Counter(),
            "functions": {},
            "calls": collections.Counter(),
        })
    for path in paths:
        if path.exists() and path.resolve() != output_path.resolve():
            read_records(path, hits)
    with output_path.open("w") as output:
        write_records(output, hits, [re.compile(pattern) for pattern in options.filter_sources])


if __name__ == "__main__":
    main()
