/* The one way in which a mistake of the program is reported: one line on stderr, the program's own
 * handler, then SIGABRT; or, by the policy, the call goes on as if it had not been made. */
#ifndef HAKMEM_BASE_MISUSE_H_
#define HAKMEM_BASE_MISUSE_H_

#include "hakmem/base/base.h"
#include "hakmem/hakmem.h"

/* Completes what is known of error->address: block, block_bytes, size_class, owner. Takes no lock
 * and allocates nothing. */
typedef void (*misuse_describe_fn)(struct hak_error *error);

#ifdef __cplusplus
extern "C" {
#endif
/* What follows a report; set once at start. `describe`: NULL leaves it at what the layer that
 * reports knows. `report`: hak_misuse returns. `json`: the line is a JSON object. */
void hak_misuse_set_policy(misuse_describe_fn describe, bool report, bool json);
/* The program's handler; NULL: none. Returns the one before. */
hak_error_handler hak_misuse_set_handler(hak_error_handler handler);

/* Reports: "hakmem: WHAT: block ADDRESS (size class BYTES bytes, owner: OWNER); ADVICE". Aborts
 * unless the policy is to report: then the caller undoes what the program asked for. `block_bytes`
 * is the size of the block's class as far as the caller knows; 0: none. Async-signal-safe, but for
 * the program's handler. */
void hak_misuse(enum hak_error_kind kind, const char *what, const void *address, size_t block_bytes,
                const char *advice) __attribute__((cold));
#ifdef __cplusplus
}
#endif

#define ADVICE_DOUBLE_FREE "the block was freed before; look for two owners of one pointer"
#define ADVICE_INTERIOR "the address is not the start of a block; free what malloc returned"
#define ADVICE_CORRUPTED "a block was written to after it was freed; run with a sanitizer"
#define ADVICE_FOREIGN "hakmem did not give this address out, or took it back"

#endif
