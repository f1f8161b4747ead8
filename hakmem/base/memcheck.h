/* Asks Valgrind's memcheck. A request is a run of instructions that do nothing on a processor and
 * that Valgrind, which translates each program that it runs, takes for a call: rotations by a full
 * turn in all, then an exchange of a register with itself. The instructions, where the arguments
 * and the answer lie, and the numbers are a fixed interface, in Valgrind's valgrind.h (BSD licence;
 * see VALGRIND_DO_CLIENT_REQUEST_EXPR) and memcheck.h. Written out here, so that neither the build
 * nor the program needs Valgrind. Elsewhere than on x86-64 and aarch64 nobody answers. */
#ifndef HAKMEM_BASE_MEMCHECK_H_
#define HAKMEM_BASE_MEMCHECK_H_

#include "hakmem/base/base.h"

enum memcheck_request {
    MEMCHECK_MALLOCLIKE = 0x1301, /* block, bytes, redzone, known to be zero */
    MEMCHECK_FREELIKE = 0x1302,   /* block, redzone */
    MEMCHECK_SILENCE = 0x1801,    /* 1: this thread's errors are not reported; -1: they are again */
    MEMCHECK_TOOL = 'M' << 24 | 'C' << 16,
    MEMCHECK_NOACCESS = MEMCHECK_TOOL, /* address, bytes; the next two as well */
    MEMCHECK_UNDEFINED,
    MEMCHECK_DEFINED,
    MEMCHECK_ADDRESSABLE = MEMCHECK_TOOL + 4, /* address, bytes: the first that is not; or 0 */
    MEMCHECK_GET_BITS = MEMCHECK_TOOL + 8,    /* address, out, bytes: 1, if memcheck is there */
};

/* The answer; 0 without Valgrind, and from tools that do not know the request. */
HAK_INLINE uintptr_t memcheck_ask(enum memcheck_request request, uintptr_t a, uintptr_t b,
                                  uintptr_t c, uintptr_t d) {
    volatile uintptr_t arguments[6] = {(uintptr_t)request, a, b, c, d, 0};
#if defined(__x86_64__)
    uintptr_t answer = 0;
    __asm__ volatile("rolq $3, %%rdi\n\t"
                     "rolq $13, %%rdi\n\t"
                     "rolq $61, %%rdi\n\t"
                     "rolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(answer)
                     : "a"(arguments)
                     : "cc", "memory");
    return answer;
#elif defined(__aarch64__)
    register uintptr_t answer __asm__("x3") = 0;
    register volatile uintptr_t *at __asm__("x4") = arguments;
    __asm__ volatile("ror x12, x12, #3\n\t"
                     "ror x12, x12, #13\n\t"
                     "ror x12, x12, #51\n\t"
                     "ror x12, x12, #61\n\t"
                     "orr x10, x10, x10"
                     : "+r"(answer)
                     : "r"(at)
                     : "cc", "memory");
    return answer;
#else
    (void)arguments;
    return 0;
#endif
}

#endif
