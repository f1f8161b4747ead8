#!/usr/bin/env python3
"""What plot_bench.py reads from a report, and that it draws one where matplotlib is installed."""

import importlib.util
import pathlib
import sys
import tempfile
import unittest

# The tree stays as it is: no __pycache__ beside the sources.
sys.dont_write_bytecode = True

import plot_bench  # pylint: disable=wrong-import-position

NS = {"median": 5, "min": 4, "max": 7}
MACHINE = {"cpu": "a cpu", "cores": 2, "kernel": "6", "thp": "madvise"}


def result_of(name, *rounds):
    return {"allocator": name, "ns_per_pair": NS, "rounds": list(rounds)}


def report_of(bench, *results):
    case = {"name": "a", "title": "a case", "results": list(results)}
    return {"bench": bench, "machine": MACHINE, "cases": [case]}


SWEEP = result_of("hakmem", {"lifo_16": 3, "batch_16": 9, "lifo_1048576": 8, "batch_1048576": 1},
                  {"lifo_16": 5, "batch_16": 9, "lifo_1048576": 8, "batch_1048576": 1})
LIFE = result_of("hakmem", {"sample_000100": 20, "sample_000000": 1, "moment_full": 30,
                            "at_full": 50})


ROW = {"title": "a row", "values": {"hakmem": 6, "system": 3}, "mark": "?"}
COMPARED = {"time": {"geometric_mean": 0.5, "rows": [ROW]},
            "memory": {"geometric_mean": 0.5, "rows": [ROW]}}


class ReadsReports(unittest.TestCase):
    def test_a_sweep_has_its_sizes_ascending_and_the_median_of_the_rounds(self):
        self.assertEqual(plot_bench.sweep_of(SWEEP, "lifo"), [(16, 4), (1048576, 8)])

    def test_a_life_has_its_samples_by_time_and_its_moments(self):
        self.assertEqual(plot_bench.curve_of(LIFE), ([(0, 1), (0.1, 20)], [(0.05, 30)]))

    def test_bars_have_the_spread_of_the_rounds(self):
        case = {"results": [result_of("a", {"faults": 2}, {"faults": 6})]}
        self.assertEqual(plot_bench.bars_of(case), [("a", 5, 4, 7)])
        self.assertEqual(plot_bench.counts_of(case, "faults", 2), [("a", 2, 1, 3)])

    def test_dots_are_times_the_best_of_their_row(self):
        self.assertEqual(plot_bench.dots_of(COMPARED["time"]["rows"]),
                         [("a row?", [("hakmem", 2), ("system", 1)])])

    def test_sizes_have_the_unit_that_fits(self):
        self.assertEqual(plot_bench.size_name(16), "16 B")
        self.assertEqual(plot_bench.size_name(8192), "8 KiB")
        self.assertEqual(plot_bench.size_name(32 << 20), "32 MiB")

    def test_allocators_have_colors_of_their_own(self):
        names = ["hakmem", "system", "mine", "other"]
        self.assertEqual(len({plot_bench.color_of(name, names) for name in names}), 4)


@unittest.skipUnless(importlib.util.find_spec("matplotlib"), "matplotlib is not installed")
class Draws(unittest.TestCase):
    def test_every_kind_of_bench_as_svg_the_same_each_time(self):
        with tempfile.TemporaryDirectory() as folder:
            for bench, result in [("sizes", SWEEP), ("rss", LIFE),
                                  ("profile", result_of("hakmem", {"faults": 1, "start_us": 1})),
                                  ("realloc", result_of("hakmem", {})),
                                  ("compare", result_of("hakmem", {}))]:
                files = [pathlib.Path(folder, name) for name in ["one.svg", "two.svg"]]
                report = report_of(bench, result, dict(result, allocator="x"))
                report["compare"] = COMPARED
                for file in files:
                    plot_bench.draw(report, file)
                self.assertIn("<svg", files[0].read_text(encoding="utf-8"), bench)
                self.assertIn(">hakmem<", files[0].read_text(encoding="utf-8"), bench)
                self.assertEqual(files[0].read_bytes(), files[1].read_bytes(), bench)


if __name__ == "__main__":
    unittest.main()
