/* Addresses inside blocks, and between them. */
#include <malloc.h>

#include "hakmem/misuse_test/cases.h"

static char *allocate(size_t size) {
    hidden = malloc(size);
    return hidden;
}

static void small_1(void) { free_hidden(allocate(SMALL) + 1); }
static void small_8(void) { free_hidden(allocate(SMALL) + 8); }
static void small_16(void) { free_hidden(allocate(SMALL) + 16); }
static void small_32(void) { free_hidden(allocate(SMALL) + 32); }
static void odd_16(void) { free_hidden(allocate(48) + 16); }
static void medium_1(void) { free_hidden(allocate(MEDIUM) + 1); }
static void medium_16(void) { free_hidden(allocate(MEDIUM) + 16); }
static void medium_page(void) { free_hidden(allocate(MEDIUM) + 4096); }
static void run_16(void) { free_hidden(allocate(RUN) + 16); }
static void run_page(void) { free_hidden(allocate(RUN) + 4096); }
static void run_unit(void) { free_hidden(allocate(RUN) + 65536); }
static void large_1(void) { free_hidden(allocate(LARGE) + 1); }
static void large_16(void) { free_hidden(allocate(LARGE) + 16); }
static void large_page(void) { free_hidden(allocate(LARGE) + 4096); }
static void large_unit(void) { free_hidden(allocate(LARGE) + 65536); }

/* The class's list keeps blocks: that is another way through free. */
static void small_16_warm(void) {
    for (int i = 0; i < 1000; i++) {
        void *volatile three[3] = {malloc(SMALL), malloc(SMALL), malloc(SMALL)};
        for (int k = 0; k < 3; k++) free_hidden(three[k]);
    }
    free_hidden(allocate(SMALL) + 16);
}

/* 1365 blocks of 48 bytes leave 16 of the 64 KiB. */
static void behind_the_last(void) {
    uintptr_t a = (uintptr_t)allocate(48) | 0xffff;
    free_hidden((void *)(a - 15));
}

static void realloc_small_16(void) { hidden = realloc(allocate(SMALL) + 16, 200); }
static void realloc_large_page(void) { hidden = realloc(allocate(LARGE) + 4096, 200); }
static void usable_small_16(void) { hidden = (void *)malloc_usable_size(allocate(SMALL) + 16); }

static void usable_medium_page(void) {
    hidden = (void *)malloc_usable_size(allocate(MEDIUM) + 4096);
}

#define FREED(bytes, n) "invalid free: " INSIDE(bytes, THIS, n) ADVICE_START
#define IN_LARGE(n)                                                                      \
    "invalid free: address " AT " \\(" n " bytes into block " AT                         \
    ", no size class, large block of 3145728 bytes\\); the address lies inside a large " \
    "block; free what malloc returned"

const struct misuse insides[] = {
    {"free_of_block_plus_1", small_1, FREED("64", "1")},
    {"free_of_block_plus_8", small_8, FREED("64", "8")},
    {"free_of_block_plus_16", small_16, FREED("64", "16")},
    {"free_of_block_plus_32", small_32, FREED("64", "32")},
    {"free_of_block_of_48_plus_16", odd_16, FREED("48", "16")},
    {"free_of_block_plus_16_while_the_class_is_warm", small_16_warm, FREED("64", "16")},
    {"free_behind_the_last_block_of_a_slab", behind_the_last,
     "invalid free: " IN_NONE ADVICE_START},
    {"free_of_medium_block_plus_1", medium_1, FREED("32768", "1")},
    {"free_of_medium_block_plus_16", medium_16, FREED("32768", "16")},
    {"free_of_medium_block_plus_4096", medium_page, FREED("32768", "4096")},
    {"free_of_block_above_64_kib_plus_16", run_16, FREED("114688", "16")},
    {"free_of_block_above_64_kib_plus_4096", run_page, FREED("114688", "4096")},
    {"free_of_block_above_64_kib_plus_65536", run_unit, FREED("114688", "65536")},
    {"free_of_large_block_plus_1", large_1, IN_LARGE("1")},
    {"free_of_large_block_plus_16", large_16, IN_LARGE("16")},
    {"free_of_large_block_plus_4096", large_page, IN_LARGE("4096")},
    {"free_of_large_block_plus_65536", large_unit, "invalid free: " IN_NONE ADVICE_FOREIGN},
    {"realloc_of_block_plus_16", realloc_small_16,
     "invalid realloc: " INSIDE("64", THIS, "16") ADVICE_START},
    {"realloc_of_large_block_plus_4096", realloc_large_page,
     "invalid realloc: address " AT " \\(4096 bytes into block .*; the address lies inside a large "
     "block"},
    {"usable_size_of_block_plus_16", usable_small_16,
     "invalid usable_size: " INSIDE("64", THIS, "16") ADVICE_START},
    {"usable_size_of_medium_block_plus_4096", usable_medium_page,
     "invalid usable_size: " INSIDE("32768", THIS, "4096") ADVICE_START},
    {0},
};
