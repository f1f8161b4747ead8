/* Every malloc symbol that a Linux drop-in owns, in one object: a static link takes all or none.
 * The C++ operators are in override_cxx.c. */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hakmem/base/watch.h"
#include "hakmem/hakmem.h"
#include "hakmem/hot_path.h"
#include "hakmem/os_backend/os_backend.h"

#define EXPORT __attribute__((visibility("default")))
/* Valgrind puts functions of its own in the place of those that it knows by name, not of others.
 * So the others call these by name, or blocks of two allocators would meet. */
#define EXPORT_BY_NAME EXPORT HAK_NOINLINE

EXPORT_BY_NAME void *malloc(size_t size) { return hot_malloc(size); }
EXPORT_BY_NAME void free(void *block) { hot_free(block); }
EXPORT_BY_NAME void *calloc(size_t count, size_t size) { return hak_calloc(count, size); }
EXPORT_BY_NAME void *realloc(void *block, size_t size) { return hak_realloc(block, size); }

EXPORT void *reallocarray(void *block, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    return hak_aligned_alloc(alignment, size);
}

/* As the C library's: an alignment is rounded up to a power of two. */
EXPORT_BY_NAME void *memalign(size_t alignment, size_t size) {
    size_t power = BLOCK_MIN;
    while (power != 0 && power < alignment) power *= 2; /* 0: beyond the greatest; EINVAL */
    return hak_aligned_alloc(power, size);
}

EXPORT_BY_NAME int posix_memalign(void **out, size_t alignment, size_t size) {
    return hak_posix_memalign(out, alignment, size);
}

EXPORT_BY_NAME void *valloc(size_t size) { return hak_aligned_alloc(hak_os_page_bytes(), size); }

EXPORT void *pvalloc(size_t size) {
    size_t page = hak_os_page_bytes();
    if (size > PTRDIFF_MAX) size = PTRDIFF_MAX;
    return memalign(page, size == 0 ? page : align_up(size, page));
}

EXPORT size_t malloc_usable_size(void *block) { return hak_usable_size(block); }

void cfree(void *block);
void free_sized(void *block, size_t size);
void free_aligned_sized(void *block, size_t alignment, size_t size);
EXPORT void cfree(void *block) { hot_free(block); }

/* Under Valgrind, a block that its malloc made. */
static bool is_foreign(void *block) { return watch_may_be_on() && registry_word(block) == 0; }

EXPORT void free_sized(void *block, size_t size) {
    if (is_foreign(block)) {
        free(block);
    } else {
        hak_free_sized(block, size);
    }
}

EXPORT void free_aligned_sized(void *block, size_t alignment, size_t size) {
    if (is_foreign(block)) {
        free(block);
    } else {
        hak_free_aligned_sized(block, alignment, size);
    }
}

/* ---- Names that older programs and the C library itself use --------------------------------- */

void *__libc_malloc(size_t size);
void __libc_free(void *block);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *__libc_valloc(size_t size);
void *__libc_pvalloc(size_t size);
int __posix_memalign(void **out, size_t alignment, size_t size);

EXPORT void *__libc_malloc(size_t size) { return malloc(size); }
EXPORT void __libc_free(void *block) { free(block); }
EXPORT void *__libc_calloc(size_t count, size_t size) { return calloc(count, size); }
EXPORT void *__libc_realloc(void *block, size_t size) { return realloc(block, size); }
EXPORT void *__libc_memalign(size_t alignment, size_t size) { return memalign(alignment, size); }
EXPORT void *__libc_valloc(size_t size) { return valloc(size); }
EXPORT void *__libc_pvalloc(size_t size) { return pvalloc(size); }

EXPORT int __posix_memalign(void **out, size_t alignment, size_t size) {
    return posix_memalign(out, alignment, size);
}

/* ---- Asking and steering -------------------------------------------------------------------- */

EXPORT int malloc_trim(size_t pad) { return hak_trim(pad); }

static struct hak_stats stats_now(void) {
    struct hak_stats s;
    memset(&s, 0, sizeof(s));
    s.size = sizeof(s);
    hak_stats_get(&s);
    return s;
}

EXPORT struct mallinfo2 mallinfo2(void) {
    struct hak_stats s = stats_now();
    struct mallinfo2 info;
    memset(&info, 0, sizeof(info));
    info.arena = s.mapped_bytes - s.large_bytes - s.large_cached_bytes;
    info.ordblks = s.superslabs;
    info.hblkhd = s.large_bytes;
    info.uordblks = s.live_bytes;
    info.fordblks = s.free_bytes + s.front_bytes + s.transfer_bytes + s.resident_free_bytes;
    info.keepcost = s.resident_free_bytes;
    return info;
}

static int as_int(size_t n) { return n > INT32_MAX ? INT32_MAX : (int)n; }

/* The fields are int: what does not fit reads as INT_MAX. */
EXPORT struct mallinfo mallinfo(void) {
    struct mallinfo2 wide = mallinfo2();
    struct mallinfo info;
    memset(&info, 0, sizeof(info));
    info.arena = as_int(wide.arena);
    info.ordblks = as_int(wide.ordblks);
    info.hblkhd = as_int(wide.hblkhd);
    info.uordblks = as_int(wide.uordblks);
    info.fordblks = as_int(wide.fordblks);
    info.keepcost = as_int(wide.keepcost);
    return info;
}

/* Parameters of the C library's allocator that have no counterpart here are accepted and have no
 * effect; unknown ones are refused. */
EXPORT int mallopt(int parameter, int value) {
    (void)value;
    switch (parameter) {
    case M_MXFAST:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
        return 1;
    default:
        return 0;
    }
}

EXPORT void malloc_stats(void) { hak_stats_print(2); }

EXPORT int malloc_info(int options, FILE *stream) {
    if (options != 0) return EINVAL;
    struct hak_stats s = stats_now();
    fprintf(stream,
            "<malloc version=\"hakmem-1\">\n"
            "<total type=\"live\" size=\"%zu\"/>\n"
            "<total type=\"free\" size=\"%zu\"/>\n"
            "<total type=\"mmap\" size=\"%zu\"/>\n"
            "<system type=\"current\" size=\"%zu\"/>\n"
            "<metadata size=\"%zu\"/>\n"
            "</malloc>\n",
            (size_t)s.live_bytes, (size_t)(s.free_bytes + s.resident_free_bytes),
            (size_t)s.large_bytes, (size_t)s.mapped_bytes, (size_t)s.metadata_bytes);
    return 0;
}
