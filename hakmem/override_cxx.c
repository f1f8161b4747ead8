/* operator new and operator delete, by their mangled names, in C: the library needs no C++
 * runtime. Where one is there, its new-handler is honoured and std::bad_alloc is thrown, through
 * weak references, or by name where it came later, with a shared object of the program's. Without
 * one, a failing operator new returns NULL. */
#include "hakmem/override_cxx.h"

#include <dlfcn.h>

#include "hakmem/base/watch.h"
#include "hakmem/guarded.h"
#include "hakmem/hakmem.h"
#include "hakmem/hot_path.h"

#define EXPORT __attribute__((visibility("default")))

typedef void (*handler_fn)(void);
/* std::get_new_handler() and std::__throw_bad_alloc(). */
__attribute__((weak)) handler_fn _ZSt15get_new_handlerv(void);
__attribute__((weak)) void _ZSt17__throw_bad_allocv(void);

/* Not where the program is linked without it. */
__attribute__((weak)) void *dlopen(const char *name, int mode);
__attribute__((weak)) void *dlsym(void *library, const char *name);

struct runtime {
    handler_fn (*get_new_handler)(void);
    void (*throw_bad_alloc)(void);
};

/* Only those that asked for it see a runtime that came later: so it is asked for by its names. What
 * was found stays loaded. */
static HAK_COLD struct runtime find_late_runtime(void) {
    static const char *const NAMES[] = {"libstdc++.so.6", "libc++.so.1"};
    struct runtime found = {NULL, NULL};
    if (dlopen == NULL || dlsym == NULL) return found;
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]) && !found.throw_bad_alloc; i++) {
        void *library = dlopen(NAMES[i], RTLD_LAZY | RTLD_NOLOAD);
        if (library == NULL) continue;
        found.get_new_handler = (handler_fn(*)(void))dlsym(library, "_ZSt15get_new_handlerv");
        found.throw_bad_alloc = (void (*)(void))dlsym(library, "_ZSt17__throw_bad_allocv");
    }
    return found;
}

static HAK_COLD struct runtime find_runtime(void) {
    if (_ZSt17__throw_bad_allocv == NULL) return find_late_runtime();
    return (struct runtime){_ZSt15get_new_handlerv, _ZSt17__throw_bad_allocv};
}

void *hak_new_or_throw(size_t align, size_t size) {
    for (;;) {
        void *block = hak_aligned_slow(align, size);
        if (HAK_LIKELY(block != NULL)) return block;
        struct runtime runtime = find_runtime();
        handler_fn handler = runtime.get_new_handler ? runtime.get_new_handler() : NULL;
        if (handler == NULL) {
            if (runtime.throw_bad_alloc) runtime.throw_bad_alloc();
            return NULL;
        }
        handler();
    }
}

/* What a new-handler throws is caught by the runtime that was there at the start; without that one
 * no handler is called. */
static void *allocate_or_null(size_t align, size_t size) {
    if (_ZSt17__throw_bad_allocv) return hak_new_or_null(align, size);
    return hak_aligned_slow(align, size);
}

static HAK_NOINLINE void *allocate_or_handle(size_t align, size_t size, bool may_throw) {
    if (may_throw) return hak_new_or_throw(align, size);
    void *block = hak_aligned_slow(align, size);
    return block != NULL ? block : allocate_or_null(align, size);
}

static HAK_NOINLINE void *allocate_kind(size_t align, size_t size, bool may_throw,
                                        enum block_kind kind) {
    if (guard_is_on() && !watch_may_be_on()) {
        return hak_guarded_new(align, size, kind, may_throw ? hak_new_or_throw : allocate_or_null);
    }
    return allocate_or_handle(align, size, may_throw);
}

/* ---- Operators that the program has instead ------------------------------------------------- */

/* A program may replace some forms alone, and what the language makes of the others are calls of
 * those. NULL: it did not. Set before `main`. */
static struct {
    void *(*allocate)(size_t);
    void (*release)(void *);
    void (*release_array)(void *);
} replaced;

/* Under names that nobody else's stand before. */
extern void *own_new(size_t size) __attribute__((alias("_Znwm"), visibility("hidden")));
extern void own_delete(void *block) __attribute__((alias("_ZdlPv"), visibility("hidden")));
extern void own_delete_array(void *block) __attribute__((alias("_ZdaPv"), visibility("hidden")));

/* What others find by the name, where that is not `own`. */
static void *others(const char *name, void *own) {
    void *found = dlsym(RTLD_DEFAULT, name);
    return found == own ? NULL : found;
}

__attribute__((constructor)) static void find_replaced(void) {
    /* In a program of its own that exports nothing, what is found is what stands behind. */
    if (dlsym == NULL || dlsym(RTLD_DEFAULT, "hak_version") != (void *)hak_version) return;
    replaced.allocate = (void *(*)(size_t))others("_Znwm", (void *)own_new);
    replaced.release = (void (*)(void *))others("_ZdlPv", (void *)own_delete);
    replaced.release_array = (void (*)(void *))others("_ZdaPv", (void *)own_delete_array);
}

/* ---- The forms ------------------------------------------------------------------------------ */

HAK_INLINE void *allocate_block(size_t size, bool may_throw, enum block_kind kind) {
    void *block = hot_take(size);
    return HAK_LIKELY(block != NULL) ? block : allocate_kind(BLOCK_MIN, size, may_throw, kind);
}

static void *allocate_aligned(size_t size, size_t align, bool may_throw, enum block_kind kind) {
    void *block = is_power_of_two(align) ? hot_take_aligned(align, size) : NULL;
    if (HAK_LIKELY(block != NULL)) return block;
    return allocate_kind(align < BLOCK_MIN ? BLOCK_MIN : align, size, may_throw, kind);
}

#define NEW(name, kind)      \
    void *name(size_t size); \
    EXPORT void *name(size_t size) { return allocate_block(size, true, kind); }
#define NEW_ARRAY(name, kind)                                                        \
    void *name(size_t size);                                                         \
    EXPORT void *name(size_t size) {                                                 \
        if (HAK_UNLIKELY(replaced.allocate != NULL)) return replaced.allocate(size); \
        return allocate_block(size, true, kind);                                     \
    }
#define NEW_NOTHROW(name, kind)                               \
    void *name(size_t size, const void *tag);                 \
    EXPORT void *name(size_t size, const void *tag) {         \
        (void)tag;                                            \
        if (HAK_UNLIKELY(replaced.allocate != NULL)) {        \
            return hak_call_or_null(replaced.allocate, size); \
        }                                                     \
        return allocate_block(size, false, kind);             \
    }
#define NEW_ALIGNED(name, kind)                           \
    void *name(size_t size, size_t align);                \
    EXPORT void *name(size_t size, size_t align) {        \
        return allocate_aligned(size, align, true, kind); \
    }
#define NEW_ALIGNED_NOTHROW(name, kind)                             \
    void *name(size_t size, size_t align, const void *tag);         \
    EXPORT void *name(size_t size, size_t align, const void *tag) { \
        (void)tag;                                                  \
        return allocate_aligned(size, align, false, kind);          \
    }

NEW(_Znwm, KIND_NEW)
NEW_ARRAY(_Znam, KIND_NEW_ARRAY)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t, KIND_NEW)
NEW_NOTHROW(_ZnamRKSt9nothrow_t, KIND_NEW_ARRAY)
NEW_ALIGNED(_ZnwmSt11align_val_t, KIND_NEW)
NEW_ALIGNED(_ZnamSt11align_val_t, KIND_NEW_ARRAY)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t, KIND_NEW)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t, KIND_NEW_ARRAY)

static HAK_COLD void call_replaced(void *block, enum block_kind kind) {
    if (kind == KIND_NEW_ARRAY && replaced.release_array != NULL) {
        replaced.release_array(block);
    } else {
        replaced.release(block);
    }
}

/* To the program's operator delete, if there is one: an array's, else a single one's. */
HAK_INLINE bool was_passed_on(void *block, enum block_kind kind) {
    bool array = kind == KIND_NEW_ARRAY && replaced.release_array != NULL;
    if (HAK_LIKELY(replaced.release == NULL && !array)) return false;
    call_replaced(block, kind);
    return true;
}

/* The forms differ in what else they are told: size, alignment, the nothrow tag. Sizes and
 * alignments that cannot be the block's are mistakes. */
#define DELETE(name, kind)  \
    void name(void *block); \
    EXPORT void name(void *block) { hot_delete(block, kind, NO_SIZE); }
#define DELETE_ARRAY(name, kind)                                               \
    void name(void *block);                                                    \
    EXPORT void name(void *block) {                                            \
        if (!was_passed_on(block, KIND_NEW)) hot_delete(block, kind, NO_SIZE); \
    }
#define DELETE_NOTHROW(name, kind)                                         \
    void name(void *block, const void *tag);                               \
    EXPORT void name(void *block, const void *tag) {                       \
        (void)tag;                                                         \
        if (!was_passed_on(block, kind)) hot_delete(block, kind, NO_SIZE); \
    }
#define DELETE_SIZED(name, kind)                                              \
    void name(void *block, size_t size);                                      \
    EXPORT void name(void *block, size_t size) {                              \
        if (!was_passed_on(block, kind)) hot_delete_sized(block, size, kind); \
    }
#define DELETE_ALIGNED(name, kind)        \
    void name(void *block, size_t align); \
    EXPORT void name(void *block, size_t align) { hak_delete_aligned(block, align, kind); }
#define DELETE_ALIGNED_NOTHROW(name, kind)                         \
    void name(void *block, size_t align, const void *tag);         \
    EXPORT void name(void *block, size_t align, const void *tag) { \
        (void)tag;                                                 \
        hak_delete_aligned(block, align, kind);                    \
    }
#define DELETE_SIZED_ALIGNED(name, kind)                       \
    void name(void *block, size_t size, size_t align);         \
    EXPORT void name(void *block, size_t size, size_t align) { \
        hak_delete_aligned_sized(block, size, align, kind);    \
    }

DELETE(_ZdlPv, KIND_NEW)
DELETE_ARRAY(_ZdaPv, KIND_NEW_ARRAY)
DELETE_SIZED(_ZdlPvm, KIND_NEW)
DELETE_SIZED(_ZdaPvm, KIND_NEW_ARRAY)
DELETE_NOTHROW(_ZdlPvRKSt9nothrow_t, KIND_NEW)
DELETE_NOTHROW(_ZdaPvRKSt9nothrow_t, KIND_NEW_ARRAY)
DELETE_ALIGNED(_ZdlPvSt11align_val_t, KIND_NEW)
DELETE_ALIGNED(_ZdaPvSt11align_val_t, KIND_NEW_ARRAY)
DELETE_ALIGNED_NOTHROW(_ZdlPvSt11align_val_tRKSt9nothrow_t, KIND_NEW)
DELETE_ALIGNED_NOTHROW(_ZdaPvSt11align_val_tRKSt9nothrow_t, KIND_NEW_ARRAY)
DELETE_SIZED_ALIGNED(_ZdlPvmSt11align_val_t, KIND_NEW)
DELETE_SIZED_ALIGNED(_ZdaPvmSt11align_val_t, KIND_NEW_ARRAY)
