/* Memory runs out under RLIMIT_AS: NULL and ENOMEM, nothing lost, and everything works again once
 * blocks are freed. With "exec" the limit holds from the program's first instruction. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hakmem/preload_test/check.h"

#define MIB ((size_t)1 << 20)

enum { LIMIT_MIB = 512, LEAST_MIB = 256, AFTERWARDS_MIB = 32, ROUNDS = 3 };

struct link {
    struct link *next;
    size_t size;
};

static void set_limit(void) {
    struct rlimit limit = {LIMIT_MIB * MIB, LIMIT_MIB * MIB};
    CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
}

/* Takes blocks of SIZE bytes (0: of many sizes) until there are no more; returns their chain. */
static struct link *exhaust(size_t size, size_t *taken) {
    struct link *chain = NULL;
    uint32_t random = 12345;
    *taken = 0;
    for (;;) {
        random = random * 1664525 + 1013904223;
        size_t want = size != 0 ? size : sizeof(struct link) + (random >> 8) % 50000;
        errno = 0;
        struct link *link = malloc(want);
        if (link == NULL) {
            CHECK_WITH(errno == ENOMEM, "errno %d", errno);
            return chain;
        }
        link->next = chain;
        link->size = want;
        chain = link;
        *taken += want;
    }
}

static void free_chain(struct link *chain, size_t size) {
    while (chain != NULL) {
        struct link *next = chain->next;
        CHECK_WITH(size == 0 || chain->size == size, "%zu instead of %zu", chain->size, size);
        free(chain);
        chain = next;
    }
}

/* Other requests while there is nothing left. */
static void try_while_exhausted(struct link *chain) {
    errno = 0;
    CHECK(calloc(4, 16 * MIB) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(aligned_alloc(4 * MIB, 16 * MIB) == NULL && errno == ENOMEM);
    void *untouched = &errno;
    CHECK(posix_memalign(&untouched, 64, 64 * MIB) == ENOMEM && untouched == &errno);
    size_t size = chain->size;
    CHECK(realloc(chain, 64 * MIB) == NULL && chain->size == size);
}

static void exhaust_and_recover(size_t size, const char *what) {
    for (int round = 0; round < ROUNDS; round++) {
        size_t taken = 0;
        struct link *chain = exhaust(size, &taken);
        CHECK_WITH(taken >= LEAST_MIB * MIB, "%s round %d: only %zu MiB of %d", what, round,
                   taken / MIB, LIMIT_MIB);
        if (chain != NULL) {
            try_while_exhausted(chain);
        }
        free_chain(chain, size);
        char *block = malloc(AFTERWARDS_MIB * MIB);
        CHECK_WITH(block != NULL, "%s round %d: no %d MiB after all was freed", what, round,
                   AFTERWARDS_MIB);
        if (block != NULL) {
            memset(block, 1, AFTERWARDS_MIB * MIB);
            free(block);
        }
    }
}

static void large_blocks(void) { exhaust_and_recover(MIB, "1 MiB"); }
static void medium_blocks(void) { exhaust_and_recover(65536, "64 KiB"); }
static void small_blocks(void) { exhaust_and_recover(100, "100 B"); }
static void mixed_blocks(void) { exhaust_and_recover(0, "mixed"); }

static pthread_barrier_t recovered;

static void take_every_size(void) {
    for (size_t size = 1; size < 8 * MIB; size = size * 2 + 1) {
        char *block = malloc(size);
        CHECK_WITH(block != NULL, "size %zu", size);
        free(block);
    }
}

static void *allocate_after_recovery(void *unused) {
    (void)unused;
    pthread_barrier_wait(&recovered);
    take_every_size();
    return NULL;
}

static void *allocate_at_once(void *unused) {
    (void)unused;
    take_every_size();
    return NULL;
}

static bool start_thread(pthread_t *thread, void *(*run)(void *)) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, MIB);
    int error = pthread_create(thread, &attributes, run, NULL);
    CHECK_WITH(error == 0, "%d", error);
    pthread_attr_destroy(&attributes);
    return error == 0;
}

static void other_threads_allocate_after_recovery(void) {
    size_t taken = 0;
    pthread_t thread;
    pthread_barrier_init(&recovered, NULL, 2);
    if (start_thread(&thread, allocate_after_recovery)) {
        free_chain(exhaust(1000, &taken), 1000);
        pthread_barrier_wait(&recovered);
        pthread_join(thread, NULL);
    }
    pthread_barrier_destroy(&recovered);
}

/* A thread's stack is mapped by the C library, so address space must really have gone back. */
static void threads_start_after_a_trim(void) {
    size_t taken = 0;
    free_chain(exhaust(1000, &taken), 1000);
    malloc_trim(0);
    for (int i = 0; i < 5; i++) {
        pthread_t thread;
        if (start_thread(&thread, allocate_at_once)) pthread_join(thread, NULL);
    }
}

int main(int count, char **arguments) {
    bool limited = getenv("SURFACE_LIMITED") != NULL;
    if (!limited) {
        set_limit();
    }
    if (!limited && count > 1 && strcmp(arguments[1], "exec") == 0) {
        setenv("SURFACE_LIMITED", "1", 1);
        execv("/proc/self/exe", arguments);
        return 2;
    }
    check_group("other_threads_allocate_after_recovery", other_threads_allocate_after_recovery);
    check_group("large_blocks", large_blocks);
    check_group("medium_blocks", medium_blocks);
    check_group("small_blocks", small_blocks);
    check_group("mixed_blocks", mixed_blocks);
    check_group("threads_start_after_a_trim", threads_start_after_a_trim);
    return check_exit_code();
}
