#!/usr/bin/env python3
"""What figures.py makes of reports, and where it puts it."""

import sys
import unittest

# The tree stays as it is: no __pycache__ beside the sources.
sys.dont_write_bytecode = True

import figures  # pylint: disable=wrong-import-position

MACHINE = {"cpu": "a cpu", "cores": 2, "kernel": "6", "thp": "madvise"}


def row_of(name, hakmem, system, mark=" "):
    return {"name": name, "title": "row " + name, "values": {"hakmem": hakmem, "system": system},
            "best_peer": "system", "ratio": system / hakmem, "ratio_low": 0.4, "ratio_high": 4.5,
            "mark": mark}


ROWS = [row_of("a.1", 10, 40), row_of("a.2", 1e4, 1e4, "?"), row_of("b.1", 2e6, 1e6)]
QUANTITY = {"geometric_mean": 2.5, "rows": ROWS}
REPORT = {
    "machine": MACHINE,
    "options": {"rounds": 3},
    "allocators": [{"name": "hakmem", "version": "1"}, {"name": "system", "version": "glibc 2"}],
    "compare": {"time": QUANTITY, "memory": QUANTITY, "missing_programs": ["lua"]},
}


class Texts(unittest.TestCase):
    def test_compare_has_means_rows_and_what_is_missing(self):
        text = figures.compare_text(REPORT)
        for part in ["a cpu, 2 cores", "system glibc 2.", "ratios: **2.50** over 3 rows, 1.41 over "
                     "the 2 that", "By group: a 2.00, b 0.50.",
                     "Times the row's best: hakmem 1.26, system 1.59.",
                     "| row a.1 | 10.0 ns | system 40.0 ns | 4.00 | 0.40–4.50 |",
                     "| row a.2 | 10.0 µs | system 10.0 µs | 1.00? |", "| 2.0 ms |",
                     "Not installed: lua."]:
            self.assertIn(part, text)

    def test_builds_are_ratios_to_the_first(self):
        text = figures.builds_text(REPORT)
        self.assertIn("| a | 0.50 |", text)
        self.assertIn("| **all** | **0.794** |", text)

    def test_latency_has_the_medians_of_the_rounds(self):
        rounds = [{f"{call}_{share}": ns for call in ["malloc", "free", "clock"]
                   for share in figures.SHARES} | {"switches": 2} for ns in [20, 2.5e6, 15000]]
        case = {"title": "small", "results": [{"allocator": "hakmem", "rounds": rounds}]}
        text = figures.latency_text({**REPORT, "cases": [case]})
        self.assertIn("| hakmem | 15 µs | 15 µs | 15 µs | 15 µs | 15 µs | 15 µs | 2 |", text)
        self.assertIn("| the clock alone | 15 µs |", text)


class Puts(unittest.TestCase):
    DOCUMENT = "a\n<!-- figures: x -->\nold\n<!-- end -->\nb\n<!-- figures: y -->\n<!-- end -->\n"

    def test_between_the_marks_of_its_section_alone(self):
        once = figures.put(self.DOCUMENT, "x", "new")
        self.assertEqual(once, self.DOCUMENT.replace("old\n", "\nnew\n\n"))
        self.assertEqual(figures.put(once, "x", "new"), once)

    def test_nowhere_without_marks(self):
        self.assertIsNone(figures.put(self.DOCUMENT, "z", "new"))


if __name__ == "__main__":
    unittest.main()
