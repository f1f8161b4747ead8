/* Prints what each option is, as read at the start: once that this process has more rights than its
 * caller, or has not. With FAKE_SECURE it says of itself that it has. */
#include <stdio.h>
#include <sys/auxv.h>

#include "hakmem/config/options.h"
#include "hakmem/hakmem.h"

#ifdef FAKE_SECURE
/* In place of the C library's, for all that is linked in here. */
unsigned long getauxval(unsigned long type) { return type == AT_SECURE; }
#endif

int main(void) {
    hak_free(hak_malloc(100));
    fprintf(stdout, "secure %lu\n", getauxval(AT_SECURE));
    fflush(stdout);
    hak_options_print(1);
    return 0;
}
