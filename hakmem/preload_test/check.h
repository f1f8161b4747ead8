/* CHECK for programs that run under the preloaded library: a failed check is reported with its
 * place and values and the program goes on, so one run shows everything that is wrong. */
#ifndef HAKMEM_PRELOAD_TEST_CHECK_H_
#define HAKMEM_PRELOAD_TEST_CHECK_H_

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>

enum { CHECK_REPORTS_MAX = 40 };

static atomic_int check_failures;

/* Reports without stdio: a broken allocator must not break the report. */
__attribute__((format(printf, 3, 4))) static inline void check_fail(const char *file, int line,
                                                                    const char *format, ...) {
    if (atomic_fetch_add(&check_failures, 1) >= CHECK_REPORTS_MAX) {
        return;
    }
    char text[400];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    dprintf(1, "FAIL %s:%d: %s\n", file, line, text);
}

#define CHECK(condition)                                      \
    do {                                                      \
        if (!(condition)) {                                   \
            check_fail(__FILE__, __LINE__, "%s", #condition); \
        }                                                     \
    } while (0)

/* CHECK with the values that matter, as a printf format and its arguments. */
#define CHECK_WITH(condition, format, ...)                                              \
    do {                                                                                \
        if (!(condition)) {                                                             \
            check_fail(__FILE__, __LINE__, "%s (" format ")", #condition, __VA_ARGS__); \
        }                                                                               \
    } while (0)

/* Runs one group of checks and says how it went. */
static inline void check_group(const char *name, void (*run)(void)) {
    int before = atomic_load(&check_failures);
    run();
    int failed = atomic_load(&check_failures) - before;
    if (failed == 0) {
        dprintf(1, "PASS %s\n", name);
    } else {
        dprintf(1, "FAIL %s: %d checks\n", name, failed);
    }
}

static inline int check_exit_code(void) { return atomic_load(&check_failures) == 0 ? 0 : 1; }

#endif
