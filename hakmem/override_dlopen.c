/* dlopen, in libhakmem.so alone: without RTLD_DEEPBIND. A shared object that is opened with it
 * finds the C library's malloc and free before those of the program, and then each of the two
 * allocators gets the other's blocks. PHP opens all of its extensions so. */
#include <dlfcn.h>
#include <stddef.h>

#include "hakmem/base/atomic.h"
#include "hakmem/config/options.h"

#define EXPORT __attribute__((visibility("default")))

typedef void *open_shared(const char *path, int mode);

EXPORT void *dlopen(const char *path, int mode) {
    static open_shared *next;
    open_shared *c_library = load_relaxed(&next); /* any thread finds the same */
    if (c_library == NULL) {
        c_library = (open_shared *)dlsym(RTLD_NEXT, "dlopen");
        if (c_library == NULL) return NULL;
        store_relaxed(&next, c_library);
    }
    if (hak_options.deepbind == 0) mode &= ~RTLD_DEEPBIND;
    /* By a jump, not a call: the C library asks who its caller is, whose RUNPATH counts. */
    return c_library(path, mode);
}
