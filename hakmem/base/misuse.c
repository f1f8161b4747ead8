#include "hakmem/base/misuse.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "hakmem/base/atomic.h"
#include "hakmem/base/module.h"
#include "hakmem/base/text.h"

/* Of each string, bytes: the longest advice fits; a program's name may be cut. */
#define NAME_SHOWN 100

static misuse_describe_fn describe;
static bool goes_on, as_json;
static hak_error_handler handler;
/* A handler's own mistake is not told to it. */
static __thread bool in_handler;

void hak_misuse_set_policy(misuse_describe_fn fn, bool report, bool json) {
    describe = fn;
    goes_on = report;
    as_json = json;
}

hak_error_handler hak_misuse_set_handler(hak_error_handler fn) {
    return exchange_acq_rel(&handler, fn);
}

static const char *const KINDS[] = {
    [HAK_ERROR_DOUBLE_FREE] = "double_free",
    [HAK_ERROR_INVALID_FREE] = "invalid_free",
    [HAK_ERROR_INVALID_REALLOC] = "invalid_realloc",
    [HAK_ERROR_INVALID_USABLE_SIZE] = "invalid_usable_size",
    [HAK_ERROR_WRONG_SIZE] = "wrong_size",
    [HAK_ERROR_WRONG_ALIGNMENT] = "wrong_alignment",
    [HAK_ERROR_CORRUPTED_BLOCK] = "corrupted_block",
    [HAK_ERROR_OVERFLOW] = "overflow",
    [HAK_ERROR_MISMATCHED_FREE] = "mismatched_free",
};

static const char *const OWNERS[] = {
    [HAK_OWNER_NONE] = "none",
    [HAK_OWNER_THIS_THREAD] = "this thread",
    [HAK_OWNER_OTHER_THREAD] = "another thread",
    [HAK_OWNER_ENDED_THREAD] = "a thread that has ended or gave it up",
};

/* ---- A line for people ---------------------------------------------------------------------- */

static void append_address(struct text *t, const char *before, const void *address) {
    hak_text_string(t, before);
    hak_text_hex(t, (uintptr_t)address);
}

static void append_place(struct text *t, const struct hak_error *e) {
    if (e->block == NULL) {
        append_address(t, "address ", e->address);
        hak_text_string(t, " (in no size class)");
        return;
    }
    append_address(t, e->address == e->block ? "block " : "address ", e->address);
    hak_text_string(t, " (");
    if (e->address != e->block) {
        hak_text_decimal(t, (uintptr_t)e->address - (uintptr_t)e->block);
        append_address(t, " bytes into block ", e->block);
        hak_text_string(t, ", ");
    }
    hak_text_string(t, e->large ? "no size class, large block of " : "size class ");
    hak_text_decimal(t, e->block_bytes);
    hak_text_string(t, " bytes");
    if (e->owner != HAK_OWNER_NONE) {
        hak_text_string(t, ", owner: ");
        hak_text_string(t, OWNERS[e->owner]);
    }
    hak_text_string(t, ")");
}

static void append_places(struct text *t, const char *before, const void *const *at) {
    for (unsigned i = 0; i < HAK_ERROR_PLACES && at[i] != NULL; i++) {
        hak_text_string(t, i == 0 ? before : " <-");
        hak_text_string(t, " ");
        hak_text_place(t, at[i]);
    }
}

static void append_line(struct text *t, const struct hak_error *e) {
    hak_text_string(t, "hakmem: ");
    hak_text_string(t, e->what);
    hak_text_string(t, ": ");
    append_place(t, e);
    hak_text_string(t, "; ");
    hak_text_string(t, e->advice);
    append_places(t, "; allocated at", e->allocated_at);
    append_places(t, "; freed at", e->freed_at);
    hak_text_string(t, "\n");
}

/* ---- A line for machines -------------------------------------------------------------------- */

static void append_key(struct text *t, const char *key) {
    hak_text_string(t, ",\"");
    hak_text_string(t, key);
    hak_text_string(t, "\":");
}

static void append_json_string(struct text *t, const char *key, const char *value) {
    append_key(t, key);
    hak_text_json(t, value, NAME_SHOWN);
}

static void append_json_number(struct text *t, const char *key, uint64_t n) {
    append_key(t, key);
    hak_text_decimal(t, n);
}

/* Addresses are strings: not every reader of JSON keeps 64 bits of a number. */
static void append_json_address(struct text *t, const char *key, const void *address) {
    append_key(t, key);
    append_address(t, "\"", address);
    hak_text_string(t, "\"");
}

static void append_json_places(struct text *t, const char *key, const void *const *at) {
    if (at[0] == NULL) return;
    append_key(t, key);
    for (unsigned i = 0; i < HAK_ERROR_PLACES && at[i] != NULL; i++) {
        struct text place = {.length = 0};
        hak_text_place(&place, at[i]);
        place.bytes[place.length] = '\0';
        hak_text_string(t, i == 0 ? "[" : ",");
        hak_text_json(t, place.bytes, NAME_SHOWN);
    }
    hak_text_string(t, "]");
}

static void append_json(struct text *t, const struct hak_error *e) {
    hak_text_string(t, "{\"hakmem\":\"error\"");
    append_json_string(t, "kind", KINDS[e->kind]);
    append_json_string(t, "what", e->what);
    append_json_address(t, "address", e->address);
    if (e->block != NULL) {
        append_json_address(t, "block", e->block);
        append_json_number(t, "block_bytes", e->block_bytes);
        append_json_number(t, "offset", (uintptr_t)e->address - (uintptr_t)e->block);
    }
    if (e->size_class >= 0) append_json_number(t, "size_class", (uint64_t)e->size_class);
    append_json_string(t, "owner", OWNERS[e->owner]);
    append_json_string(t, "advice", e->advice);
    append_json_places(t, "allocated_at", e->allocated_at);
    append_json_places(t, "freed_at", e->freed_at);
    append_json_number(t, "pid", (uint64_t)getpid());
    append_json_string(t, "program", hak_text_program_name());
    append_json_string(t, "then", goes_on ? "report" : "abort");
    hak_text_string(t, "}\n");
}

/* --------------------------------------------------------------------------------------------- */

static void call_handler(const struct hak_error *e) {
    hak_error_handler fn = load_acquire(&handler);
    if (fn == NULL || in_handler) return;
    int saved = errno;
    in_handler = true;
    fn(e);
    in_handler = false;
    errno = saved;
}

void hak_misuse(enum hak_error_kind kind, const char *what, const void *address, size_t block_bytes,
                const char *advice) {
    struct hak_error e = {
        .size = sizeof(e),
        .kind = kind,
        .what = what,
        .advice = advice,
        .address = address,
        .block = block_bytes != 0 ? address : NULL,
        .block_bytes = block_bytes,
        .size_class = -1,
    };
    if (describe != NULL) describe(&e);
    struct text t = {.length = 0};
    if (as_json) {
        append_json(&t, &e);
    } else {
        append_line(&t, &e);
    }
    hak_text_write(&t, STDERR_FILENO);
    call_handler(&e);
    if (!goes_on) abort();
}
