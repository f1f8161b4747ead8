#!/usr/bin/env python3
"""Counts the instructions of single paths of malloc and free, hakmem beside its peers.

    tools/bazel build -c opt //bench:paths //hakmem:libhakmem.so
    tools/count_paths.py [--markdown] [--steps=N] [NAME=PATH.so ...]

Each path runs under callgrind with an allocator preloaded, N steps and twice as many: the
difference is what a step takes once it is warm. Counted is from the call's way through the PLT to
the return; what the caller itself takes is subtracted. A count, unlike a time, is the same on every
run. Needs valgrind. Peers are glibc, those of the benches that are installed, and NAME=PATH.
"""

import os
import pathlib
import platform
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAM = "bazel-bin/bench/paths"
SUBJECT = "bazel-bin/hakmem/libhakmem.so"
PEERS = {
    "jemalloc": "libjemalloc.so.2",
    "mimalloc": "libmimalloc.so.2",
    "mimalloc3": "libmimalloc.so.3",
    "tcmalloc": "libtcmalloc_minimal.so.4",
}
RUN = 10000
LARGE = 4 << 20
# Title, arguments of bench/paths, functions that are counted, calls of them a step, whether a step
# is much work.
PATHS = [
    ("malloc, hit, 64 B", ["lifo", 64], ["malloc"], 1, False),
    ("free, hit, 64 B", ["lifo", 64], ["free"], 1, False),
    ("malloc, hit, 1 KiB", ["lifo", 1024], ["malloc"], 1, False),
    ("free, hit, 1 KiB", ["lifo", 1024], ["free"], 1, False),
    ("malloc, runs of 10,000 of 64 B", ["runs", 64, RUN], ["malloc"], RUN, True),
    ("free, runs of 10,000 of 64 B", ["runs", 64, RUN], ["free"], RUN, True),
    ("calloc, 64 B", ["calloc", 64], ["calloc"], 1, False),
    ("realloc to the same size, 64 B", ["realloc", 64], ["realloc"], 1, False),
    ("malloc_usable_size, 64 B", ["usable", 64], ["usable"], 1, False),
    ("aligned_alloc, 64 of 64 B", ["aligned", 64], ["aligned"], 1, False),
    ("operator new, 64 B", ["new", 64], ["new"], 1, False),
    ("operator delete with its size, 64 B", ["new", 64], ["delete"], 1, False),
    ("operator delete with its size, 4 KiB", ["new", 4096], ["delete"], 1, False),
    ("malloc and free, 32 KiB", ["lifo", 32 << 10], ["malloc", "free"], 1, False),
    ("malloc and free, 4 MiB", ["lifo", LARGE], ["malloc", "free"], 1, False),
]
MUCH = 100  # times fewer steps of those


def collected(log):
    """Instructions that callgrind's log says were counted."""
    match = re.search(r"Collected : (\d+)", log)
    if match is None:
        raise SystemExit(f"tools/count_paths.py: callgrind counted nothing:\n{log}")
    return int(match.group(1))


def run(program, library, arguments, functions):
    """Instructions inside of the functions, and what the program printed."""
    environment = {"LD_PRELOAD": library} if library else {}
    toggles = [f"--toggle-collect=measured_{function}" for function in functions]
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *toggles, program,
         *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"tools/count_paths.py: {done.stderr}")
    return collected(done.stderr), float(done.stdout)


def count(program, library, path, steps):
    """Instructions a call, and refills (hakmem's) and calls of all steps, once warm."""
    _, (what, *rest), functions, calls, much = path
    steps = max(steps // MUCH, 2) if much else steps
    warm, refills = run(program, library, [what, 2 * steps, *rest], functions)
    more, refills_more = run(program, library, [what, 3 * steps, *rest], functions)
    total = more - warm
    return total / steps / calls, refills_more - refills, steps * calls


def find_peers():
    directories = [f"/usr/lib/{platform.machine()}-linux-gnu", "/usr/lib64", "/usr/lib",
                   "/usr/local/lib"]
    found = {"glibc": ""}
    for name, file in PEERS.items():
        for directory in directories:
            if (pathlib.Path(directory) / file).is_file():
                found[name] = f"{directory}/{file}"
                break
    return found


def table_of(program, libraries, steps):
    """Rows of cells; the first is the header."""
    rows = [["instructions", *libraries]]
    bases = {name: count(program, library, ("", ["nothing", 1], ["nothing"], 1, False), steps)[0]
             for name, library in libraries.items()}
    refill = ""
    for path in PATHS:
        cells = [path[0]]
        for name, library in libraries.items():
            calls = len(path[2])
            a_call, refills, all_calls = count(program, library, path, steps)
            # The empty function's own return is one.
            net = a_call - calls * (bases[name] - 1)
            cells.append(f"{net:.0f}" if net >= 99.5 else f"{net:.1f}")
            if name != "hakmem" or path[2] != ["malloc"]:
                continue
            if path[1][0] == "runs" and refills > 0:
                refill = f"hakmem refills every {all_calls / refills:.0f} blocks of those runs"
        rows.append(cells)
        print(f"{path[0]}: done", file=sys.stderr)
    return rows, refill


def text_of(rows, markdown):
    if markdown:
        lines = ["| " + " | ".join(row) + " |" for row in rows]
        lines.insert(1, "|" + "---|" * len(rows[0]))
        return "\n".join(lines)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0])] + [cell.rjust(width)
                                               for cell, width in zip(row[1:], widths[1:])])
        for row in rows)


def main():
    markdown, steps, given = False, 2000, {}
    libraries = {"hakmem": os.environ.get("HAKMEM_LIBRARY", str(ROOT / SUBJECT))}
    program = os.environ.get("HAKMEM_PATHS", str(ROOT / PROGRAM))
    for argument in sys.argv[1:]:
        name, equals, value = argument.partition("=")
        if argument == "--markdown":
            markdown = True
        elif name == "--steps" and value.isdigit() and int(value) > 0:
            steps = int(value)
        elif equals and not name.startswith("-"):
            given[name] = value
        else:
            print(f"tools/count_paths.py: no flag {argument}\n\n{__doc__.strip()}",
                  file=sys.stderr)
            sys.exit(2)
    libraries.update({**find_peers(), **given})
    for file in [program, *libraries.values()]:
        if file and not pathlib.Path(file).is_file():
            print(f"tools/count_paths.py: {file} is not there", file=sys.stderr)
            sys.exit(2)
    rows, refill = table_of(program, libraries, steps)
    print(text_of(rows, markdown))
    if refill:
        print(f"\n{refill}")


if __name__ == "__main__":
    main()
