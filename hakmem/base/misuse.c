#include "hakmem/base/misuse.h"

#include <stdlib.h>
#include <unistd.h>

#include "hakmem/base/text.h"

void hak_misuse(const char *what, const void *block, size_t block_bytes, const char *advice) {
    struct text t = {.length = 0};
    hak_text_string(&t, "hakmem: ");
    hak_text_string(&t, what);
    hak_text_string(&t, ": ");
    if (block_bytes != 0) {
        hak_text_string(&t, "block ");
        hak_text_hex(&t, (uintptr_t)block);
        hak_text_string(&t, " (size class ");
        hak_text_decimal(&t, block_bytes);
        hak_text_string(&t, " bytes)");
    } else {
        hak_text_string(&t, "address ");
        hak_text_hex(&t, (uintptr_t)block);
        hak_text_string(&t, " (in no size class)");
    }
    hak_text_string(&t, "; ");
    hak_text_string(&t, advice);
    hak_text_string(&t, "\n");
    hak_text_write(&t, STDERR_FILENO);
    abort();
}
