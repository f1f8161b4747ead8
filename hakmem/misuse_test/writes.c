/* Writes to what was freed. Nothing tells of the write itself: malloc must not follow what was
 * written, and must stop before it gives out a foreign address, or one twice. */
#include <malloc.h>
#include <string.h>
#include <unistd.h>

#include "hakmem/misuse_test/cases.h"

enum { COUNT = 3000 };

static char target[4096] __attribute__((aligned(4096)));
static char *taken[COUNT];

static int by_address(const void *a, const void *b) {
    uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return x < y ? -1 : x > y;
}

/* Takes many blocks: none may be the target's, none may overlap the one before. */
static void take_many(size_t size) {
    for (int i = 0; i < COUNT; i++) {
        taken[i] = malloc(size);
        if (taken[i] >= target - size && taken[i] < target + sizeof target) _exit(GIVEN_OUT);
    }
    qsort(taken, COUNT, sizeof taken[0], by_address);
    for (int i = 1; i < COUNT; i++) {
        if (taken[i] < taken[i - 1] + size) _exit(GIVEN_OUT);
    }
    for (int i = 0; i < COUNT; i++) free(taken[i]);
}

static void warm_up(size_t size) {
    for (int i = 0; i < 1000; i++) {
        void *volatile three[3] = {malloc(size), malloc(size), malloc(size)};
        for (int k = 0; k < 3; k++) free_hidden(three[k]);
    }
}

/* Three blocks; the middle one is the victim. `warm`: it waits in a list, else in its slab. */
static char *freed_block(size_t size, int warm) {
    if (warm) warm_up(size);
    char *volatile three[3] = {malloc(size), malloc(size), malloc(size)};
    free_hidden(three[1]);
    if (!warm) malloc_trim(0);
    return three[1];
}

static void write_pointer(size_t size, int warm, const void *value, int word) {
    char *victim = freed_block(size, warm);
    memcpy(victim + 8 * word, &value, sizeof value);
    take_many(size);
}

static void pointer(void) { write_pointer(SMALL, 1, target, 0); }
static void pointer_inside(void) { write_pointer(SMALL, 1, target + 64, 0); }
static void null_pointer(void) { write_pointer(SMALL, 1, (void *)1, 0); }
static void wild_pointer(void) { write_pointer(SMALL, 1, (void *)0x4141414141414141u, 0); }
static void second_word(void) { write_pointer(SMALL, 1, target, 1); }
static void pointer_cold(void) { write_pointer(SMALL, 0, target, 0); }
static void pointer_medium(void) { write_pointer(5000, 1, target, 0); }
static void pointer_smallest(void) { write_pointer(16, 1, target, 0); }

static void both_words(void) {
    char *victim = freed_block(SMALL, 1);
    void *values[2] = {target, target};
    memcpy(victim, values, sizeof values);
    take_many(SMALL);
}

static void zeros(void) {
    char *victim = freed_block(SMALL, 1);
    memset(victim, 0, SMALL);
    take_many(SMALL);
}

static void one_byte(void) {
    char *victim = freed_block(SMALL, 1);
    victim[0] ^= 0x40;
    take_many(SMALL);
}

/* To a block that is in use: it would be given out a second time. */
static void live_block(void) {
    warm_up(SMALL);
    char *volatile live = malloc(SMALL);
    memset(live, 0, SMALL);
    char *victim = freed_block(SMALL, 0);
    char *value = live;
    memcpy(victim, &value, sizeof value);
    for (int i = 0; i < COUNT; i++) {
        taken[i] = malloc(SMALL);
        if (taken[i] == live) _exit(GIVEN_OUT);
    }
}

/* 16 bytes into the next block, which is free. */
static void overflow(void) {
    warm_up(SMALL);
    static char *blocks[100];
    for (int i = 0; i < 100; i++) blocks[i] = malloc(SMALL);
    qsort(blocks, 100, sizeof blocks[0], by_address);
    for (int i = 1; i < 100; i++) {
        long apart = blocks[i] - blocks[i - 1];
        if (apart > 3 * SMALL) continue;
        free_hidden(blocks[i]);
        memset(blocks[i - 1], 'A', apart + 16);
        break;
    }
    take_many(SMALL);
}

static char *volatile shared;

static void free_shared(void) { free_hidden(shared); }

static void freed_by_another_thread(void) {
    char *volatile three[3] = {malloc(SMALL), malloc(SMALL), malloc(SMALL)};
    shared = three[1];
    in_a_thread(free_shared);
    void *value = target;
    memcpy(shared, &value, sizeof value);
    take_many(SMALL);
}

static void take_shared(void) { shared = freed_block(SMALL, 1); }

static void of_an_ended_thread(void) {
    in_a_thread(take_shared);
    void *value = target;
    memcpy(shared, &value, sizeof value);
    take_many(SMALL);
}

/* The write undoes what tells of the first free. */
static void freed_again(void) {
    char *victim = freed_block(SMALL, 1);
    memset(victim, 0, 16);
    free_hidden(victim);
    take_many(SMALL);
}

static void freed_again_cold(void) {
    char *victim = freed_block(SMALL, 0);
    memset(victim, 0, 16);
    free_hidden(victim);
    take_many(SMALL);
}

#define DAMAGED(bytes)                                                                            \
    "corrupted free block: " IN_CLASS(bytes, "owner: [a-z ]+") "a block was written to after it " \
                                                               "was freed; run with a sanitizer"

const struct misuse writes[] = {
    {"write_of_a_pointer_to_freed_block", pointer, DAMAGED("64")},
    {"write_of_an_inner_pointer_to_freed_block", pointer_inside, DAMAGED("64")},
    {"write_of_1_to_freed_block", null_pointer, DAMAGED("64")},
    {"write_of_a_wild_pointer_to_freed_block", wild_pointer, DAMAGED("64")},
    {"write_to_the_second_word_of_freed_block", second_word, DAMAGED("64")},
    {"write_to_both_words_of_freed_block", both_words, DAMAGED("64")},
    {"write_of_zeros_to_freed_block", zeros, DAMAGED("64")},
    {"write_of_one_byte_to_freed_block", one_byte, DAMAGED("64")},
    {"write_of_a_live_blocks_address_to_freed_block", live_block, DAMAGED("64")},
    {"write_to_freed_block_in_its_slab", pointer_cold, DAMAGED("64")},
    {"write_to_freed_block_of_16_bytes", pointer_smallest, DAMAGED("16")},
    {"write_to_freed_block_of_5000_bytes", pointer_medium, DAMAGED("5120")},
    {"overflow_into_freed_block", overflow, DAMAGED("64")},
    {"write_to_block_that_another_thread_freed", freed_by_another_thread, DAMAGED("64")},
    {"write_to_freed_block_of_an_ended_thread", of_an_ended_thread, DAMAGED("64")},
    {"double_free_after_a_write_to_both_words", freed_again,
     "(corrupted free block|double free): .*"},
    {"double_free_after_a_write_to_both_words_in_its_slab", freed_again_cold,
     "(corrupted free block|double free): .*"},
    {0},
};
