#!/usr/bin/env python3
"""Plants bugs in the allocator, one at a time, and says which of them the tests notice.

    tools/bazel run //tools:plant_bugs -- [--filter=TEXT] [--jobs=N] [--json=FILE] [--keep=FOLDER]

The bugs are listed in tools/planted_bugs, a file a layer (its README.md says how). Each is planted
in a copy of the tree, and the tests named for it run there, one after the other, until one fails or
takes too long: then the bug was noticed. A list that does not fit the tree, a bug that does not
compile, and a test that fails without any bug are errors of the list.

Fails if there is such an error, or a bug that no test noticed and that the list does not say so of.
"""

import argparse
import fnmatch
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(
    os.environ.get("BUILD_WORKSPACE_DIRECTORY") or pathlib.Path(__file__).resolve().parent.parent)

KINDS = {
    "dropped check",
    "off by one",
    "wrong order",
    "weak order",
    "lost block",
    "doubled block",
    "wrong class",
    "wrong value",
    "wrong count",
    "leak on error",
    "missing errno",
    "missing lock",
    "missing unlock",
}

# A bug may wait for ever, or take all memory: so much for one test, in seconds and in bytes of
# address space. What the tests ask for in earnest is far less.
TEST_SECONDS = 120
TEST_ADDRESS_BYTES = 64 << 30

# Exit codes of `bazel test`.
PASSED, NOT_BUILT, FAILED = 0, 1, 3


class ListError(Exception):
    """What is wrong with the list of bugs."""


class Bug:
    """A change of one file, and the tests that should notice it."""

    def __init__(self, place, name, file, tests):
        self.place, self.name, self.file, self.tests = place, name, file, tests
        self.kind = self.survives = ""
        self.hunk = []

    def sides(self):
        """The whole lines that are to be replaced, and what replaces them."""
        before = "".join(line[1:] + "\n" for line in self.hunk if line[0] in " -")
        after = "".join(line[1:] + "\n" for line in self.hunk if line[0] in " +")
        return before, after

    def planted(self, text):
        """`text` with the bug; ListError unless its lines are there exactly once."""
        before, after = self.sides()
        found = ("\n" + text).count("\n" + before)
        if found != 1:
            where = f"{self.place}: {self.name}"
            raise ListError(f"{where}: its lines are {found} times in {self.file}")
        return ("\n" + text).replace("\n" + before, "\n" + after)[1:]

    def check(self):
        """ListError if something is missing."""
        before, after = self.sides()
        for is_wrong, what in [
            (not re.fullmatch(r"[a-z][a-z0-9_]*", self.name), "no name of small letters"),
            (self.kind not in KINDS, f"no kind {self.kind!r}"),
            (not self.file, "no file"),
            (not self.tests, "no tests"),
            (not before, "no lines to look for"),
            (before == after, "it changes nothing"),
        ]:
            if is_wrong:
                raise ListError(f"{self.place}: {self.name}: {what}")


def read_list(path):
    """The bugs of one file of the list."""
    bugs, file, tests, is_common = [], "", [], True
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        word, _, rest = line.partition(" ")
        place = f"{path.name}:{number}"
        if line == "" or word == "#":
            is_common = is_common or line == ""
        elif line[0] in " -+" and not is_common:
            bugs[-1].hunk.append(line)
        elif word == "file" and is_common:
            file, tests = rest, []
        elif word == "tests" and is_common:
            tests = rest.split()
        elif word == "bug" and is_common:
            bugs.append(Bug(place, rest, file, tests))
            is_common = False
        elif word == "kind" and not is_common:
            bugs[-1].kind = rest
        elif word == "tests":
            bugs[-1].tests = rest.split()
        elif word == "survives" and not is_common:
            bugs[-1].survives = (bugs[-1].survives + " " + rest).strip()
        else:
            raise ListError(f"{place}: what is this? {line}")
    for bug in bugs:
        bug.check()
    return bugs


def read_lists(folder):
    """All bugs, in order of files."""
    bugs = [bug for path in sorted(folder.glob("*.txt")) for bug in read_list(path)]
    names = [bug.name for bug in bugs]
    for bug in bugs:
        if names.count(bug.name) > 1:
            raise ListError(f"{bug.place}: there is another {bug.name}")
    if not bugs:
        raise ListError(f"{folder}: no bugs")
    return bugs


def copy_tree(root, folder):
    """Copies what git knows of the tree, or would add to it, as it is now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, check=True).stdout
    for name in names.decode().split("\0"):
        source, target = root / name, folder / name
        if name and source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)


class Tests:
    """Runs tests of the copied tree, with a Bazel of its own."""

    def __init__(self, tree, output_base, jobs):
        self.tree = tree
        self.command = [str(tree / "tools" / "bazel"), f"--output_base={output_base}"]
        self.options = [
            f"--jobs={jobs}",
            f"--test_timeout={TEST_SECONDS}",
            # What a failed expectation leaves behind may make a later test wait for ever.
            "--test_env=GTEST_FAIL_FAST=1",
            "--color=no",
            "--curses=no",
            "--noshow_progress",
            "--test_output=errors",
        ]
        self.environment = dict(os.environ, HAKMEM_SETUP="none")
        self.output = ""

    def run(self, labels):
        """The exit code of `bazel test`; what it printed is `output` then. The labels are of one
        configuration and have the same arguments."""
        configuration, _, arguments = parts_of(labels[0])
        # A sanitizer's shadow takes more address space than there is memory.
        bounds = "" if configuration else f" --as={TEST_ADDRESS_BYTES}"
        options = [f"--config={configuration}"] if configuration else []
        options += ["--run_under=prlimit --core=0" + bounds]
        options += ["--test_arg=" + argument for argument in arguments]
        labels = [parts_of(label)[1] for label in labels]
        done = subprocess.run(
            self.command + ["test"] + self.options + options + labels,
            cwd=self.tree,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False)
        self.output = done.stdout
        return done.returncode

    def end(self):
        subprocess.run(
            self.command + ["shutdown"],
            cwd=self.tree,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False)


def parts_of(label):
    """Configuration, label and arguments: tsan://a:b(C.*,--d) is what --config=tsan makes of the
    tests C.* of //a:b, with --d. The first may be empty, and the arguments none."""
    parts = re.fullmatch(r"(?:([a-z]+):)?(//[^()]+)(?:\((.*)\))?", label).groups(default="")
    configuration, label, some = parts
    tests, *arguments = some.split(",")
    return configuration, label, (["--gtest_filter=" + tests] if tests else []) + arguments


def check_without_bugs(tests, bugs):
    """ListError if a test fails on the tree as it is: it would notice anything."""
    labels = sorted({label for bug in bugs for label in bug.tests})
    runs = {}
    for label in labels:
        configuration, _, arguments = parts_of(label)
        runs.setdefault((configuration, *arguments), []).append(label)
    for same in runs.values():
        if tests.run(same) != PASSED:
            raise ListError("tests fail without any bug:\n" + tests.output)


def noticed_by(tests, bug):
    """The test that notices the planted bug, and how; two empty strings: none does."""
    for label in bug.tests:
        code = tests.run([label])
        if code == FAILED:
            return label, "time" if re.search(r"\bTIMEOUT\b", tests.output) else "fails"
        if code != PASSED:
            raise ListError(f"{bug.place}: {bug.name}: bazel test ends with {code}\n{tests.output}")
    return "", ""


def try_bugs(tree, tests, bugs):
    """Yields a result for each bug."""
    for bug in bugs:
        path = tree / bug.file
        text = path.read_text(encoding="utf-8")
        path.write_text(bug.planted(text), encoding="utf-8")
        begin = time.monotonic()
        try:
            test, how = noticed_by(tests, bug)
        finally:
            path.write_text(text, encoding="utf-8")
        yield {
            "name": bug.name,
            "file": bug.file,
            "kind": bug.kind,
            "killed": test != "",
            "test": test,
            "how": how,
            "survives": bug.survives,
            "seconds": round(time.monotonic() - begin, 1),
        }


def print_result(result):
    if not result["killed"]:
        what = "SURVIVED " + (f"({result['survives']})" if result["survives"] else "")
    else:
        what = "killed   " + result["test"] + (" (time)" if result["how"] == "time" else "")
    line = f"{result['name']:44} {result['kind']:14} {result['seconds']:6.1f} s  {what}"
    print(line.rstrip(), flush=True)


def closing_lines(results):
    """The share of bugs that were noticed, those that were not, and whether that is as listed."""
    killed = [result for result in results if result["killed"]]
    survivors = [result for result in results if not result["killed"]]
    lines = []
    for result in survivors:
        lines.append(f"survived: {result['name']}: {result['survives'] or 'no reason is listed'}")
    for result in killed:
        if result["survives"]:
            lines.append(f"killed, though listed as a survivor: {result['name']}")
    percent = 100 * len(killed) / len(results)
    lines.append(f"{len(results)} planted, {len(killed)} killed ({percent:.0f} %)")
    return lines, all(result["survives"] for result in survivors)


def matches(bug, patterns):
    """Any of the patterns is a part, or a glob, of the bug's name, file or kind."""
    texts = [bug.name, bug.file, bug.kind]
    return not patterns or any(
        pattern in text or fnmatch.fnmatch(text, pattern) for pattern in patterns for text in texts)


def main():
    parser = argparse.ArgumentParser(description="Plants bugs; says which the tests notice.")
    parser.add_argument("--filter", action="append", default=[], help="part of name, file or kind")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="of each bazel test")
    parser.add_argument("--json", type=pathlib.Path, help="writes the results there too")
    parser.add_argument("--keep", type=pathlib.Path, help="copy and build there, kept for the next")
    parser.add_argument("--list", action="store_true", help="only says what there is")
    options = parser.parse_args()

    bugs = [b for b in read_lists(ROOT / "tools/planted_bugs") if matches(b, options.filter)]
    if options.list or not bugs:
        for bug in bugs:
            print(f"{bug.name:44} {bug.kind:14} {bug.file}")
        return 0 if bugs else 1
    folder = (options.keep or pathlib.Path(tempfile.mkdtemp(prefix="planted_bugs."))).absolute()
    tree = folder / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    tests = Tests(tree, folder / "bazel", options.jobs)
    results = []
    try:
        copy_tree(ROOT, tree)
        print(f"{len(bugs)} bugs; first their tests without any", flush=True)
        check_without_bugs(tests, bugs)
        for result in try_bugs(tree, tests, bugs):
            results.append(result)
            print_result(result)
            if options.json:
                options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    finally:
        tests.end()
        if not options.keep:
            # Bazel leaves folders that nobody may write to.
            subprocess.run(["chmod", "-R", "u+w", str(folder)], check=False)
            shutil.rmtree(folder, ignore_errors=True)
    lines, is_as_listed = closing_lines(results)
    print("\n".join(lines))
    return 0 if is_as_listed else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ListError as error:
        sys.exit(f"plant_bugs: {error}")
