/* What holds for every size and alignment: 16-byte alignment, all of the usable size writable,
 * its bound, contents kept by realloc, zeroes from calloc. Runs preloaded and linked statically. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hakmem/preload_test/check.h"

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define GIB ((size_t)1 << 30)

enum {
    MIN_ALIGNMENT = 16,
    DENSE_SIZES = 70000, /* every size to here: all small classes and the edge to the large ones */
    SAMPLE_STEP = 1009,  /* a prime, so samples fall anywhere within a class or a page */
};

/* The most a block may be larger than asked for. */
static size_t usable_bound(size_t size) { return size + size / 3 + 4 * KIB; }

static bool bytes_are(const unsigned char *bytes, int value, size_t count) {
    return count == 0 || (bytes[0] == value && memcmp(bytes, bytes + 1, count - 1) == 0);
}

/* Checks a fresh block of SIZE bytes; touches at most its first and last pages if it is huge. */
static void check_block(void *block, size_t size, size_t alignment) {
    CHECK_WITH(block != NULL, "size %zu alignment %zu", size, alignment);
    if (block == NULL) {
        return;
    }
    CHECK_WITH((uintptr_t)block % alignment == 0, "%p size %zu alignment %zu", block, size,
               alignment);
    size_t usable = malloc_usable_size(block);
    size_t rounded = (size + alignment - 1) / alignment * alignment;
    if (rounded < alignment) rounded = alignment;
    CHECK_WITH(usable >= size && usable <= usable_bound(rounded),
               "usable %zu size %zu alignment %zu", usable, size, alignment);
    CHECK(malloc_usable_size(block) == usable);
    if (usable <= 4 * MIB) {
        memset(block, 0xa5, usable);
    } else {
        memset(block, 0xa5, 4 * KIB);
        memset((char *)block + usable - 4 * KIB, 0xa5, 4 * KIB);
    }
    CHECK(malloc_usable_size(block) == usable);
}

static void every_small_size_is_aligned_and_writable(void) {
    void *previous = NULL;
    for (size_t size = 0; size <= DENSE_SIZES; size++) {
        void *block = malloc(size);
        check_block(block, size, MIN_ALIGNMENT);
        CHECK_WITH(block != previous, "size %zu: a block handed out twice", size);
        free(previous);
        previous = block;
    }
    free(previous);
}

static void blocks_of_one_size_do_not_overlap(void) {
    enum { COUNT = 3000 };
    static unsigned char *blocks[COUNT];
    for (size_t size = 1; size <= 40000; size = size * 5 / 4 + 1) {
        for (size_t i = 0; i < COUNT; i++) {
            blocks[i] = malloc(size);
            memset(blocks[i], (int)(i & 0xff), size);
        }
        for (size_t i = 0; i < COUNT; i++) {
            CHECK_WITH(bytes_are(blocks[i], (int)(i & 0xff), size), "size %zu block %zu", size, i);
            free(blocks[i]);
        }
    }
}

static void sizes_to_one_mebibyte_and_powers_of_two(void) {
    for (size_t size = DENSE_SIZES; size <= MIB; size += SAMPLE_STEP) {
        void *block = malloc(size);
        check_block(block, size, MIN_ALIGNMENT);
        free(block);
    }
    for (size_t power = 1; power <= GIB; power *= 2) {
        for (int delta = -1; delta <= 1; delta++) {
            void *block = malloc(power + (size_t)delta);
            check_block(block, power + (size_t)delta, MIN_ALIGNMENT);
            free(block);
        }
    }
}

static void malloc_of_zero_is_unique(void) {
    enum { COUNT = 1000 };
    static void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = i % 2 == 0 ? malloc(0) : calloc(0, 8);
        CHECK(blocks[i] != NULL);
        CHECK(i == 0 || blocks[i] != blocks[i - 1]);
    }
    for (int i = 0; i < COUNT; i++) {
        for (int j = i + 1; j < COUNT; j += 37) {
            CHECK(blocks[i] != blocks[j]);
        }
        free(blocks[i]);
    }
}

static void every_alignment_is_kept(void) {
    static const size_t sizes[] = {0, 1, 24, 100, 1000, 4097, 30000, 70000, 300000, 5000000};
    for (size_t alignment = 1; alignment <= GIB; alignment *= 2) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            size_t expected = alignment < MIN_ALIGNMENT ? MIN_ALIGNMENT : alignment;
            void *a = memalign(alignment, sizes[i]);
            void *b = aligned_alloc(alignment, sizes[i]);
            void *c = NULL;
            if (alignment >= sizeof(void *)) {
                CHECK(posix_memalign(&c, alignment, sizes[i]) == 0);
                check_block(c, sizes[i], expected);
            }
            check_block(a, sizes[i], expected);
            check_block(b, sizes[i], expected);
            CHECK(a != b && b != c && a != c);
            free(b);
            free(a);
            free(c);
        }
    }
}

static void page_aligned_forms(void) {
    void *v = valloc(100);
    void *p = pvalloc(100);
    void *q = pvalloc(4 * KIB + 1);
    check_block(v, 100, 4 * KIB);
    CHECK((uintptr_t)p % (4 * KIB) == 0 && malloc_usable_size(p) >= 4 * KIB);
    CHECK((uintptr_t)q % (4 * KIB) == 0 && malloc_usable_size(q) >= 8 * KIB);
    free(v);
    free(p);
    free(q);
}

/* An aligned block goes through realloc like any other, though it need not stay aligned. */
static void aligned_blocks_can_be_reallocated(void) {
    for (size_t alignment = 32; alignment <= 4 * MIB; alignment *= 4) {
        unsigned char *block = aligned_alloc(alignment, 5000);
        memset(block, 0x3c, 5000);
        block = realloc(block, 20000);
        CHECK_WITH(block != NULL && bytes_are(block, 0x3c, 5000), "alignment %zu", alignment);
        block = realloc(block, 3000);
        CHECK_WITH(block != NULL && bytes_are(block, 0x3c, 3000), "alignment %zu", alignment);
        free(block);
    }
}

static void fill_sequence(unsigned char *bytes, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        bytes[i] = (unsigned char)(i * 131 + (i >> 12));
    }
}

static bool holds_sequence(const unsigned char *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] != (unsigned char)(i * 131 + (i >> 12))) {
            return false;
        }
    }
    return true;
}

static void realloc_keeps_contents(void) {
    size_t size = 1;
    unsigned char *block = malloc(size);
    fill_sequence(block, 0, size);
    while (size < 64 * MIB) {
        size_t larger = size + size / 2 + 1;
        block = realloc(block, larger);
        CHECK_WITH(block != NULL && holds_sequence(block, size), "growing to %zu", larger);
        block = realloc(block, larger + 7);
        CHECK_WITH(holds_sequence(block, size), "growing to %zu", larger);
        fill_sequence(block, size, larger);
        size = larger;
    }
    while (size > 1) {
        size_t smaller = size - size / 3 - 1;
        block = realloc(block, smaller);
        CHECK_WITH(block != NULL && holds_sequence(block, smaller), "shrinking to %zu", smaller);
        CHECK_WITH(malloc_usable_size(block) <= usable_bound(size), "usable %zu size %zu",
                   malloc_usable_size(block), smaller);
        size = smaller;
    }
    free(block);
    block = realloc(NULL, 100);
    check_block(block, 100, MIN_ALIGNMENT);
    free(block);
}

static void calloc_is_zero_after_dirty_frees(void) {
    enum { COUNT = 64 };
    static unsigned char *blocks[COUNT];
    for (size_t size = 1; size <= 8 * MIB; size = size * 4 / 3 + 1) {
        size_t count = size <= 64 * KIB ? COUNT : 3;
        for (int round = 0; round < 2; round++) {
            for (size_t i = 0; i < count; i++) {
                blocks[i] = malloc(size);
                memset(blocks[i], 0xff, malloc_usable_size(blocks[i]));
            }
            for (size_t i = 0; i < count; i++) {
                free(blocks[i]);
            }
            for (size_t i = 0; i < count; i++) {
                blocks[i] = calloc(1, size);
                CHECK_WITH(bytes_are(blocks[i], 0, size), "size %zu block %zu", size, i);
            }
            for (size_t i = 0; i < count; i++) {
                memset(blocks[i], 0xee, size);
                free(blocks[i]);
            }
        }
    }
    unsigned char *many = calloc(1000, 333);
    CHECK(many != NULL && bytes_are(many, 0, 333000));
    free(many);
}

int main(void) {
    check_group("every_small_size_is_aligned_and_writable",
                every_small_size_is_aligned_and_writable);
    check_group("blocks_of_one_size_do_not_overlap", blocks_of_one_size_do_not_overlap);
    check_group("sizes_to_one_mebibyte_and_powers_of_two", sizes_to_one_mebibyte_and_powers_of_two);
    check_group("malloc_of_zero_is_unique", malloc_of_zero_is_unique);
    check_group("every_alignment_is_kept", every_alignment_is_kept);
    check_group("page_aligned_forms", page_aligned_forms);
    check_group("aligned_blocks_can_be_reallocated", aligned_blocks_can_be_reallocated);
    check_group("realloc_keeps_contents", realloc_keeps_contents);
    check_group("calloc_is_zero_after_dirty_frees", calloc_is_zero_after_dirty_frees);
    return check_exit_code();
}
