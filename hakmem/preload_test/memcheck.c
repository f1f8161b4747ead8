/* Mistakes for Valgrind's memcheck to find, one a run, and a program without any. By malloc and
 * free, for the preloaded library; or by hak_malloc and hak_free (-DHAK_NAMES), linked in. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAK_NAMES
#include "hakmem/hakmem.h"
#define malloc hak_malloc
#define calloc hak_calloc
#define realloc hak_realloc
#define reallocarray hak_reallocarray
#define free hak_free
#define aligned_alloc hak_aligned_alloc
#define posix_memalign hak_posix_memalign
#define malloc_usable_size hak_usable_size
#define malloc_trim hak_trim
#else
#include <malloc.h>
#endif

#define SMALL ((size_t)100)
#define LARGE ((size_t)3 << 20)

static volatile char sink;
static void *volatile kept;

static char *block_of(size_t bytes) {
    char *p = malloc(bytes);
    if (p == NULL) exit(2);
    return p;
}

static void read_after_free(size_t bytes) {
    char *p = block_of(bytes);
    p[bytes - 1] = 1;
    free(p);
    sink = p[bytes - 1];
}

static void write_after_free(size_t bytes) {
    char *p = block_of(bytes);
    free(p);
    *(volatile char *)p = 1;
}

static void write_a_byte_too_many(size_t bytes) {
    char *p = block_of(bytes);
    ((volatile char *)p)[bytes] = 1;
    free(p);
}

static void read_a_byte_before(size_t bytes) {
    char *before = block_of(bytes), *p = block_of(bytes);
    sink = p[-1]; /* what lies before the other one may be nobody's */
    free(p);
    free(before);
}

static void decide_by_what_was_never_written(size_t bytes) {
    char *p = block_of(bytes);
    if (p[bytes / 2] == 3) sink = 1;
    free(p);
}

static void decide_by_what_realloc_added(size_t bytes) {
    char *p = block_of(bytes);
    memset(p, 0, bytes);
    p = realloc(p, 2 * bytes);
    if (p[bytes - 1] == 3) sink = 1; /* was written */
    if (p[bytes] == 3) sink = 1;
    free(p);
}

static void lose(size_t bytes) {
    kept = block_of(bytes);
    kept = NULL;
}

static void free_twice(size_t bytes) {
    char *p = block_of(bytes);
    free(p);
    free(p);
}

static void read_what_realloc_left(size_t bytes) {
    char *p = block_of(bytes), *moved = realloc(p, bytes / 2);
    sink = moved[0] = 1;
    sink = p[0];
    free(moved);
}

/* ---- No mistake ----------------------------------------------------------------------------- */

enum { SLOTS = 200, ROUNDS = 3000 };

static size_t some_size(unsigned *seed) {
    *seed = *seed * 1103515245 + 12345;
    unsigned n = *seed >> 8;
    if (n % 97 == 0) return n % (4u << 20);
    return n % 11 == 0 ? n % 60000 : n % 600;
}

static void check_bytes(const char *p, size_t bytes) {
    if (bytes != 0 && (p[0] != p[bytes - 1] || p[0] != p[bytes / 2])) abort();
}

static void mix(unsigned seed) {
    char *blocks[SLOTS] = {NULL};
    size_t sizes[SLOTS] = {0};
    for (int i = 0; i < ROUNDS; i++) {
        unsigned slot = (seed >> 16) % SLOTS;
        size_t bytes = some_size(&seed);
        check_bytes(blocks[slot], sizes[slot]);
        if (i % 5 == 0 && blocks[slot] != NULL) {
            blocks[slot] = realloc(blocks[slot], bytes + 1);
            sizes[slot] = bytes + 1;
        } else {
            free(blocks[slot]);
            sizes[slot] = bytes;
            blocks[slot] = i % 3 == 0 ? calloc(1, bytes) : block_of(bytes);
            if (i % 3 == 0) check_bytes(blocks[slot], bytes);
        }
        if (i % 7 == 0) sizes[slot] = malloc_usable_size(blocks[slot]);
        memset(blocks[slot], (char)i, sizes[slot]);
    }
    for (int i = 0; i < SLOTS; i++) free(blocks[i]);
}

static void *run_thread(void *seed) {
    mix((unsigned)(size_t)seed);
    char *p = block_of(1000);
    memset(p, 5, 1000);
    return p;
}

#ifndef HAK_NAMES
void *__libc_malloc(size_t bytes);
void __libc_free(void *block);

/* Names of which Valgrind knows some only. */
static void use_other_names(void) {
    void (*free_sized)(void *, size_t) =
        (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
    void (*free_aligned_sized)(void *, size_t, size_t) =
        (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
    free_sized(block_of(100), 100);
    free_sized(NULL, 100);
    free_aligned_sized(aligned_alloc(64, 128), 64, 128);
    free(pvalloc(100));
    free(valloc(100));
    free(memalign(64, 100));
    free(__libc_malloc(100));
    __libc_free(block_of(100));
}
#endif

static void use_other_calls(void) {
    void *p = aligned_alloc(256, 512), *q = NULL;
    if (posix_memalign(&q, 8192, 100) != 0) abort();
    memset(p, 1, 512);
    memset(q, 1, 100);
    free(p);
    free(q);
    char *array = reallocarray(NULL, 10, 10);
    memset(array, 1, 100);
    array = reallocarray(array, 20, 10);
    if (array[99] != 1) abort();
    free(array);
    free(NULL);
    free(malloc(0));
#ifndef HAK_NAMES
    use_other_names();
#endif
}

static void fork_and_mix(void) {
    char *p = block_of(500);
    memset(p, 1, 500);
    pid_t child = fork();
    if (child == 0) {
        mix(99);
        free(p);
        _exit(0);
    }
    int status;
    if (waitpid(child, &status, 0) != child || status != 0) abort();
    free(p);
}

static void nothing_wrong(size_t bytes) {
    (void)bytes;
    mix(1);
    use_other_calls();
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++) pthread_create(&threads[i], NULL, run_thread, (void *)(i + 7));
    for (size_t i = 0; i < 3; i++) {
        void *block;
        pthread_join(threads[i], &block);
        free(block); /* another thread's */
    }
    malloc_trim(0);
    fork_and_mix();
    mix(5);
}

static const struct {
    const char *name;
    void (*run)(size_t bytes);
} CASES[] = {
    {"read_after_free", read_after_free},
    {"write_after_free", write_after_free},
    {"write_a_byte_too_many", write_a_byte_too_many},
    {"read_a_byte_before", read_a_byte_before},
    {"decide_by_what_was_never_written", decide_by_what_was_never_written},
    {"decide_by_what_realloc_added", decide_by_what_realloc_added},
    {"lose", lose},
    {"free_twice", free_twice},
    {"read_what_realloc_left", read_what_realloc_left},
    {"nothing_wrong", nothing_wrong},
};

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        if (strcmp(CASES[i].name, argv[1]) != 0) continue;
        CASES[i].run(strcmp(argv[2], "large") == 0 ? LARGE : SMALL);
        return 0;
    }
    fprintf(stderr, "no case %s\n", argv[1]);
    return 2;
}
