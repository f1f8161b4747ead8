#!/usr/bin/env python3
"""What count_atomics.py reads from a profile, and that it finds the atomics of hakmem."""

import os
import pathlib
import sys
import unittest

# The tree stays as it is: no __pycache__ beside the sources.
sys.dont_write_bytecode = True

import count_atomics  # pylint: disable=wrong-import-position

# `bazel test` starts tests in the runfiles.
PROGRAM = str(pathlib.Path("bench/paths").resolve())
SUBJECT = os.path.realpath("hakmem/libhakmem.so")
PROFILE = """\
positions: instr line
ob=/nowhere/other.so
fn=other
0x10 0 1000
ob=/nowhere/ours.so
fn=ours
0x10 0 5
0x14 3 70
0x10 4 2
cfn=called
calls=9 0x20 0
0x10 0 900
0x18 0 1
"""


class Profiles(unittest.TestCase):
    def test_counts_the_instructions_of_the_file_but_not_what_calls_took(self):
        self.assertEqual(count_atomics.executed(PROFILE, "/nowhere/ours.so", {0x10}), 7)
        self.assertEqual(count_atomics.executed(PROFILE, "/nowhere/ours.so", {0x10, 0x18}), 8)
        self.assertEqual(count_atomics.executed(PROFILE, "/nowhere/none.so", {0x10}), 0)


class Hakmem(unittest.TestCase):
    def atomics(self, steps, arguments):
        addresses = count_atomics.atomic_addresses(SUBJECT)
        self.assertGreater(len(addresses), 10)
        return count_atomics.run(PROGRAM, SUBJECT, SUBJECT, addresses,
                                 [arguments[0], steps, *arguments[1:]])

    def test_a_hit_has_none(self):
        # A clock's tick may come in between: hundreds of pairs more must not be a hundred more.
        more = self.atomics(2100, ["lifo", 64]) - self.atomics(100, ["lifo", 64])
        self.assertLess(more, 100)

    def test_each_thread_has_some(self):
        self.assertGreaterEqual(self.atomics(30, ["lives", 64, 10]),
                                self.atomics(10, ["lives", 64, 10]) + 20)


if __name__ == "__main__":
    unittest.main()
