/* Misuses of the allocator, one a case: the library must stop the program with one line on stderr
 * that begins "hakmem: ", and SIGABRT.
 *
 *   misuse NAME    commits it; returns 0 when nothing stopped it
 *   misuse --list  prints every NAME and what its message must say
 *
 * A case is a function and a line in CASES; the message is an extended regular expression. */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { SMALL = 64, LARGE = 3 << 20, OTHERS = 100, PAGE_BYTES = 4096 };

static char global[PAGE_BYTES] __attribute__((aligned(64)));

/* Addresses reach free through this, so that the compiler does not see what they are. */
static void *volatile hidden;

static void free_hidden(void *address) {
    hidden = address;
    free(hidden);
}

static void *free_in_thread(void *block) {
    free(block);
    return NULL;
}

static void run_thread(void *(*run)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, argument) == 0) {
        pthread_join(thread, NULL);
    }
}

/* ---- double frees ---- */

static void free_twice(size_t size) {
    hidden = malloc(size);
    void *volatile again = hidden;
    free(hidden);
    free(again);
}

static void double_free(void) { free_twice(SMALL); }
static void double_free_of_medium_block(void) { free_twice(30000); }
static void double_free_of_large_block(void) { free_twice(LARGE); }
static void double_free_of_empty_block(void) { free_twice(0); }

static void double_free_after_other_frees(void) {
    void *others[OTHERS];
    void *volatile block = malloc(SMALL);
    for (int i = 0; i < OTHERS; i++) {
        others[i] = malloc(SMALL);
    }
    free_hidden(block);
    for (int i = 0; i < OTHERS; i++) {
        free_hidden(others[i]);
    }
    free_hidden(block);
}

static void double_free_of_aligned_block(void) {
    void *volatile block = aligned_alloc(256, 1000);
    free_hidden(block);
    free_hidden(block);
}

static void double_free_by_realloc(void) {
    void *volatile block = malloc(SMALL);
    free_hidden(block);
    hidden = realloc(block, 10 * SMALL);
}

static void double_free_in_another_thread(void) {
    void *volatile block = malloc(SMALL);
    hidden = malloc(SMALL); /* or the thread's own data would be the next to live at the address */
    free_hidden(block);
    run_thread(free_in_thread, block);
}

static void double_free_by_another_thread_twice(void) {
    void *volatile block = malloc(SMALL);
    run_thread(free_in_thread, block);
    run_thread(free_in_thread, block);
}

static void double_free_after_another_thread(void) {
    void *volatile block = malloc(SMALL);
    run_thread(free_in_thread, block);
    free_hidden(block);
}

/* The first free finds a class that keeps nothing; later ones keep the block in a list. */
static void double_free_after_the_class_warmed(void) {
    void *volatile block = malloc(SMALL);
    hidden = malloc(SMALL); /* keeps the slab in use */
    free_hidden(block);
    for (int i = 0; i < 1000; i++) {
        void *volatile a = malloc(SMALL);
        void *volatile b = malloc(SMALL);
        void *volatile c = malloc(SMALL);
        free_hidden(a);
        free_hidden(b);
        free_hidden(c);
    }
    free_hidden(block);
}

/* ---- addresses that are no blocks ---- */

static void free_of_stack(void) {
    char local[256] __attribute__((aligned(64)));
    memset(local, 1, sizeof local);
    free_hidden(local);
}

static void free_of_global(void) { free_hidden(global); }
static void free_of_code(void) { free_hidden((void *)(uintptr_t)free_of_code); }
static void free_of_null_plus_1(void) { free_hidden((void *)1); }
static void free_of_null_plus_16(void) { free_hidden((void *)16); }
static void free_of_kernel_half(void) { free_hidden((void *)0xffffffff81000000u); }
static void free_of_lowest_kernel_address(void) { free_hidden((void *)0xffff800000000000u); }
static void free_of_non_canonical(void) { free_hidden((void *)0x123456789abcde0u); }
static void free_of_first_non_canonical(void) { free_hidden((void *)0x800000000000u); }
static void free_of_highest_user_address(void) { free_hidden((void *)0x7fffffffffe0u); }
static void free_of_all_ones(void) { free_hidden((void *)UINTPTR_MAX); }

static void free_of_unmapped(void) {
    char *pages =
        mmap(NULL, 4 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages, 4 * PAGE_BYTES);
    free_hidden(pages + PAGE_BYTES);
}

static void free_of_foreign_mapping(void) {
    free_hidden(
        mmap(NULL, 4 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static void free_of_foreign_superslab_sized_mapping(void) {
    size_t bytes = (size_t)8 << 20;
    char *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uintptr_t aligned = ((uintptr_t)pages + (2 << 20)) & ~(uintptr_t)((2 << 20) - 1);
    free_hidden((void *)aligned);
}

static void realloc_of_wild_pointer(void) {
    hidden = global;
    hidden = realloc(hidden, 200);
}

static void usable_size_of_wild_pointer(void) {
    hidden = global + SMALL;
    printf("%zu\n", malloc_usable_size(hidden));
}

#define DOUBLE_FREE "double free"
#define FOREIGN "invalid free: address"

static const struct {
    const char *name;
    void (*commit)(void);
    const char *message;
} CASES[] = {
    {"double_free", double_free, DOUBLE_FREE},
    {"double_free_of_medium_block", double_free_of_medium_block, DOUBLE_FREE},
    {"double_free_of_large_block", double_free_of_large_block, "(" DOUBLE_FREE "|" FOREIGN ")"},
    {"double_free_of_empty_block", double_free_of_empty_block, DOUBLE_FREE},
    {"double_free_after_other_frees", double_free_after_other_frees, DOUBLE_FREE},
    {"double_free_after_the_class_warmed", double_free_after_the_class_warmed, DOUBLE_FREE},
    {"double_free_of_aligned_block", double_free_of_aligned_block, DOUBLE_FREE},
    {"double_free_by_realloc", double_free_by_realloc, "invalid realloc: .*freed before"},
    {"double_free_in_another_thread", double_free_in_another_thread, DOUBLE_FREE},
    {"double_free_by_another_thread_twice", double_free_by_another_thread_twice, DOUBLE_FREE},
    {"double_free_after_another_thread", double_free_after_another_thread, DOUBLE_FREE},
    {"free_of_stack", free_of_stack, FOREIGN},
    {"free_of_global", free_of_global, FOREIGN},
    {"free_of_code", free_of_code, FOREIGN},
    {"free_of_null_plus_1", free_of_null_plus_1, FOREIGN},
    {"free_of_null_plus_16", free_of_null_plus_16, FOREIGN},
    {"free_of_kernel_half", free_of_kernel_half, FOREIGN},
    {"free_of_lowest_kernel_address", free_of_lowest_kernel_address, FOREIGN},
    {"free_of_non_canonical", free_of_non_canonical, FOREIGN},
    {"free_of_first_non_canonical", free_of_first_non_canonical, FOREIGN},
    {"free_of_highest_user_address", free_of_highest_user_address, FOREIGN},
    {"free_of_all_ones", free_of_all_ones, FOREIGN},
    {"free_of_unmapped", free_of_unmapped, FOREIGN},
    {"free_of_foreign_mapping", free_of_foreign_mapping, FOREIGN},
    {"free_of_foreign_superslab_sized_mapping", free_of_foreign_superslab_sized_mapping, FOREIGN},
    {"realloc_of_wild_pointer", realloc_of_wild_pointer, "invalid realloc: address"},
    {"usable_size_of_wild_pointer", usable_size_of_wild_pointer, "invalid usable_size: address"},
};

int main(int count, char **arguments) {
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (count != 2) {
        fputs("usage: misuse NAME | --list\n", stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        if (strcmp(arguments[1], "--list") == 0) {
            printf("%s\t%s\n", CASES[i].name, CASES[i].message);
        } else if (strcmp(arguments[1], CASES[i].name) == 0) {
            CASES[i].commit();
            return 0;
        }
    }
    return strcmp(arguments[1], "--list") == 0 ? 0 : 2;
}
