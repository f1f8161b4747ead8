#!/usr/bin/env python3
"""Commits every misuse of hakmem/misuse_test, each in a process of its own, and holds the answers
to what the cases and docs/hardening.md say.

    tools/misuse_table.py MISUSE LIBRARY DOC
        runs them in every mode; exit code 1: something is not as it should be
    tools/misuse_table.py MISUSE LIBRARY DOC --write [NAME=PEER ...]
        writes the table into DOC

MISUSE and LIBRARY are what //hakmem/misuse_test:misuse and //hakmem:libhakmem.so build. A PEER is
an allocator's library to preload, or nothing, for the C library's own. Without peers --write leaves
their columns as they are: what is not installed everywhere is run on demand only.
"""

import json
import os
import re
import subprocess
import sys
import threading

BEGIN, END = "<!-- misuse table -->", "<!-- end -->"
SECONDS = 20
UNNOTICED, GIVEN_OUT, CANNOT = 0, 3, 4  # exit codes of the cases
ABORTED, SEGMENT = -6, -11
# What follows the mistake, by mode: (environment, exit code).
MODES = {
    "abort": ({}, ABORTED),
    "abort in safe mode": ({"HAKMEM_MODE": "safe"}, ABORTED),
    "abort in debug mode": ({"HAKMEM_MODE": "debug"}, ABORTED),
    "report": ({"HAKMEM_ON_ERROR": "report"}, UNNOTICED),
    "report in JSON": ({"HAKMEM_ON_ERROR": "report", "HAKMEM_ERROR_JSON": "1"}, UNNOTICED),
}
# Of the table, by the mode that they show.
COLUMNS = {"hakmem": "abort", "safe and debug": "abort in safe mode"}


def cases_of(misuse):
    listed = subprocess.run([misuse, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    return [line.split("\t") for line in listed.stdout.splitlines()]


def commit(misuse, name, library, options):
    """Returns the exit code, None for a hang, and the lines on stderr."""
    environment = {"PATH": os.environ.get("PATH", ""), **options}
    if library:
        environment["LD_PRELOAD"] = os.path.realpath(library)
    try:
        run = subprocess.run(
            [os.path.realpath(misuse), name], env=environment, timeout=SECONDS, check=False,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except subprocess.TimeoutExpired:
        return None, []
    return run.returncode, run.stderr.decode("utf-8", "replace").splitlines()


def fault_of(line, guarded, mode, status, said):
    """What is wrong with a case's end, or None."""
    options, expected = MODES[mode]
    if options.get("HAKMEM_MODE"):
        # Blocks have trailers: sizes and places are others, what happened is the same.
        line = (guarded or line.split(": ")[0]) + ": .*"
        if options["HAKMEM_MODE"] == "debug" and guarded:
            line += "; allocated at misuse.0x[0-9a-f]+.*"
    elif not line:
        quiet = status == UNNOTICED and not said
        return None if quiet or status == CANNOT else f"does not go on: {status}, {said}"
    if status != expected:
        ends = {None: "hangs", UNNOTICED: "goes on", GIVEN_OUT: "the victim is given out"}
        return ends.get(status, f"exit code {status}") + f" instead of {expected}"
    if expected == ABORTED and len(said) != 1:
        return f"{len(said)} lines on stderr, not one"
    if not said:
        return "no line on stderr"
    if "HAKMEM_ERROR_JSON" not in options:
        # Later lines are of what follows from going on.
        if re.fullmatch("hakmem: " + line + ".*", said[0]):
            return None
        return f"says {said[0]!r}, not {line!r}"
    try:
        reports = [json.loads(report) for report in said]
    except ValueError:
        return f"no JSON: {said}"
    wanted = {"hakmem": "error", "then": "report", "program": "misuse"}
    if any(report.get(key) != value for report in reports for key, value in wanted.items()):
        return f"says {reports}"
    what = re.match(line.split(": ")[0] + "$", reports[0]["what"])
    return None if what else f"says {reports[0]['what']}"


def answer(status, said):
    """A cell of the table."""
    if status == ABORTED and said and said[-1].startswith("hakmem: "):
        return said[-1].split(": ")[1]
    if status == ABORTED:
        text = re.sub(r"0x[0-9a-f]+", "…", said[-1]).strip() if said else ""
        text = re.sub(r"^(<jemalloc>|mimalloc|.*\.c[c:].*?|src/\S+)[: ]+", "", text)
        return f"stops: {text[:60].replace('|', '/')}" if text else "stops, says nothing"
    names = {
        None: "**hangs**", UNNOTICED: "**goes on**" + (", with a line" if said else ""),
        GIVEN_OUT: "**gives it out**", CANNOT: "–", SEGMENT: "**SIGSEGV**",
    }
    return names.get(status, f"**exit code {status}**")


def rows_of(doc):
    """The table's header, and its rows by case."""
    table = doc[doc.index(BEGIN) + len(BEGIN):doc.index(END)].strip().splitlines()
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in table]
    return (cells[0], {row[0]: row for row in cells[2:]}) if cells else ([], {})


def words(name):
    return name.replace("_", " ")


def run_all(misuse, library, cases, mode):
    """Answers by case; two at a time would be no faster where they allocate much."""
    return {name: commit(misuse, name, library, MODES[mode][0]) for name, *_ in cases}


def check(misuse, library, doc_path):
    cases = cases_of(misuse)
    with open(doc_path, encoding="utf-8") as file:
        _, rows = rows_of(file.read())
    faults = 0
    results = {}
    threads = [
        threading.Thread(target=lambda m=mode: results.update(
            {m: run_all(misuse, library, cases, m)})) for mode in MODES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, line, guarded in cases:
        for mode, ends in results.items():
            fault = fault_of(line, guarded, mode, *ends[name])
            faults += fault is not None
            print(f"{'PASS' if fault is None else 'FAIL'} {name}, {mode}" +
                  (f": {fault}" if fault else ""))
        for column, mode in enumerate(COLUMNS.values(), 1):
            said = answer(*results[mode][name])
            if rows.get(words(name), [""] * 3)[column] != said:
                faults += 1
                print(f"FAIL {name}: the table in {doc_path} does not say {said!r}")
    for name in sorted(set(rows) - {words(name) for name, *_ in cases}):
        faults += 1
        print(f"FAIL the table has '{name}', which is no case")
    print(f"{len(cases)} misuses in {len(MODES)} modes, {faults} faults")
    return cases and not faults


def write(misuse, library, doc_path, peers):
    with open(doc_path, encoding="utf-8") as file:
        doc = file.read()
    header, old = rows_of(doc)
    kept = [column for column in header[2:] if column not in [*peers, *COLUMNS]]
    columns = ["mistake", *COLUMNS, *kept, *peers]
    table = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for name, *_ in cases_of(misuse):
        row = [words(name)]
        row += [answer(*commit(misuse, name, library, MODES[mode][0]))
                for mode in COLUMNS.values()]
        before = dict(zip(header, old.get(words(name), [])))
        row += [before.get(column, "not run") for column in kept]
        row += [answer(*commit(misuse, name, peer, {})) for peer in peers.values()]
        table.append("| " + " | ".join(row) + " |")
    start, end = doc.index(BEGIN) + len(BEGIN), doc.index(END)
    with open(doc_path, "w", encoding="utf-8") as file:
        file.write(doc[:start] + "\n" + "\n".join(table) + "\n" + doc[end:])


def main(arguments):
    if len(arguments) < 3:
        sys.exit(__doc__)
    misuse, library, doc_path = arguments[:3]
    if arguments[3:4] == ["--write"]:
        write(misuse, library, doc_path, dict(peer.split("=", 1) for peer in arguments[4:]))
    elif not check(misuse, library, doc_path):
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
