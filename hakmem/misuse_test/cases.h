/* Mistakes, one a case, by what they are; main.c commits the one that is named.
 *
 * A case is a function and a line in its file's table: the name says the mistake, the line is an
 * extended regular expression that hakmem's line matches as a whole, after "hakmem: ". */
#ifndef HAKMEM_MISUSE_TEST_CASES_H_
#define HAKMEM_MISUSE_TEST_CASES_H_

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

enum { SMALL = 64, MEDIUM = 30000, RUN = 100000, LARGE = 3 << 20 };

/* Exit codes: the mistake went unnoticed; its victim was given out; it cannot be made here. */
enum { UNNOTICED = 0, GIVEN_OUT = 3, CANNOT = 4 };

struct misuse {
    const char *name;
    void (*commit)(void);
    const char *line;    /* NULL: the default mode does not notice, and the program goes on */
    const char *guarded; /* in safe and debug mode, what the line begins with; NULL: the same */
};

/* Each ends with a case without a name. */
extern const struct misuse double_frees[], addresses[], insides[], sizes[], writes[], guarded[];

/* Addresses pass through this, so that the compiler does not see what they are. */
extern void *volatile hidden;

static inline void free_hidden(void *address) {
    hidden = address;
    free(hidden);
}

/* Runs in a thread of its own, which ends. */
void in_a_thread(void (*run)(void));

#define AT "0x[0-9a-f]+"
#define THIS "owner: this thread"
#define OTHER "owner: another thread"
#define ENDED "owner: a thread that has ended or gave it up"
#define IN_CLASS(bytes, owner) "block " AT " \\(size class " bytes " bytes, " owner "\\); "
#define INSIDE(bytes, owner, n) \
    "address " AT " \\(" n " bytes into block " AT ", size class " bytes " bytes, " owner "\\); "
#define IN_NONE "address " AT " \\(in no size class\\); "
#define ADVICE_FREED "the block was freed before; look for two owners of one pointer"
#define ADVICE_START "the address is not the start of a block; free what malloc returned"
#define ADVICE_FOREIGN "hakmem did not give this address out, or took it back"
#define TWICE(bytes, owner) "double free: " IN_CLASS(bytes, owner) ADVICE_FREED
/* Of a block that was the last one in its slab: the slab is in no use. */
#define IN_GONE(bytes) "block " AT " \\(size class " bytes " bytes\\); "
#define TWICE_GONE(bytes) "double free: " IN_GONE(bytes) ADVICE_FREED

#endif
