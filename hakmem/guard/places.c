#include "hakmem/guard/places.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Callers' frames lie above, and not farther than this from one another. */
#define FRAME_MOST ((uintptr_t)1 << 20)
/* As far as what can be read goes, at the least. */
#define PAGE_LEAST ((uintptr_t)4096)

/* The kernel reads a signal set before it looks at what is to be done with it, which is nothing. */
static bool can_read(uintptr_t address) {
    int saved = errno;
    long result = syscall(SYS_rt_sigprocmask, -1, address, NULL, 8);
    bool readable = result == 0 || errno != EFAULT;
    errno = saved;
    return readable;
}

void hak_places_find(struct places *out, const void *return_address, const void *frame) {
    memset(out, 0, sizeof(*out));
    out->at[0] = return_address;
    uintptr_t here = (uintptr_t)frame, known = here / PAGE_LEAST;
    for (unsigned i = 1; i < PLACES; i++) {
        /* A frame: the caller's frame, then the address that it returns to. */
        uintptr_t next = *(const uintptr_t *)here;
        if (next <= here || next - here > FRAME_MOST || next % sizeof(next) != 0) return;
        for (unsigned word = 0; word < 2; word++) {
            uintptr_t page = (next + word * sizeof(next)) / PAGE_LEAST;
            if (page != known && !can_read(next + word * sizeof(next))) return;
            known = page;
        }
        const void *returns_to = ((const void *const *)next)[1];
        if ((uintptr_t)returns_to < PAGE_LEAST) return;
        out->at[i] = returns_to;
        here = next;
    }
}
