#!/usr/bin/env python3
"""Style as a test: prints each breach as FILE:LINE: what, and fails if there is one.

What it holds the tree to is listed in CHECKS; the reasons are in CONTRIBUTING.md.
"""

import pathlib
import re
import sys

# The tree stays as it is: no __pycache__ beside the sources.
sys.dont_write_bytecode = True

import starlark  # pylint: disable=wrong-import-position

# Bazel runs this file through links that lead to the source tree.
ROOT = pathlib.Path(__file__).resolve().parent.parent

MAX_COLUMNS = 100
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 70

C_SUFFIXES = {".c", ".h", ".cc"}
SOURCE_SUFFIXES = C_SUFFIXES | {".py", ".sh", ".bzl", ".bazel"}
# Split so that this file does not name them itself.
BANNED_WORDS = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HAC" r"K)\b")
BANNED_IN_NAMES = {"magic", "box", "gate", "fast2", "v2"}
# The C++ library's own word.
ALLOWED_NAMES = {"new_handler"}
# The layers that meet the compiler and the system; elsewhere conditions are C, not preprocessor.
CONDITIONAL_FILES = ("hakmem/base/", "hakmem/os_backend/", "hakmem/override.c")
CONDITIONAL_ALLOWED = re.compile(r"__cplusplus|^#\s*ifndef\s+\w+_H_$")


def source_files():
    """Yields the paths of the tree's files, relative to ROOT, without what Bazel and git leave."""
    for path in sorted(ROOT.iterdir()):
        if path.is_symlink() or path.name in {".git", "node_modules"}:
            continue
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file.relative_to(ROOT)


def is_text(path):
    return path.suffix in SOURCE_SUFFIXES | {".md"} or path.name in {"WORKSPACE", ".bazelrc"}


def without_comments_and_strings(text):
    """The same lines with comments and string contents blanked."""
    pattern = re.compile(
        r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.DOTALL)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def check_columns(path, lines):
    if path.suffix == ".md":
        return  # Tables and links cannot be broken.
    for number, line in enumerate(lines, 1):
        if len(line) > MAX_COLUMNS:
            yield number, f"{len(line)} columns; the limit is {MAX_COLUMNS}"


def check_white_space(_, lines):
    for number, line in enumerate(lines, 1):
        if line != line.rstrip():
            yield number, "white space at the end of the line"


def check_file_length(path, lines):
    if path.suffix in C_SUFFIXES and len(lines) > MAX_FILE_LINES:
        yield len(lines), f"{len(lines)} lines; the limit is {MAX_FILE_LINES}"


def functions_of(lines):
    """Yields (first line, number of lines) of each function, laid out as clang-format leaves it: it
    begins and ends at column 0, or one step in, in a class."""
    indent, head, inside = "", None, False
    for number, line in enumerate(without_comments_and_strings("\n".join(lines)).split("\n"), 1):
        if inside:
            if line.startswith(indent + "}"):
                yield head, number - head + 1
                inside, head = False, None
            continue
        if indent and line.startswith("}"):
            indent = ""
        if re.match(indent + r"[A-Za-z_~]", line):
            head = number
        if head is None or not line.strip():
            continue
        end = line.rstrip()[-1]
        if end == "{" and re.search(r"\)[\w\s]*\{$", line):
            inside = True
        elif end == "{":
            indent = "    " if re.match(r"(class|struct|union)\b", line) else indent
            head = None
        elif end in ";}":
            head = None


def check_function_length(path, lines):
    if path.suffix not in C_SUFFIXES:
        return
    for number, length in functions_of(lines):
        if length > MAX_FUNCTION_LINES:
            yield number, f"a function of {length} lines; the limit is {MAX_FUNCTION_LINES}"


def check_conditionals(path, lines):
    name = path.as_posix()
    if path.suffix not in {".c", ".h"} or not name.startswith("hakmem/"):
        return
    if name.startswith(CONDITIONAL_FILES) or re.search(r"_test/|_test\.", name):
        return
    if any("enerated by" in line for line in lines[:5]):
        return
    for number, line in enumerate(lines, 1):
        if re.match(r"#\s*(if|ifdef|ifndef)\b", line) and not CONDITIONAL_ALLOWED.search(line):
            yield number, "#if outside base, os_backend and override.c"


def check_banned_words(_, lines):
    for number, line in enumerate(lines, 1):
        match = BANNED_WORDS.search(line)
        if match:
            yield number, f"{match.group()}: finish it, or say in the docs what is not there"


def check_names(path, lines):
    if path.suffix not in C_SUFFIXES:
        return
    code = without_comments_and_strings("\n".join(lines)).split("\n")
    for number, line in enumerate(code, 1):
        if line.startswith("#include"):
            continue
        for name in set(re.findall(r"\b[A-Za-z_]\w*\b", line)) - ALLOWED_NAMES:
            words = set(name.lower().split("_"))
            if words & BANNED_IN_NAMES or name.startswith("new_"):
                yield number, f"the name {name} says nothing of what it is"


def check_includes(path, lines):
    if path.suffix not in C_SUFFIXES:
        return
    for number, line in enumerate(lines, 1):
        if re.match(r'#\s*include\s+"[^"]*\.(c|cc)"', line):
            yield number, "a source file is compiled, not included"


def check_links(path, lines):
    if path.suffix != ".md":
        return
    for number, line in enumerate(lines, 1):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
            if "://" not in target and not (ROOT / path.parent / target).exists():
                yield number, f"the link {target} leads nowhere"


CHECKS = [
    check_columns,
    check_white_space,
    check_file_length,
    check_function_length,
    check_conditionals,
    check_banned_words,
    check_names,
    check_includes,
    check_links,
]


def check_build_files(files):
    """Every BUILD file loads its rules; returns the breaches and the tests tagged no-sanitizer."""
    breaches = []
    tagged = set()
    for path in files:
        if path.name != "BUILD.bazel":
            continue
        try:
            targets = starlark.targets_of(ROOT, path.parent.as_posix())
        except Exception as error:  # pylint: disable=broad-except
            breaches.append(f"{path}:1: {type(error).__name__}: {error}")
            continue
        tests = [target for target in targets if target.rule.endswith("_test")]
        tagged |= {test.label for test in tests if "no-sanitizer" in test.tags}
    return breaches, tagged


def check_tags(tagged):
    """docs/testing.md lists the tests tagged no-sanitizer, each in a row that begins with it."""
    document = ROOT / "docs" / "testing.md"
    rows = re.findall(r"^\| *`(//[^`]*)` *\|", document.read_text(), re.MULTILINE)
    for label in sorted(tagged - set(rows)):
        yield f"docs/testing.md:1: {label} is tagged no-sanitizer and has no row with a reason"
    for label in sorted(set(rows) - tagged):
        yield f"docs/testing.md:1: {label} has a row and is no test tagged no-sanitizer"


def main():
    files = list(source_files())
    breaches = []
    for path in files:
        if not is_text(path):
            continue
        lines = (ROOT / path).read_text(encoding="utf-8").split("\n")
        for check in CHECKS:
            breaches += [f"{path}:{number}: {what}" for number, what in check(path, lines)]
    build_breaches, tagged = check_build_files(files)
    breaches += build_breaches
    breaches += check_tags(tagged)
    for breach in breaches:
        print(breach)
    print(f"tidy: {len(files)} files, {len(breaches)} breaches")
    return 1 if breaches or not files else 0


if __name__ == "__main__":
    sys.exit(main())
