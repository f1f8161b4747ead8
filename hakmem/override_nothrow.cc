// The nothrow forms of operator new must catch what a new-handler throws: the one thing that C
// cannot say. The runtime's parts are weak, so that nothing beyond the C library is needed; this
// function is called only where they are there.
#include "hakmem/override_cxx.h"

__asm__(".weak __gxx_personality_v0\n"
        ".weak __cxa_begin_catch\n"
        ".weak __cxa_end_catch\n"
        ".weak _Unwind_Resume\n");

void *hak_call_or_null(void *(*allocate)(size_t), size_t size) {
    try {
        return allocate(size);
    } catch (...) {
        return nullptr;
    }
}

void *hak_new_or_null(size_t align, size_t size) {
    try {
        return hak_new_or_throw(align, size);
    } catch (...) {
        return nullptr;
    }
}
