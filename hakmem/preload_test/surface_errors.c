/* How requests that cannot be met are refused, what errno says, and the calls that report on
 * the heap: mallopt, mallinfo, malloc_info, malloc_trim. Runs preloaded and linked statically. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hakmem/preload_test/check.h"

/* mallinfo is deprecated and still ours to answer. */
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define MIB ((size_t)1 << 20)

void free_sized(void *block, size_t size) __attribute__((weak));
void free_aligned_sized(void *block, size_t alignment, size_t size) __attribute__((weak));
void cfree(void *block) __attribute__((weak));

/* EXPRESSION gives NULL and sets errno to CODE. */
#define CHECK_REFUSED(expression, code)                                                       \
    do {                                                                                      \
        errno = 0;                                                                            \
        void *refused = (expression);                                                         \
        int got = errno;                                                                      \
        CHECK_WITH(refused == NULL && got == (code), "%s: %p errno %d", #expression, refused, \
                   got);                                                                      \
    } while (0)

static void too_large_is_refused(void) {
    static volatile size_t sizes[] = {(size_t)PTRDIFF_MAX + 1, SIZE_MAX,         SIZE_MAX - 15,
                                      SIZE_MAX - 4095,         SIZE_MAX / 2 + 2, PTRDIFF_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i];
        void *untouched = &size;
        CHECK_REFUSED(malloc(size), ENOMEM);
        CHECK_REFUSED(calloc(1, size), ENOMEM);
        CHECK_REFUSED(calloc(size, 1), ENOMEM);
        CHECK_REFUSED(realloc(NULL, size), ENOMEM);
        CHECK_REFUSED(memalign(64, size), ENOMEM);
        CHECK_REFUSED(aligned_alloc(4096, size), ENOMEM);
        CHECK_REFUSED(valloc(size), ENOMEM);
        CHECK_REFUSED(pvalloc(size), ENOMEM);
        errno = 77;
        CHECK(posix_memalign(&untouched, 64, size) == ENOMEM);
        CHECK(untouched == &size && errno == 77);
    }
}

static void products_that_overflow_are_refused(void) {
    volatile size_t half = (size_t)1 << 32;
    volatile size_t most = SIZE_MAX;
    void *volatile block = malloc(50); /* volatile: gcc takes a refused block for a freed one */
    memset(block, 0x42, 50);
    CHECK_REFUSED(calloc(half, half), ENOMEM);
    CHECK_REFUSED(calloc(most, 2), ENOMEM);
    CHECK_REFUSED(calloc(2, most / 2 + 2), ENOMEM);
    CHECK_REFUSED(reallocarray(NULL, half, half), ENOMEM);
    CHECK_REFUSED(reallocarray(block, half, half + 1), ENOMEM);
    CHECK_REFUSED(reallocarray(block, most / 8 + 1, 16), ENOMEM);
    CHECK(((char *)block)[0] == 0x42 && ((char *)block)[49] == 0x42);
    block = reallocarray(block, 10, 20);
    CHECK(block != NULL && malloc_usable_size(block) >= 200 && ((char *)block)[49] == 0x42);
    free(block);
}

static void failed_realloc_leaves_the_block(void) {
    static const size_t sizes[] = {1, 100, 5000, 100000, 3000000};
    volatile size_t huge = PTRDIFF_MAX;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *block = malloc(sizes[i]);
        memset(block, 0x5a, sizes[i]);
        CHECK_REFUSED(realloc(block, huge), ENOMEM);
        CHECK_REFUSED(realloc(block, huge - 100000), ENOMEM);
        CHECK_REFUSED(realloc(block, huge + 1), ENOMEM);
        CHECK_REFUSED(realloc(block, (size_t)1 << 55), ENOMEM);
        CHECK(block[0] == 0x5a && block[sizes[i] - 1] == 0x5a);
        CHECK(malloc_usable_size(block) >= sizes[i]);
        free(block);
    }
}

static void realloc_to_zero_frees(void) {
    volatile size_t zero = 0;
    for (int i = 0; i < 10000; i++) {
        void *block = malloc(5000);
        errno = 0;
        CHECK(realloc(block, zero) == NULL && errno == 0);
    }
    void *block = realloc(NULL, zero);
    CHECK(block != NULL);
    free(block);
}

/* An old function, and what its callers are used to. */
static void memalign_rounds_alignments_up(void) {
    static volatile size_t odd[][2] = {{0, 16}, {3, 16}, {24, 32}, {100, 128}, {4097, 8192}};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        void *block = memalign(odd[i][0], 100);
        CHECK(block != NULL && (uintptr_t)block % odd[i][1] == 0);
        free(block);
    }
}

static void bad_alignments_are_refused(void) {
    static volatile size_t bad[] = {3, 24, 48, 100, 4097, SIZE_MAX, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        void *untouched = &i;
        CHECK_REFUSED(aligned_alloc(bad[i], 100), EINVAL);
        errno = 77;
        CHECK(posix_memalign(&untouched, bad[i], 100) == EINVAL);
        CHECK(untouched == &i && errno == 77);
    }
    CHECK_REFUSED(memalign(SIZE_MAX, 100), EINVAL);
    CHECK_REFUSED(memalign(SIZE_MAX / 2 + 2, 100), EINVAL);
    CHECK_REFUSED(memalign(SIZE_MAX / 2, 100), ENOMEM);
    static volatile size_t too_small[] = {0, 1, 2, 4};
    for (size_t i = 0; i < sizeof too_small / sizeof too_small[0]; i++) {
        void *untouched = &i;
        CHECK(posix_memalign(&untouched, too_small[i], 100) == EINVAL && untouched == &i);
    }
    volatile size_t largest = SIZE_MAX / 2 + 1;
    CHECK_REFUSED(memalign(largest, 100), ENOMEM);
    CHECK_REFUSED(aligned_alloc(largest / 2, 100), ENOMEM);
}

static void free_keeps_errno(void) {
    enum { COUNT = 2000 };
    static void *blocks[COUNT];
    static const size_t sizes[] = {0, 10, 100, 1000, 20000, 100000, 3000000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        size_t count = sizes[s] > 20000 ? 20 : COUNT;
        for (size_t i = 0; i < count; i++) {
            blocks[i] = malloc(sizes[s]);
        }
        errno = 1234;
        for (size_t i = 0; i < count; i++) {
            free(blocks[i]);
        }
        CHECK_WITH(errno == 1234, "size %zu", sizes[s]);
    }
    errno = 1234;
    free(NULL);
    CHECK(errno == 1234);
}

static void c23_frees(void) {
    CHECK(free_sized != NULL && free_aligned_sized != NULL && cfree != NULL);
    if (free_sized == NULL || free_aligned_sized == NULL || cfree == NULL) {
        return;
    }
    for (size_t size = 0; size < 300000; size = size * 3 / 2 + 1) {
        free_sized(malloc(size), size);
        free_aligned_sized(aligned_alloc(256, size), 256, size);
        cfree(calloc(size, 1));
    }
    free_sized(NULL, 10);
    free_aligned_sized(NULL, 64, 10);
    cfree(NULL);
    CHECK(malloc_usable_size(NULL) == 0);
}

static void mallopt_refuses_the_unknown(void) {
    CHECK(mallopt(12345, 1) == 0);
    CHECK(mallopt(-12345, 1) == 0);
}

static void malloc_info_prints_xml(void) {
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    CHECK(malloc_info(0, stream) == 0);
    fclose(stream);
    CHECK_WITH(length > 0 && text[0] == '<' && strstr(text, "<malloc") != NULL &&
                   strstr(text, "</malloc>") != NULL,
               "printed: %.200s", text);
    free(text);
    errno = 0;
    int result = malloc_info(1, stdout);
    CHECK_WITH(result == EINVAL || (result == -1 && errno == EINVAL), "%d errno %d", result, errno);
}

/* uordblks may count what a size is rounded up to, and the libc's own blocks. */
static void mallinfo_counts_what_is_in_use(void) {
    enum { COUNT = 20000 };
    static void *blocks[COUNT];
    static const size_t sizes[] = {100, 1000, 5000, 100000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        size_t count = sizes[s] == 100000 ? 1000 : COUNT;
        size_t asked = sizes[s] * count;
        size_t before = mallinfo2().uordblks;
        for (size_t i = 0; i < count; i++) {
            blocks[i] = malloc(sizes[s]);
        }
        size_t during = mallinfo2().uordblks;
        size_t narrow = (size_t)(mallinfo)().uordblks;
        CHECK_WITH(narrow == during, "mallinfo %zu mallinfo2 %zu", narrow, during);
        for (size_t i = 0; i < count; i++) {
            free(blocks[i]);
        }
        size_t after = mallinfo2().uordblks;
        CHECK_WITH(during - before >= asked && during - before <= asked + asked / 3 + MIB,
                   "asked %zu: %zu, then %zu", asked, before, during);
        CHECK_WITH(after < before + asked / 100 + 65536, "size %zu: %zu before, %zu after",
                   sizes[s], before, after);
    }
}

static void trim_says_whether_it_gave_anything_back(void) {
    enum { COUNT = 200 };
    static void *blocks[COUNT];
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = malloc(30000);
        memset(blocks[i], 1, 30000);
    }
    for (int i = 0; i < COUNT; i++) {
        free(blocks[i]);
    }
    int first = malloc_trim(0);
    int again = malloc_trim(0);
    CHECK_WITH(first == 0 || first == 1, "%d", first);
    CHECK_WITH(again == 0 || again == 1, "%d", again);
    void *block = malloc(30000);
    memset(block, 2, 30000);
    free(block);
}

int main(void) {
    check_group("too_large_is_refused", too_large_is_refused);
    check_group("products_that_overflow_are_refused", products_that_overflow_are_refused);
    check_group("failed_realloc_leaves_the_block", failed_realloc_leaves_the_block);
    check_group("realloc_to_zero_frees", realloc_to_zero_frees);
    check_group("memalign_rounds_alignments_up", memalign_rounds_alignments_up);
    check_group("bad_alignments_are_refused", bad_alignments_are_refused);
    check_group("free_keeps_errno", free_keeps_errno);
    check_group("c23_frees", c23_frees);
    check_group("mallopt_refuses_the_unknown", mallopt_refuses_the_unknown);
    check_group("malloc_info_prints_xml", malloc_info_prints_xml);
    check_group("mallinfo_counts_what_is_in_use", mallinfo_counts_what_is_in_use);
    check_group("trim_says_whether_it_gave_anything_back", trim_says_whether_it_gave_anything_back);
    return check_exit_code();
}
