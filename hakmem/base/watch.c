#include "hakmem/base/watch.h"

#include "hakmem/base/memcheck.h"

#ifdef HAK_ASAN
#include <sanitizer/asan_interface.h>
#endif

uint32_t hak_watch = WATCH_UNREAD;

#ifdef HAK_ASAN

/* The shadow takes an eighth of what it says: of more than this, only the beginning is hidden. */
#define HIDDEN_MAX ((size_t)256 << 20)

static size_t bounded(size_t bytes) { return bytes > HIDDEN_MAX ? HIDDEN_MAX : bytes; }

static bool tool_is_there(void) { return true; }

void hak_watch_hide(const void *from, size_t bytes) {
    __asan_poison_memory_region(from, bounded(bytes));
}

void hak_watch_show(const void *from, size_t bytes) {
    __asan_unpoison_memory_region(from, bounded(bytes));
}

/* Not all of it: nothing was ever hidden further on. */
void hak_watch_forget(const void *from, size_t bytes) {
    __asan_unpoison_memory_region(from, bounded(bytes));
}

void hak_watch_blur(const void *from, size_t bytes, bool blurred) {
    (void)from;
    (void)bytes;
    (void)blurred;
}

void hak_watch_silence(bool silent) { (void)silent; }

void hak_watch_goes_out(void *block, size_t bytes, size_t room, bool zero) {
    (void)zero;
    hak_watch_show(block, bytes);
    if (room <= HIDDEN_MAX) hak_watch_hide((char *)block + bytes, room - bytes);
}

void hak_watch_comes_back(void *block) { (void)block; }

size_t hak_watch_shown(const void *from, size_t bytes) {
    const char *hidden = __asan_region_is_poisoned((void *)(uintptr_t)from, bytes);
    return hidden == NULL ? bytes : (size_t)(hidden - (const char *)from);
}

#else

static void tell(enum memcheck_request request, const void *from, size_t bytes) {
    memcheck_ask(request, (uintptr_t)from, bytes, 0, 0);
}

static bool tool_is_there(void) {
    uint8_t byte = 0, bits = 0;
    return memcheck_ask(MEMCHECK_GET_BITS, (uintptr_t)&byte, (uintptr_t)&bits, 1, 0) == 1;
}

void hak_watch_hide(const void *from, size_t bytes) { tell(MEMCHECK_NOACCESS, from, bytes); }

void hak_watch_show(const void *from, size_t bytes) { tell(MEMCHECK_UNDEFINED, from, bytes); }

/* Valgrind sees each munmap. */
void hak_watch_forget(const void *from, size_t bytes) {
    (void)from;
    (void)bytes;
}

void hak_watch_blur(const void *from, size_t bytes, bool blurred) {
    tell(blurred ? MEMCHECK_UNDEFINED : MEMCHECK_DEFINED, from, bytes);
}

void hak_watch_silence(bool silent) {
    memcheck_ask(MEMCHECK_SILENCE, silent ? 1 : (uintptr_t)-1, 0, 0, 0);
}

void hak_watch_goes_out(void *block, size_t bytes, size_t room, bool zero) {
    memcheck_ask(MEMCHECK_MALLOCLIKE, (uintptr_t)block, bytes, 0, zero);
    tell(MEMCHECK_NOACCESS, (char *)block + bytes, room - bytes);
}

void hak_watch_comes_back(void *block) {
    memcheck_ask(MEMCHECK_FREELIKE, (uintptr_t)block, 0, 0, 0);
}

size_t hak_watch_shown(const void *from, size_t bytes) {
    hak_watch_silence(true);
    uintptr_t hidden = memcheck_ask(MEMCHECK_ADDRESSABLE, (uintptr_t)from, bytes, 0, 0);
    hak_watch_silence(false);
    return hidden == 0 ? bytes : hidden - (uintptr_t)from;
}

#endif

static void become(enum watch watch) {
    __atomic_store_n(&hak_watch, (uint32_t)watch, __ATOMIC_RELAXED);
}

/* Several threads may find out at once: they find the same. */
bool hak_watch_find(void) {
    uint32_t watch = __atomic_load_n(&hak_watch, __ATOMIC_RELAXED);
    if (watch == WATCH_UNREAD) become(tool_is_there() ? WATCH_ON : WATCH_OFF);
    return __atomic_load_n(&hak_watch, __ATOMIC_RELAXED) == WATCH_ON;
}

void hak_watch_never(void) { become(WATCH_OFF); }
