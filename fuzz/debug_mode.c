/* Linked into a target, runs it in debug mode: before hakmem reads its options. */
#include <stdlib.h>

__attribute__((constructor(101))) static void choose_mode(void) {
    setenv("HAKMEM_MODE", "debug", 1);
    setenv("HAKMEM_QUARANTINE_KB", "256", 1);
}
