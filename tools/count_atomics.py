#!/usr/bin/env python3
"""Counts the atomic instructions that an allocator executes, hakmem beside its peers.

    tools/bazel build -c opt //bench:paths //hakmem:libhakmem.so
    tools/count_atomics.py [--markdown] [NAME=PATH.so ...]

Atomic are instructions with a lock prefix and exchanges with memory: what waits for a cache line
that another core has, and takes some twenty cycles when none has. callgrind counts how often each
instruction of the allocator's file was executed, objdump says which are atomic; the difference of N
and 2 N steps is left. Threads run one at a time under callgrind, so nobody waits: retries, and what
locks do when they are taken, are not in the counts. Needs valgrind and binutils; x86-64 only.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

# The tree stays as it is: no __pycache__ beside the sources.
sys.dont_write_bytecode = True

import count_paths  # pylint: disable=wrong-import-position

STEPS = 12
BLOCKS = 2000
# Title, arguments of bench/paths before and after the steps, pairs of malloc and free a step.
PATTERNS = [
    ("LIFO, 64 B", "lifo", [64], 1),
    ("runs of 2000, 64 B", "runs", [64, BLOCKS], BLOCKS),
    ("runs of 2000, 1 KiB", "runs", [1024, BLOCKS], BLOCKS),
    *((f"ring of {threads}, 2000 of 64 B", "ring", [64, BLOCKS, threads], BLOCKS * threads)
      for threads in [2, 4, 8, 16]),
    ("ring of 2, 200 of 32 KiB", "ring", [32 << 10, 200, 2], 400),
    ("a thread's life, 100 of 64 B", "lives", [64, 100], 100),
]


def atomic_addresses(library):
    """The addresses, in the file, of the atomic instructions."""
    done = subprocess.run(["objdump", "-d", "--no-show-raw-insn", library], capture_output=True,
                          text=True, check=True)
    pattern = re.compile(r"^\s*([0-9a-f]+):\s+(?:lock\b|xchg\b.*\()")
    matches = (pattern.match(line) for line in done.stdout.splitlines())
    return {int(match.group(1), 16) for match in matches if match}


def executed(profile, library, addresses):
    """How often instructions at `addresses` of `library` were executed, by callgrind's profile."""
    total, inside, after_call = 0, False, False
    for line in profile.splitlines():
        if line.startswith("ob="):
            inside = os.path.realpath(line[3:]) == library
        elif line.startswith("calls="):
            # The next line is what the called function took.
            after_call = True
        elif line.startswith("0x"):
            if not after_call and inside:
                address, _, count = line.split()[:3]
                total += int(count) if int(address, 16) in addresses else 0
            after_call = False
    return total


def run(program, preload, library, addresses, arguments):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, "profile")
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--dump-instr=yes", "--compress-strings=no",
             "--compress-pos=no", f"--callgrind-out-file={file}", program, *map(str, arguments)],
            env={**os.environ, **({"LD_PRELOAD": preload} if preload else {})},
            capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"tools/count_atomics.py: {done.stderr}")
        return executed(file.read_text(encoding="utf-8"), library, addresses)


def libc_of(program):
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
    return re.search(r"libc\.so\.6 => (\S+)", done.stdout).group(1)


def table_of(program, libraries):
    """Rows of cells; the first is the header."""
    rows = [["atomics a pair", *libraries]]
    files = {name: os.path.realpath(library or libc_of(program))
             for name, library in libraries.items()}
    addresses = {name: atomic_addresses(file) for name, file in files.items()}
    for title, what, arguments, pairs in PATTERNS:
        cells = [title]
        for name, preload in libraries.items():
            steps = max(STEPS, 2 * BLOCKS // pairs)
            once, twice = (run(program, preload, files[name], addresses[name],
                               [what, times * steps, *arguments]) for times in [1, 2])
            cells.append(f"{max(twice - once, 0) / steps / pairs:.3f}")
        rows.append(cells)
        print(f"{title}: done", file=sys.stderr)
    return rows


def main():
    arguments = [argument for argument in sys.argv[1:] if argument != "--markdown"]
    given = dict(argument.split("=", 1) for argument in arguments
                 if "=" in argument and not argument.startswith("-"))
    if len(given) != len(arguments):
        print(f"tools/count_atomics.py: NAME=PATH.so only\n\n{__doc__.strip()}", file=sys.stderr)
        sys.exit(2)
    libraries = {"hakmem": os.environ.get("HAKMEM_LIBRARY",
                                          str(count_paths.ROOT / count_paths.SUBJECT))}
    program = os.environ.get("HAKMEM_PATHS", str(count_paths.ROOT / count_paths.PROGRAM))
    libraries.update({**count_paths.find_peers(), **given})
    for file in [program, *libraries.values()]:
        if file and not pathlib.Path(file).is_file():
            print(f"tools/count_atomics.py: {file} is not there", file=sys.stderr)
            sys.exit(2)
    rows = table_of(program, libraries)
    print(count_paths.text_of(rows, "--markdown" in sys.argv))


if __name__ == "__main__":
    main()
