#!/usr/bin/env python3
"""The list of planted bugs fits the tree; what plant_bugs.py makes of a list, and says of tests."""

import contextlib
import io
import pathlib
import re
import sys
import tempfile
import unittest

# The tree stays as it is: no __pycache__ beside the sources.
sys.dont_write_bytecode = True

import plant_bugs  # pylint: disable=wrong-import-position

# Bazel runs this file through links that lead to the source tree.
ROOT = pathlib.Path(__file__).resolve().parent.parent

LIST = """# A comment.
file heap.c
tests //a:a_test //a:b_test

bug check_is_dropped
kind dropped check
survives both ways
survives end alike
-    if (full) return false;
+    (void)full;
     count++;

bug count_is_wrong
kind wrong count
tests tsan://a:c_test(C.*)
-    count++;
"""
HEAP = "static bool push(void) {\n    if (full) return false;\n    count++;\n    return true;\n}\n"


def bugs_of(text):
    """The bugs of a list that is not in the tree."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "heap.txt"
        path.write_text(text, encoding="utf-8")
        return plant_bugs.read_list(path)


def is_there(name, build):
    """A BUILD file makes that target: one of its words, or one with others in its gaps."""
    # Macros make some of the ends.
    names = {name, name.removesuffix("_test"), re.sub(r"_of_\d+_kib_test$", "", name)}
    words = set(re.findall(r'"(\w+(?:%s\w+)*)"', build))
    gap = "(" + "|".join(word for word in words if "%s" not in word) + ")"
    patterns = [re.compile(word.replace("%s", gap)) for word in words]
    return any(pattern.fullmatch(name) for pattern in patterns for name in names)


class TheList(unittest.TestCase):
    def setUp(self):
        self.bugs = plant_bugs.read_lists(ROOT / "tools" / "planted_bugs")

    def test_has_the_lines_of_each_bug_once_in_todays_tree(self):
        for bug in self.bugs:
            with self.subTest(bug=bug.name):
                text = (ROOT / bug.file).read_text(encoding="utf-8")
                self.assertNotEqual(bug.planted(text), text)

    def test_names_tests_that_are_there(self):
        for label in {label for bug in self.bugs for label in bug.tests}:
            with self.subTest(label=label):
                package, _, name = plant_bugs.parts_of(label)[1][2:].partition(":")
                build = (ROOT / package / "BUILD.bazel").read_text(encoding="utf-8")
                self.assertTrue(is_there(name, build))

    def test_has_bugs_of_every_layer_and_kind(self):
        layers = {bug.file.rpartition("/")[0] for bug in self.bugs}
        for layer in ["base", "config", "large", "os_backend", "registry", "shared_pool",
                      "size_class", "slab", "tls_front", "transfer", "warm_pool"]:
            self.assertIn("hakmem/" + layer, layers)
        self.assertEqual({bug.kind for bug in self.bugs}, plant_bugs.KINDS)


class Reading(unittest.TestCase):
    def test_a_list_gives_each_bug_its_file_tests_and_sides(self):
        first, second = bugs_of(LIST)
        self.assertEqual((first.file, first.tests), ("heap.c", ["//a:a_test", "//a:b_test"]))
        self.assertEqual(first.survives, "both ways end alike")
        dropped = HEAP.replace("if (full) return false;", "(void)full;")
        self.assertEqual(first.planted(HEAP), dropped)
        self.assertEqual((second.kind, second.tests), ("wrong count", ["tsan://a:c_test(C.*)"]))
        self.assertEqual(second.planted(HEAP), HEAP.replace("    count++;\n", ""))

    def test_another_file_needs_tests_of_its_own(self):
        more = "\nfile list.c\n\nbug list_is_lost\nkind lost block\n-    push(list);\n"
        with self.assertRaisesRegex(plant_bugs.ListError, "list_is_lost: no tests"):
            bugs_of(LIST + more)
        bug = bugs_of(LIST + more.replace("list.c", "list.c\ntests //a:list_test"))[2]
        self.assertEqual((bug.file, bug.tests), ("list.c", ["//a:list_test"]))

    def test_a_label_may_have_a_configuration_and_arguments(self):
        self.assertEqual(plant_bugs.parts_of("//a:b"), ("", "//a:b", []))
        self.assertEqual(plant_bugs.parts_of("tsan://a:b"), ("tsan", "//a:b", []))
        self.assertEqual(
            plant_bugs.parts_of("//a:b(C.*-C.D,--e=2)"), ("", "//a:b",
                                                         ["--gtest_filter=C.*-C.D", "--e=2"]))

    def test_knows_a_target_by_the_build_files_words(self):
        build = 'name = "storm_%s_%s_hz_test" % (a, b), "slow", "9", page_test("edge"), name = name'
        for name in ["storm_slow_9_hz_test", "edge_test", "edge_of_16_kib_test", "edge"]:
            self.assertTrue(is_there(name, build), name)
        for name in ["storm_test", "storm_fast_9_hz_test", "ed_test", "name"]:
            self.assertFalse(is_there(name, build), name)

    def test_lines_that_are_missing_or_there_twice_are_an_error(self):
        bug = bugs_of(LIST)[1]
        for text in ["", "count++;\n", "        count++;\n", HEAP + HEAP]:
            with self.assertRaises(plant_bugs.ListError):
                bug.planted(text)

    def test_what_is_wrong_with_a_list_is_said(self):
        for was, becomes, what in [
            ("kind wrong count", "kind ugly", "no kind 'ugly'"),
            ("-    count++;", "     count++;", "it changes nothing"),
            ("-    count++;", "+    count++;", "no lines to look for"),
            ("file heap.c", "", "no file"),
            ("tests //a:a_test //a:b_test", "", "no tests"),
            ("bug count_is_wrong", "bug Count is wrong", "no name"),
            ("kind wrong count", "sort of", "what is this?"),
        ]:
            with self.assertRaisesRegex(plant_bugs.ListError, re.escape(what)):
                bugs_of(LIST.replace(was, becomes))


class FakeTests:
    """Stands for Bazel: the exit code of a label is what `codes` says of the file's text."""

    def __init__(self, path, codes):
        self.path, self.codes, self.output, self.runs = path, codes, "", []

    def run(self, labels):
        self.runs.append(labels)
        code, self.output = self.codes(labels, self.path.read_text(encoding="utf-8"))
        return code


class Trying(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = pathlib.Path(folder.name)
        (self.tree / "heap.c").write_text(HEAP, encoding="utf-8")

    def results(self, codes):
        """Of both bugs; the tree must be as before."""
        tests = FakeTests(self.tree / "heap.c", codes)
        results = list(plant_bugs.try_bugs(self.tree, tests, bugs_of(LIST)))
        self.assertEqual((self.tree / "heap.c").read_text(encoding="utf-8"), HEAP)
        return results, tests.runs

    def test_a_test_that_fails_kills_and_the_next_is_not_run(self):
        def codes(labels, text):
            noticed = labels == ["//a:a_test"] and "full" in text and "return false" not in text
            return (plant_bugs.FAILED, "") if noticed else (plant_bugs.PASSED, "")

        results, runs = self.results(codes)
        self.assertEqual([result["killed"] for result in results], [True, False])
        self.assertEqual(runs, [["//a:a_test"], ["tsan://a:c_test(C.*)"]])

    def test_a_test_that_takes_too_long_kills(self):
        results, _ = self.results(lambda *_: (plant_bugs.FAILED, "//a:a_test  TIMEOUT in 90.0s"))
        self.assertEqual({result["how"] for result in results}, {"time"})

    def test_a_bug_that_does_not_compile_is_an_error_of_the_list(self):
        with self.assertRaisesRegex(plant_bugs.ListError, "check_is_dropped"):
            self.results(lambda *_: (plant_bugs.NOT_BUILT, "heap.c:3: error"))
        self.assertEqual((self.tree / "heap.c").read_text(encoding="utf-8"), HEAP)

    def test_a_test_that_fails_without_a_bug_is_an_error_of_the_list(self):
        def codes(labels, _):
            fails = labels == ["tsan://a:c_test(C.*)"]
            return plant_bugs.FAILED if fails else plant_bugs.PASSED, ""

        tests = FakeTests(self.tree / "heap.c", codes)
        with self.assertRaisesRegex(plant_bugs.ListError, "without any bug"):
            plant_bugs.check_without_bugs(tests, bugs_of(LIST))
        self.assertEqual(tests.runs, [["//a:a_test", "//a:b_test"], ["tsan://a:c_test(C.*)"]])


class Closing(unittest.TestCase):
    @staticmethod
    def result(name, killed, survives=""):
        return {"name": name, "killed": killed, "survives": survives, "kind": "off by one",
                "seconds": 1.0, "test": "//a:a_test" if killed else "", "how": "fails"}

    def test_survivors_are_named_and_only_listed_ones_are_as_they_should(self):
        killed, listed = self.result("a", True), self.result("b", False, "a page more is no harm")
        lines, is_as_listed = plant_bugs.closing_lines([killed, listed])
        self.assertEqual(lines, ["survived: b: a page more is no harm",
                                 "2 planted, 1 killed (50 %)"])
        self.assertTrue(is_as_listed)
        lines, is_as_listed = plant_bugs.closing_lines([killed, listed, self.result("c", False)])
        self.assertIn("survived: c: no reason is listed", lines)
        self.assertFalse(is_as_listed)

    def test_a_survivor_that_is_killed_is_named(self):
        lines, is_as_listed = plant_bugs.closing_lines([self.result("a", True, "none sees it")])
        self.assertEqual(lines[0], "killed, though listed as a survivor: a")
        self.assertTrue(is_as_listed)

    def test_a_result_is_a_line(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            plant_bugs.print_result(self.result("a", True))
            plant_bugs.print_result(self.result("b", False))
        self.assertRegex(out.getvalue(), r"^a .* killed   //a:a_test\nb .* SURVIVED\n$")


if __name__ == "__main__":
    unittest.main()
