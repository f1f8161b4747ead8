#!/usr/bin/env python3
"""Says how much of each file a run of `tools/bazel coverage` covered, and which lines it did not.

    tools/coverage/summary.py [--missing] [PREFIX...]

Reads the combined report; files whose path begins with none of the PREFIXes are left out. A branch
is one outcome of one condition. Left out are hak_assert's, which only a bug of ours takes, and the
headers': the report has them once for each source that includes the header.
"""

import argparse
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
REPORT = ROOT / "bazel-out" / "_coverage" / "_coverage_report.dat"


def percent(counts):
    covered = sum(1 for count in counts if count)
    return f"{100 * covered / len(counts):5.1f} % of {len(counts):4}" if counts else "       none"


def records(text):
    """Yields (file, counts by line, counts by branch)."""
    for part in text.split("end_of_record\n"):
        source, lines, branches = None, {}, {}
        for line in part.splitlines():
            kind, _, rest = line.partition(":")
            if kind == "SF":
                source = rest
            elif kind == "DA":
                number, count = rest.split(",")
                lines[int(number)] = int(count)
            elif kind == "BRDA":
                branch, count = rest.rsplit(",", 1)
                branches[tuple(int(n) for n in branch.split(","))] = int(count)
        if source:
            yield source, lines, branches


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("prefixes", nargs="*", default=["hakmem/"])
    options = parser.parse_args()

    all_lines, all_branches = [], []
    for source, lines, branches in records(REPORT.read_text()):
        if not source.startswith(tuple(options.prefixes)) or "_test" in source:
            continue
        text = (ROOT / source).read_text().split("\n")
        if source.endswith(".h"):
            branches = {}
        branches = {key: n for key, n in branches.items() if "hak_assert(" not in text[key[0] - 1]}
        all_lines += lines.values()
        all_branches += branches.values()
        line_share, branch_share = percent(lines.values()), percent(branches.values())
        print(f"{source:36} lines {line_share}, branches {branch_share}")
        if not options.missing:
            continue
        missing = {number for number, count in lines.items() if not count}
        half = {key[0] for key, count in branches.items() if not count} - missing
        for number in sorted(missing | half):
            mark = "-" if number in missing else "?"
            print(f"  {mark} {number:4} {text[number - 1]}")
    print(f"{'all of these':36} lines {percent(all_lines)}, branches {percent(all_branches)}")


if __name__ == "__main__":
    main()
