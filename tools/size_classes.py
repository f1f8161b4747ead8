#!/usr/bin/env python3
"""Prints hakmem/size_class/size_class.c: the size classes, from the rules in its header."""

SLAB = 64 << 10
SLAB_BLOCKS_MAX = 4096
LINE = 64
SPANS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 16)
SPAN_BLOCKS_MIN = 4
RUN_BLOCKS_MAX = 128 << 10  # larger blocks have a run of slabs each
CLASS_SCALE = 5
TAIL_MAX = 1 / 16  # of a slab may be left over


def block_sizes():
    sizes = [16 * i for i in range(1, 9)]
    for first, last, steps in (
        (128, 8 << 10, 8),
        (8 << 10, 32 << 10, 4),
        (32 << 10, 64 << 10, 8),
        (64 << 10, 1 << 20, 4),
    ):
        while first < last:
            sizes += [first + first // steps * i for i in range(1, steps + 1)]
            first *= 2
    return sizes


def span_of(size):
    if size > RUN_BLOCKS_MAX:
        return -(-size // SLAB)
    for span in SPANS:
        total = span * SLAB
        if total // size >= SPAN_BLOCKS_MIN and total % size <= total * TAIL_MAX:
            return span
    raise ValueError(f"no span suits blocks of {size} bytes")


def print_table(kind, name, sizes, last, step, scale):
    print(f"const {kind} {name} = {{")
    wanted = [max(n, 1) for n in range(0, last + 1, step)]
    row = [next(c for c, s in enumerate(sizes) if s >= n) << scale for n in wanted]
    for i in range(0, len(row), 15):
        print("    " + ", ".join(map(str, row[i : i + 15])) + ",")
    print("};")


def main():
    sizes = block_sizes()
    print("/* Made by tools/size_classes.py; size_class_test recomputes every row. */")
    print('#include "hakmem/size_class/size_class.h"\n')
    print("/* clang-format off */")
    print("const struct size_class hak_size_class[LISTS] = {")
    print("    /* block bytes, capacity, span, reciprocal */")
    for size in sizes + [s for s in sizes if s < LINE]:
        span = span_of(size)
        capacity = min(span * SLAB // size, SLAB_BLOCKS_MAX)
        print(f"    {{{size}, {capacity}, {span}, {-(-(1 << 40) // size)}ull}},")
    print("};\n")
    print_table("uint8_t", "hak_class_small[SMALL_MAX + 1]", sizes, 1 << 10, 1, 3)
    print()
    middle = "hak_scaled_class_middle[MIDDLE_MAX / 128 + 1]"
    print_table("uint16_t", middle, sizes, 64 << 10, 128, CLASS_SCALE)


if __name__ == "__main__":
    main()
