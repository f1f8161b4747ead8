#include "hakmem/config/options.h"

#include <string.h>
#include <unistd.h>

#include "hakmem/base/text.h"
#include "hakmem/config/config.h"

struct options hak_options = {
    .quarantine_kb = 1024,
    .warm_pool_size = 12,
    .warm_pool_prefill = 2,
    .front_max_mb = 32,
    .superslab_max_cached = 64,
    .superslab_max_memory_mb = 16,
    .superslab_ttl_sec = 10,
    .purge = 1,
    .large_cache_mb = 128,
    .large_cache_mapped_mb = 1024,
    .large_cache_ttl_sec = 10,
    .maintenance_ms = 500,
};

struct option {
    const char *name; /* after "HAKMEM_" */
    uint64_t *value;
    uint64_t min, max;
    const char *const *names; /* of the values from min to max; NULL: they are numbers */
    uint64_t *percent;        /* not NULL: the value is a size, or a percentage that is kept here */
    bool strict;              /* what is out of range counts for nothing; others are clamped */
};

#define PREWARM_MAX 4096
/* Less than a few superslabs serves nobody; 0 is no limit. */
#define LIMIT_LEAST (8 * MiB)
#define LIMIT_MOST (256 * GiB * KiB)

static const char *const MODES[] = {"default", "fast", "signals", "safe", "debug"};
static const char *const ON_ERROR[] = {"abort", "report"};

static const char *const THP[] = {"default", "always", "never"};

static const char *const PREWARM[] = {"start", "lazy", "adaptive"};

static const struct option OPTIONS[] = {
    {"MODE", &hak_options.mode, MODE_DEFAULT, MODE_DEBUG, MODES, NULL, false},
    {"QUARANTINE_KB", &hak_options.quarantine_kb, 0, 1 << 20, NULL, NULL, false},
    {"ON_ERROR", &hak_options.on_error, ON_ERROR_ABORT, ON_ERROR_REPORT, ON_ERROR, NULL, false},
    {"ERROR_JSON", &hak_options.error_json, 0, 1, NULL, NULL, false},
    {"STATS", &hak_options.stats, 0, 1, NULL, NULL, false},
    {"WARM_POOL_STATS", &hak_options.warm_pool_stats, 0, 1, NULL, NULL, false},
    {"WARM_POOL_SIZE", &hak_options.warm_pool_size, 1, 12, NULL, NULL, false},
    {"WARM_POOL_PREFILL", &hak_options.warm_pool_prefill, 0, 12, NULL, NULL, false},
    {"FRONT_MAX_MB", &hak_options.front_max_mb, 0, 1 << 20, NULL, NULL, false},
    {"SUPERSLAB_MAX_CACHED", &hak_options.superslab_max_cached, 0, 1 << 20, NULL, NULL, false},
    {"SUPERSLAB_MAX_MEMORY_MB", &hak_options.superslab_max_memory_mb, 0, 1 << 20, NULL, NULL,
     false},
    {"SUPERSLAB_TTL_SEC", &hak_options.superslab_ttl_sec, 0, 86400, NULL, NULL, false},
    {"PURGE", &hak_options.purge, 0, 1, NULL, NULL, false},
    {"LARGE_CACHE_MB", &hak_options.large_cache_mb, 0, 1 << 20, NULL, NULL, false},
    {"LARGE_CACHE_CALM_MB", &hak_options.large_cache_calm_mb, 0, 1 << 20, NULL, NULL, false},
    {"LARGE_CACHE_MAPPED_MB", &hak_options.large_cache_mapped_mb, 0, 1 << 20, NULL, NULL, false},
    {"LARGE_CACHE_TTL_SEC", &hak_options.large_cache_ttl_sec, 0, 86400, NULL, NULL, false},
    {"SS_PREFAULT", &hak_options.ss_prefault, 0, 1, NULL, NULL, false},
    {"SS_LAZY_ZERO", &hak_options.ss_lazy_zero, 0, 1, NULL, NULL, false},
    {"LIMIT", &hak_options.limit, LIMIT_LEAST, LIMIT_MOST, NULL, &hak_options.limit_percent, false},
    {"THP", &hak_options.thp, THP_DEFAULT, THP_NEVER, THP, NULL, false},
    {"HUGETLB", &hak_options.hugetlb, 0, 1, NULL, NULL, false},
    {"MLOCK", &hak_options.mlock, 0, 1, NULL, NULL, false},
    {"NUMA", &hak_options.numa, 0, 1, NULL, NULL, false},
    {"DEEPBIND", &hak_options.deepbind, 0, 1, NULL, NULL, false},
    {"MAINTENANCE", &hak_options.maintenance, 0, 1, NULL, NULL, false},
    {"MAINTENANCE_MS", &hak_options.maintenance_ms, TICK_MS, 60000, NULL, NULL, false},
    {"PREWARM_MODE", &hak_options.prewarm_mode, PREWARM_START, PREWARM_ADAPTIVE, PREWARM, NULL,
     false},
    {"PREWARM_SUPERSLABS", &hak_options.prewarm_superslabs, 0, PREWARM_MAX, NULL, NULL, true},
    {"PREWARM_SUPERSLABS_C0", &hak_options.prewarm_class[0], 0, PREWARM_MAX, NULL, NULL, true},
    {"PREWARM_SUPERSLABS_C1", &hak_options.prewarm_class[1], 0, PREWARM_MAX, NULL, NULL, true},
    {"PREWARM_SUPERSLABS_C2", &hak_options.prewarm_class[2], 0, PREWARM_MAX, NULL, NULL, true},
    {"PREWARM_SUPERSLABS_C3", &hak_options.prewarm_class[3], 0, PREWARM_MAX, NULL, NULL, true},
    {"PREWARM_SUPERSLABS_C4", &hak_options.prewarm_class[4], 0, PREWARM_MAX, NULL, NULL, true},
    {"PREWARM_SUPERSLABS_C5", &hak_options.prewarm_class[5], 0, PREWARM_MAX, NULL, NULL, true},
    {"PREWARM_SUPERSLABS_C6", &hak_options.prewarm_class[6], 0, PREWARM_MAX, NULL, NULL, true},
    {"PREWARM_SUPERSLABS_C7", &hak_options.prewarm_class[7], 0, PREWARM_MAX, NULL, NULL, true},
};

#define OPTION_COUNT (sizeof(OPTIONS) / sizeof(OPTIONS[0]))

static const char PREFIX[] = "HAKMEM_";

static void append_size(struct text *t, uint64_t bytes) {
    static const char *const units[] = {"", "K", "M", "G"};
    unsigned i = 0;
    for (; i < 3 && bytes != 0 && bytes % KiB == 0; i++) bytes /= KiB;
    hak_text_decimal(t, bytes);
    hak_text_string(t, units[i]);
}

static void append_value(struct text *t, const struct option *o, uint64_t value) {
    if (o->percent != NULL) {
        append_size(t, value);
    } else if (o->names == NULL) {
        hak_text_decimal(t, value);
    } else {
        hak_text_string(t, o->names[value - o->min]);
    }
}

static void append_range(struct text *t, const struct option *o) {
    for (uint64_t value = o->min; o->names != NULL && value < o->max; value++) {
        append_value(t, o, value);
        hak_text_string(t, "|");
    }
    if (o->names == NULL) {
        append_value(t, o, o->min);
        hak_text_string(t, "..");
    }
    append_value(t, o, o->max);
    if (o->percent != NULL) hak_text_string(t, " or 1%..100%");
}

/* What is in effect. */
static void append_current(struct text *t, const struct option *o) {
    if (o->percent == NULL || *o->percent == 0) {
        append_value(t, o, *o->value);
        if (o->percent != NULL && *o->value == 0) hak_text_string(t, " (no limit)");
        return;
    }
    hak_text_decimal(t, *o->percent);
    hak_text_string(t, "%");
}

/* Says what is wrong, and the value that is in effect. */
static void warn(const struct option *o, const char *given, const char *problem) {
    struct text t = {.length = 0};
    hak_text_string(&t, "hakmem: option HAKMEM_");
    hak_text_string(&t, o->name);
    hak_text_string(&t, "=");
    for (unsigned i = 0; given[i] != '\0' && i < 64; i++) {
        char printable[2] = {given[i] >= ' ' && given[i] <= '~' ? given[i] : '?', '\0'};
        hak_text_string(&t, printable);
    }
    hak_text_string(&t, problem);
    append_range(&t, o);
    hak_text_string(&t, "; using ");
    append_current(&t, o);
    hak_text_string(&t, "\n");
    hak_text_write(&t, STDERR_FILENO);
}

static void apply_name(const struct option *o, const char *given) {
    for (uint64_t value = o->min; value <= o->max; value++) {
        if (strcmp(given, o->names[value - o->min]) != 0) continue;
        *o->value = value;
        return;
    }
    warn(o, given, " is none of ");
}

/* Decimal digits, up to `end`. A number too large for 64 bits reads as UINT64_MAX. */
static bool parse_digits(const char *s, const char *end, uint64_t *out) {
    if (s == end) return false;
    uint64_t n = 0;
    for (; s != end; s++) {
        if (*s < '0' || *s > '9') return false;
        uint64_t digit = (uint64_t)(*s - '0');
        n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
    }
    *out = n;
    return true;
}

static bool parse_number(const char *s, uint64_t *out) {
    return parse_digits(s, s + strlen(s), out);
}

/* Digits and one of K, M, G, k, m, g, or none. */
static bool parse_size(const char *s, uint64_t *out) {
    static const char units[] = "KMGkmg";
    const char *end = s + strlen(s);
    const char *unit = s == end ? NULL : strchr(units, end[-1]);
    if (!parse_digits(s, unit == NULL ? end : end - 1, out)) return false;
    unsigned shift = unit == NULL ? 0 : 10 * (unsigned)((unit - units) % 3 + 1);
    *out = *out > UINT64_MAX >> shift ? UINT64_MAX : *out << shift;
    return true;
}

static uint64_t clamp(uint64_t n, uint64_t min, uint64_t max) {
    return n < min ? min : n > max ? max : n;
}

static void apply_size(const struct option *o, const char *given) {
    size_t length = strlen(given);
    bool percent = length != 0 && given[length - 1] == '%';
    uint64_t n;
    bool ok = percent ? parse_digits(given, given + length - 1, &n) : parse_size(given, &n);
    if (!ok) {
        warn(o, given, " is not a size in ");
        return;
    }
    uint64_t used = percent ? clamp(n, 1, 100) : n == 0 ? 0 : clamp(n, o->min, o->max);
    *o->percent = percent ? used : 0;
    *o->value = percent ? 0 : used;
    if (used != n) warn(o, given, " is out of range ");
}

static void apply_number(const struct option *o, const char *given) {
    uint64_t n;
    bool negative = given[0] == '-' && parse_number(given + 1, &n);
    if (!negative && !parse_number(given, &n)) {
        warn(o, given, " is not a number in ");
        return;
    }
    uint64_t used = negative ? o->min : clamp(n, o->min, o->max);
    bool in_range = !negative && used == n;
    if (in_range || !o->strict) *o->value = used;
    if (!in_range) warn(o, given, " is out of range ");
}

static void apply(const struct option *o, const char *given) {
    if (o->names != NULL) {
        apply_name(o, given);
    } else if (o->percent != NULL) {
        apply_size(o, given);
    } else {
        apply_number(o, given);
    }
}

/* A class that there is not is a mistake; other names may be anyone's. */
static void warn_of_unknown(const char *name) {
    static const char prewarm[] = "PREWARM_SUPERSLABS_C";
    if (strncmp(name, prewarm, sizeof(prewarm) - 1) != 0) return;
    struct text t = {.length = 0};
    hak_text_string(&t, "hakmem: option HAKMEM_PREWARM_SUPERSLABS_C*: the classes are C0..C7; one "
                        "that is none of them was ignored\n");
    hak_text_write(&t, STDERR_FILENO);
}

void hak_options_parse(char *const *env) {
    for (; env != NULL && *env != NULL; env++) {
        if (strncmp(*env, PREFIX, sizeof(PREFIX) - 1) != 0) continue;
        const char *name = *env + sizeof(PREFIX) - 1;
        const char *equals = strchr(name, '=');
        if (equals == NULL) continue;
        size_t length = (size_t)(equals - name), i = 0;
        for (; i < OPTION_COUNT; i++) {
            const char *known = OPTIONS[i].name;
            if (strlen(known) == length && memcmp(known, name, length) == 0) break;
        }
        if (i < OPTION_COUNT) {
            apply(&OPTIONS[i], equals + 1);
        } else {
            warn_of_unknown(name);
        }
    }
}

void hak_options_print(int fd) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        struct text t = {.length = 0};
        hak_text_string(&t, PREFIX);
        hak_text_string(&t, OPTIONS[i].name);
        hak_text_string(&t, " = ");
        append_current(&t, &OPTIONS[i]);
        hak_text_string(&t, "  (");
        append_range(&t, &OPTIONS[i]);
        hak_text_string(&t, ")\n");
        hak_text_write(&t, fd);
    }
}
