/* Blocks that are freed, resized or asked about after they were freed. */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

#include "hakmem/misuse_test/cases.h"

enum { OTHERS = 100, THOUSANDS = 20000 };

static void *volatile block;

static void free_twice(size_t size) {
    block = malloc(size);
    free_hidden(block);
    free_hidden(block);
}

static void at_once(void) { free_twice(SMALL); }
static void at_once_medium(void) { free_twice(MEDIUM); }
static void at_once_run(void) { free_twice(RUN); }
static void at_once_large(void) { free_twice(LARGE); }
static void at_once_empty(void) { free_twice(0); }

static void of_calloc(void) {
    block = calloc(3, 20);
    free_hidden(block);
    free_hidden(block);
}

static void of_aligned(void) {
    block = aligned_alloc(256, 1000);
    free_hidden(block);
    free_hidden(block);
}

static void of_aligned_large(void) {
    block = aligned_alloc(1 << 20, 4096);
    free_hidden(block);
    free_hidden(block);
}

static void interleaved(void) {
    block = malloc(SMALL);
    void *volatile other = malloc(SMALL);
    free_hidden(block);
    free_hidden(other);
    free_hidden(block);
}

static void after_others(int count, size_t size) {
    static void *others[THOUSANDS];
    block = malloc(size);
    for (int i = 0; i < count; i++) others[i] = malloc(size);
    free_hidden(block);
    for (int i = 0; i < count; i++) free_hidden(others[i]);
    free_hidden(block);
}

static void after_a_hundred(void) { after_others(OTHERS, SMALL); }
static void after_thousands(void) { after_others(THOUSANDS, SMALL); }
static void after_other_medium(void) { after_others(OTHERS, MEDIUM); }
static void after_other_large(void) { after_others(20, LARGE); }

/* The first free leads back to the slab; later ones keep blocks in a list. */
static void after_the_class_warmed(void) {
    block = malloc(SMALL);
    hidden = malloc(SMALL); /* keeps the slab in use */
    free_hidden(block);
    malloc_trim(0);
    for (int i = 0; i < 1000; i++) {
        void *volatile three[3] = {malloc(SMALL), malloc(SMALL), malloc(SMALL)};
        for (int k = 0; k < 3; k++) free_hidden(three[k]);
    }
    free_hidden(block);
}

/* A stale pointer frees the block that came to live there; its owner is the second. */
static void after_reuse(void) {
    block = malloc(SMALL);
    free_hidden(block);
    void *volatile mine = malloc(SMALL);
    free_hidden(block);
    free_hidden(mine);
}

static void after_trim(void) {
    block = malloc(SMALL);
    hidden = malloc(SMALL);
    void *volatile kept = malloc(SMALL);
    free_hidden(block);
    malloc_trim(0);
    free_hidden(block);
    (void)kept;
}

static void after_a_write(void) {
    block = malloc(SMALL);
    hidden = malloc(SMALL);
    free_hidden(block);
    *(volatile int *)block = 1;
    free_hidden(block);
}

static void of_what_realloc_moved(void) {
    block = malloc(SMALL);
    hidden = realloc(block, 100 * SMALL);
    free_hidden(block);
}

static void by_realloc(void) {
    block = malloc(SMALL);
    free_hidden(block);
    hidden = realloc(block, 10 * SMALL);
}

static void by_realloc_large(void) {
    block = malloc(LARGE);
    free_hidden(block);
    hidden = realloc(block, 2 * LARGE);
}

static void by_usable_size(void) {
    block = malloc(SMALL);
    free_hidden(block);
    hidden = (void *)malloc_usable_size(block);
}

/* ---- Threads -------------------------------------------------------------------------------- */

static void free_block(void) { free_hidden(block); }

static void in_another_thread(void) {
    block = malloc(SMALL);
    hidden = malloc(SMALL); /* or the thread's own data would be the next to live there */
    free_hidden(block);
    in_a_thread(free_block);
}

static void by_two_other_threads(void) {
    block = malloc(SMALL);
    in_a_thread(free_block);
    in_a_thread(free_block);
}

static void after_another_thread(void) {
    block = malloc(SMALL);
    in_a_thread(free_block);
    free_hidden(block);
}

static void after_another_thread_medium(void) {
    block = malloc(MEDIUM);
    in_a_thread(free_block);
    free_hidden(block);
}

static void after_another_thread_large(void) {
    block = malloc(LARGE);
    in_a_thread(free_block);
    free_hidden(block);
}

static void *volatile neighbour;

static void take_block(void) {
    block = malloc(SMALL);
    neighbour = malloc(SMALL);
}

static void of_an_ended_threads_block(void) {
    in_a_thread(take_block);
    free_hidden(block);
    free_hidden(block);
}

static void take_and_free(void) {
    take_block();
    free_hidden(block);
}

static void after_its_thread_ended(void) {
    in_a_thread(take_and_free);
    free_hidden(block);
}

static sem_t taken, never;

static void *take_and_wait(void *unused) {
    take_block();
    sem_post(&taken);
    sem_wait(&never);
    return unused;
}

static void of_another_threads_block(void) {
    pthread_t thread;
    sem_init(&taken, 0, 0);
    sem_init(&never, 0, 0);
    if (pthread_create(&thread, NULL, take_and_wait, NULL) != 0) exit(CANNOT);
    sem_wait(&taken);
    free_hidden(block);
    free_hidden(block);
}

#define NO_BLOCK                          \
    "double free: (" IN_NONE "|block " AT \
    " \\(no size class, large block of [0-9]+ bytes\\); )" ADVICE_FREED
#define ANY_OWNER "owner: (this thread|another thread|a thread that has ended or gave it up)"

const struct misuse double_frees[] = {
    {"double_free", at_once, TWICE("64", THIS)},
    {"double_free_of_empty_block", at_once_empty, TWICE("16", THIS)},
    {"double_free_of_medium_block", at_once_medium, TWICE_GONE("32768")},
    {"double_free_of_block_above_64_kib", at_once_run, TWICE_GONE("114688")},
    {"double_free_of_large_block", at_once_large, NO_BLOCK},
    {"double_free_of_zeroed_block", of_calloc, TWICE("64", THIS)},
    {"double_free_of_aligned_block", of_aligned, TWICE("1024", THIS)},
    {"double_free_of_aligned_large_block", of_aligned_large, NO_BLOCK},
    {"double_free_interleaved", interleaved, TWICE("64", THIS)},
    {"double_free_after_100_frees", after_a_hundred, TWICE("64", THIS)},
    {"double_free_after_20000_frees", after_thousands, "double free: .*" ADVICE_FREED},
    {"double_free_after_other_medium_blocks", after_other_medium, "double free: .*" ADVICE_FREED},
    {"double_free_after_other_large_blocks", after_other_large, NO_BLOCK},
    {"double_free_after_the_class_warmed", after_the_class_warmed, TWICE("64", THIS)},
    {"double_free_after_reuse", after_reuse, TWICE("64", THIS)},
    {"double_free_after_malloc_trim", after_trim, TWICE("64", ENDED)},
    {"double_free_after_a_write", after_a_write, TWICE("64", THIS)},
    {"double_free_of_what_realloc_moved", of_what_realloc_moved, TWICE("64", THIS)},
    {"realloc_of_freed_block", by_realloc, "invalid realloc: " IN_CLASS("64", THIS) ADVICE_FREED},
    {"realloc_of_freed_large_block", by_realloc_large, "invalid realloc: " IN_NONE ADVICE_FREED},
    {"usable_size_of_freed_block", by_usable_size,
     "invalid usable_size: " IN_CLASS("64", THIS) ADVICE_FREED},
    {"double_free_in_another_thread", in_another_thread, TWICE("64", OTHER)},
    {"double_free_by_two_other_threads", by_two_other_threads, TWICE("64", OTHER)},
    {"double_free_after_another_thread", after_another_thread, TWICE("64", THIS)},
    {"double_free_after_another_thread_of_medium_block", after_another_thread_medium,
     TWICE("32768", THIS)},
    {"double_free_after_another_thread_of_large_block", after_another_thread_large, NO_BLOCK},
    {"double_free_of_an_ended_threads_block", of_an_ended_threads_block, TWICE("64", ANY_OWNER)},
    {"double_free_after_its_thread_ended", after_its_thread_ended, TWICE("64", ANY_OWNER)},
    {"double_free_of_another_threads_block", of_another_threads_block, TWICE("64", OTHER)},
    {0},
};
