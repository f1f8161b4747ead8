#!/usr/bin/env python3
"""Runs the commands that the documents show.

Every block fenced as ```sh in the documents is run with `bash -eu` from the top of the tree. Where
the line before the fence is <!-- slow -->, the block is only checked to parse. Prints a line a
block, and fails if one failed or none was found.
"""

import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "hakmem/README.md", "docs/*.md"]
SLOW = "<!-- slow -->"
TIMEOUT_SECONDS = 600


def blocks_of(path):
    """Yields (line number, whether it is slow, text) of each ```sh block."""
    lines = path.read_text(encoding="utf-8").split("\n")
    start = None
    for number, line in enumerate(lines, 1):
        if start is None and line.strip() == "```sh":
            start = number
        elif start is not None and line.strip() == "```":
            before = [text for text in lines[: start - 1] if text.strip()][-1:]
            yield start, before == [SLOW], "\n".join(lines[start : number - 1]) + "\n"
            start = None
    if start is not None:
        raise SystemExit(f"{path}:{start}: a block without an end")


def run_block(slow, text):
    """Returns what went wrong, or nothing."""
    if not slow and ".ci/run" in text:
        return f"it calls .ci/run, which calls this: put {SLOW} before it"
    command = ["bash", "-n"] if slow else ["bash", "-eu"]
    try:
        done = subprocess.run(
            command + ["-c", text] if not slow else command,
            input=text if slow else "",
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=TIMEOUT_SECONDS,
            check=False)
    except subprocess.TimeoutExpired:
        return f"it runs for more than {TIMEOUT_SECONDS} s: put {SLOW} before it"
    if done.returncode:
        return f"exit code {done.returncode}\n{text}{done.stdout[-4000:]}"
    return ""


def main():
    failed = total = 0
    for pattern in DOCUMENTS:
        for path in sorted(ROOT.glob(pattern)):
            for line, slow, text in blocks_of(path):
                total += 1
                begin = time.monotonic()
                wrong = run_block(slow, text)
                failed += bool(wrong)
                verdict = "FAILED" if wrong else "PASSED"
                how = "parses" if slow else f"ran {time.monotonic() - begin:.1f} s"
                name = f"{path.relative_to(ROOT)}:{line}"
                print(f"{verdict} {name} ({wrong if wrong else how})", flush=True)
    return 1 if failed or not total else 0


if __name__ == "__main__":
    sys.exit(main())
