#!/usr/bin/env python3
"""What count_paths.py counts, on hakmem and on the C library alone."""

import pathlib
import subprocess
import sys
import unittest

# The tree stays as it is: no __pycache__ beside the sources.
sys.dont_write_bytecode = True

import count_paths  # pylint: disable=wrong-import-position

# `bazel test` starts tests in the runfiles.
PROGRAM = str(pathlib.Path("bench/paths").resolve())
SUBJECT = str(pathlib.Path("hakmem/libhakmem.so").resolve())
STEPS = 400
LIFO = ("a hit", ["lifo", 64], ["malloc"], 1, False)
NOTHING = ("nothing", ["nothing", 1], ["nothing"], 1, False)
RUNS = ("runs", ["runs", 64, 4000], ["malloc"], 4000, True)


class Counts(unittest.TestCase):
    def test_the_same_in_every_run(self):
        first = count_paths.count(PROGRAM, SUBJECT, LIFO, STEPS)
        self.assertEqual(first, count_paths.count(PROGRAM, SUBJECT, LIFO, STEPS))

    def test_what_is_inside_of_the_function_alone(self):
        nothing = count_paths.count(PROGRAM, SUBJECT, NOTHING, STEPS)[0]
        self.assertGreater(nothing, 1)
        self.assertLess(nothing, 20)
        self.assertGreater(count_paths.count(PROGRAM, SUBJECT, LIFO, STEPS)[0], nothing)

    def test_hakmems_refills_and_nobody_elses(self):
        self.assertGreater(count_paths.count(PROGRAM, SUBJECT, RUNS, STEPS)[1], 0)
        self.assertEqual(count_paths.count(PROGRAM, "", RUNS, STEPS)[1], 0)

    def test_a_table_has_a_row_a_path_and_a_column_an_allocator(self):
        paths, count_paths.PATHS = count_paths.PATHS, [LIFO, RUNS]
        self.addCleanup(setattr, count_paths, "PATHS", paths)
        rows, refill = count_paths.table_of(PROGRAM, {"hakmem": SUBJECT, "glibc": ""}, STEPS)
        self.assertEqual([row[0] for row in rows], ["instructions", "a hit", "runs"])
        self.assertEqual({len(row) for row in rows}, {3})
        self.assertRegex(refill, r"hakmem refills every \d+ blocks")
        self.assertEqual(count_paths.text_of(rows, True).count("\n|"), 3)


class Refuses(unittest.TestCase):
    def test_what_is_no_flag_and_what_is_not_there(self):
        for argument in ["--nosuch", "--steps=0", "word", "mine=/no/such.so"]:
            done = subprocess.run([sys.executable, count_paths.__file__, argument],
                                  capture_output=True, check=False)
            self.assertEqual(done.returncode, 2, argument)
            self.assertTrue(done.stderr.startswith(b"tools/count_paths.py: "), argument)


if __name__ == "__main__":
    unittest.main()
