/* Addresses that are no block of the allocator's, nor inside one. */
#define _GNU_SOURCE
#include <malloc.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hakmem/misuse_test/cases.h"

enum { PAGE_BYTES = 4096 };

static char global[PAGE_BYTES] __attribute__((aligned(64)));
static __thread char local_to_thread[64] __attribute__((aligned(64)));
static const char constant[64] __attribute__((aligned(64))) = "constant";

static void stack(void) {
    char local[256] __attribute__((aligned(64)));
    memset(local, 1, sizeof local);
    free_hidden(local);
}

static void of_global(void) { free_hidden(global); }
static void of_constant(void) { free_hidden((void *)(uintptr_t)constant); }
static void of_thread_local(void) { free_hidden(local_to_thread); }
static void code(void) { free_hidden((void *)(uintptr_t)code); }
static void environment(void) { free_hidden(environ[0]); }
static void null_plus_1(void) { free_hidden((void *)1); }
static void null_plus_16(void) { free_hidden((void *)16); }
static void kernel_half(void) { free_hidden((void *)0xffffffff81000000u); }
static void lowest_kernel(void) { free_hidden((void *)0xffff800000000000u); }
static void non_canonical(void) { free_hidden((void *)0x123456789abcde0u); }
static void first_non_canonical(void) { free_hidden((void *)0x800000000000u); }
static void highest_user(void) { free_hidden((void *)0x7fffffffffe0u); }
static void all_ones(void) { free_hidden((void *)UINTPTR_MAX); }

static char *map(size_t bytes) {
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) exit(CANNOT);
    return pages;
}

static void unmapped(void) {
    char *pages = map(4 * PAGE_BYTES);
    munmap(pages, 4 * PAGE_BYTES);
    free_hidden(pages + PAGE_BYTES);
}

static void foreign_mapping(void) { free_hidden(map(4 * PAGE_BYTES)); }

static void foreign_superslab_sized(void) {
    uintptr_t pages = (uintptr_t)map((size_t)8 << 20);
    free_hidden((void *)((pages + (2 << 20)) & ~(uintptr_t)((2 << 20) - 1)));
}

static void realloc_of_global(void) {
    hidden = global;
    hidden = realloc(hidden, 200);
}

static void realloc_to_nothing_of_global(void) {
    hidden = global;
    hidden = realloc(hidden, 0);
}

static void realloc_of_kernel_half(void) {
    hidden = (void *)0xffffffff81000000u;
    hidden = realloc(hidden, 200);
}

static void usable_size_of_global(void) {
    hidden = global + SMALL;
    hidden = (void *)malloc_usable_size(hidden);
}

static void usable_size_of_null_plus_1(void) {
    hidden = (void *)1;
    hidden = (void *)malloc_usable_size(hidden);
}

#define FREED "invalid free: " IN_NONE ADVICE_FOREIGN
#define RESIZED "invalid realloc: " IN_NONE ADVICE_FOREIGN
#define ASKED "invalid usable_size: " IN_NONE ADVICE_FOREIGN

const struct misuse addresses[] = {
    {"free_of_stack", stack, FREED},
    {"free_of_global", of_global, FREED},
    {"free_of_constant", of_constant, FREED},
    {"free_of_thread_local", of_thread_local, FREED},
    {"free_of_code", code, FREED},
    {"free_of_environment", environment, FREED},
    {"free_of_null_plus_1", null_plus_1, FREED},
    {"free_of_null_plus_16", null_plus_16, FREED},
    {"free_of_kernel_half", kernel_half, FREED},
    {"free_of_lowest_kernel_address", lowest_kernel, FREED},
    {"free_of_non_canonical", non_canonical, FREED},
    {"free_of_first_non_canonical", first_non_canonical, FREED},
    {"free_of_highest_user_address", highest_user, FREED},
    {"free_of_all_ones", all_ones, FREED},
    {"free_of_unmapped", unmapped, FREED},
    {"free_of_foreign_mapping", foreign_mapping, FREED},
    {"free_of_foreign_superslab_sized_mapping", foreign_superslab_sized, FREED},
    {"realloc_of_global", realloc_of_global, RESIZED},
    {"realloc_to_0_of_global", realloc_to_nothing_of_global, RESIZED},
    {"realloc_of_kernel_half", realloc_of_kernel_half, RESIZED},
    {"usable_size_of_global", usable_size_of_global, ASKED},
    {"usable_size_of_null_plus_1", usable_size_of_null_plus_1, ASKED},
    {0},
};
