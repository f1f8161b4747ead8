"""Breaks a source on purpose: replace_once.py SOURCE FIND PUT > BROKEN.

Fails unless FIND is there exactly once, so that a broken twin cannot outlive what it breaks.
"""

import pathlib
import sys


def main():
    source, find, put = sys.argv[1:]
    text = pathlib.Path(source).read_text(encoding="utf-8")
    if text.count(find) != 1:
        sys.exit(f"{source}: the text to break is there {text.count(find)} times:\n{find}")
    sys.stdout.write(text.replace(find, put))


if __name__ == "__main__":
    main()
