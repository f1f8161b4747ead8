/* Blocks that change hands between threads, destructors that run late in a thread's life, and
 * fork while other threads allocate. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hakmem/preload_test/check.h"

enum {
    THREADS = 8,
    QUEUE_BLOCKS = 4096,
    OWN_BLOCKS = 500,
    RUN_SECONDS = 2,
    LARGEST = 40000,
    TEST_SECONDS = 100, /* a hang ends the program instead of the test run's patience */
};

struct block {
    size_t size;
    unsigned char pattern;
    unsigned char bytes[];
};

static struct {
    pthread_mutex_t lock;
    struct block *blocks[QUEUE_BLOCKS]; /* guarded by lock */
    size_t count;                       /* guarded by lock */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

static atomic_bool stop;

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct block *take_block(uint64_t *state) {
    uint64_t r = next_random(state);
    size_t size = r % 64 == 0 ? r / 64 % LARGEST : r / 64 % 1000;
    struct block *block = malloc(sizeof *block + size);
    CHECK_WITH(block != NULL, "size %zu", size);
    block->size = size;
    block->pattern = (unsigned char)(r >> 32);
    memset(block->bytes, block->pattern, size);
    return block;
}

static void give_block(struct block *block) {
    for (size_t i = 0; i < block->size; i++) {
        if (block->bytes[i] != block->pattern) {
            CHECK_WITH(false, "block %p byte %zu of %zu overwritten", (void *)block, i,
                       block->size);
            break;
        }
    }
    free(block);
}

/* Puts BLOCK into the queue and takes another thread's out, either may be NULL. */
static struct block *exchange(struct block *block, uint64_t choice) {
    struct block *other = NULL;
    pthread_mutex_lock(&queue.lock);
    if (queue.count > QUEUE_BLOCKS / 2) {
        size_t at = choice % queue.count;
        other = queue.blocks[at];
        queue.blocks[at] = queue.blocks[--queue.count];
    }
    if (block != NULL) {
        queue.blocks[queue.count++] = block;
    }
    pthread_mutex_unlock(&queue.lock);
    return other;
}

static void *allocate_and_hand_over(void *argument) {
    uint64_t state = (uint64_t)(uintptr_t)argument * 0x9e3779b97f4a7c15u + 1;
    struct block *own[OWN_BLOCKS] = {NULL};
    while (!atomic_load(&stop)) {
        uint64_t r = next_random(&state);
        struct block **slot = &own[r % OWN_BLOCKS];
        if (*slot == NULL) {
            *slot = take_block(&state);
        } else if (r >> 32 & 1) {
            give_block(*slot);
            *slot = NULL;
        } else {
            *slot = exchange(*slot, r >> 33);
        }
    }
    for (size_t i = 0; i < OWN_BLOCKS; i++) {
        if (own[i] != NULL) {
            give_block(own[i]);
        }
    }
    return NULL;
}

static void start_threads(pthread_t *threads, int count, void *(*run)(void *)) {
    atomic_store(&stop, false);
    for (int i = 0; i < count; i++) {
        CHECK(pthread_create(&threads[i], NULL, run, (void *)(uintptr_t)(i + 1)) == 0);
    }
}

static void join_threads(pthread_t *threads, int count) {
    atomic_store(&stop, true);
    for (int i = 0; i < count; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void blocks_change_hands_unharmed(void) {
    pthread_t threads[THREADS];
    start_threads(threads, THREADS, allocate_and_hand_over);
    sleep(RUN_SECONDS);
    join_threads(threads, THREADS);
    for (size_t i = 0; i < queue.count; i++) {
        give_block(queue.blocks[i]);
    }
    queue.count = 0;
}

static void *fill_queue(void *argument) {
    uint64_t state = (uint64_t)(uintptr_t)argument * 77 + 5;
    for (int i = 0; i < 400; i++) {
        struct block *block = exchange(take_block(&state), 0);
        if (block != NULL) {
            give_block(block);
        }
    }
    return NULL;
}

/* Blocks outlive the thread that took them, and short-lived threads come and go. */
static void blocks_outlive_their_thread(void) {
    for (int round = 0; round < 100; round++) {
        pthread_t threads[4];
        start_threads(threads, 4, fill_queue);
        join_threads(threads, 4);
        for (size_t i = 0; i < queue.count; i++) {
            give_block(queue.blocks[i]);
        }
        queue.count = 0;
    }
}

static pthread_key_t late_keys[3];
static atomic_int late_calls;

/* Sets its key again, so that it runs in every round of destructors there is, also after the
 * allocator's own. */
static void late_destructor(void *value) {
    struct block *block = value;
    uint64_t state = block->pattern + 1;
    atomic_fetch_add(&late_calls, 1);
    give_block(block);
    for (int i = 0; i < 50; i++) {
        give_block(take_block(&state));
    }
    for (size_t i = 0; i < sizeof late_keys / sizeof late_keys[0]; i++) {
        if (pthread_getspecific(late_keys[i]) == NULL) {
            pthread_setspecific(late_keys[i], take_block(&state));
        }
    }
}

static void *use_late_keys(void *argument) {
    uint64_t state = (uint64_t)(uintptr_t)argument;
    for (size_t i = 0; i < sizeof late_keys / sizeof late_keys[0]; i++) {
        pthread_setspecific(late_keys[i], take_block(&state));
    }
    return NULL;
}

static void thread_key_destructors_may_allocate(void) {
    for (size_t i = 0; i < sizeof late_keys / sizeof late_keys[0]; i++) {
        CHECK(pthread_key_create(&late_keys[i], late_destructor) == 0);
    }
    for (int round = 0; round < 50; round++) {
        pthread_t threads[4];
        start_threads(threads, 4, use_late_keys);
        join_threads(threads, 4);
    }
    CHECK_WITH(atomic_load(&late_calls) >= 600, "%d", atomic_load(&late_calls));
    for (size_t i = 0; i < sizeof late_keys / sizeof late_keys[0]; i++) {
        pthread_key_delete(late_keys[i]);
    }
}

/* What a forked child does: every kind of size, blocks from before the fork, a thread. */
static int child_work(struct block **inherited, size_t count) {
    uint64_t state = 99;
    for (size_t i = 0; i < count; i++) {
        give_block(inherited[i]);
    }
    for (size_t size = 0; size < 3000000; size = size * 5 / 4 + 1) {
        char *block = malloc(size);
        CHECK_WITH(block != NULL, "size %zu", size);
        memset(block, 1, size);
        free(block);
    }
    for (int i = 0; i < 1000; i++) {
        give_block(take_block(&state));
    }
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, fill_queue, (void *)3) == 0);
    pthread_join(thread, NULL);
    return check_exit_code();
}

static void fork_among_threads_leaves_a_sound_child(void) {
    enum { FORKS = 30, INHERITED = 200 };
    pthread_t threads[4];
    uint64_t state = 4711;
    start_threads(threads, 4, allocate_and_hand_over);
    for (int i = 0; i < FORKS; i++) {
        struct block *inherited[INHERITED];
        for (int j = 0; j < INHERITED; j++) {
            inherited[j] = take_block(&state);
        }
        /* The queue's lock must not be held by a thread that the child does not have. */
        pthread_mutex_lock(&queue.lock);
        pid_t child = fork();
        pthread_mutex_unlock(&queue.lock);
        if (child == 0) {
            alarm(TEST_SECONDS / 2);
            _exit(child_work(inherited, INHERITED));
        }
        for (int j = 0; j < INHERITED; j++) {
            give_block(inherited[j]);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK_WITH(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child status %#x", status);
    }
    join_threads(threads, 4);
}

int main(void) {
    alarm(TEST_SECONDS);
    check_group("blocks_change_hands_unharmed", blocks_change_hands_unharmed);
    check_group("blocks_outlive_their_thread", blocks_outlive_their_thread);
    check_group("thread_key_destructors_may_allocate", thread_key_destructors_may_allocate);
    check_group("fork_among_threads_leaves_a_sound_child", fork_among_threads_leaves_a_sound_child);
    return check_exit_code();
}
