#include "hakmem/config/options.h"

#include <string.h>
#include <unistd.h>

#include "hakmem/base/text.h"

struct options hak_options = {
    .warm_pool_size = 12,
    .warm_pool_prefill = 2,
    .front_max_mb = 32,
    .superslab_max_cached = 64,
    .superslab_max_memory_mb = 16,
    .superslab_ttl_sec = 10,
    .purge = 1,
    .large_cache_mb = 64,
    .large_cache_mapped_mb = 1024,
    .large_cache_ttl_sec = 10,
};

struct option {
    const char *name; /* after "HAKMEM_" */
    uint64_t *value;
    uint64_t min, max;
    const char *const *names; /* of the values from min to max; NULL: they are numbers */
};

#define PREWARM_MAX 4096

static const char *const MODES[] = {"default", "safe"};
static const char *const ON_ERROR[] = {"abort", "report"};

static const struct option OPTIONS[] = {
    {"MODE", &hak_options.mode, MODE_DEFAULT, MODE_SAFE, MODES},
    {"ON_ERROR", &hak_options.on_error, ON_ERROR_ABORT, ON_ERROR_REPORT, ON_ERROR},
    {"ERROR_JSON", &hak_options.error_json, 0, 1, NULL},
    {"STATS", &hak_options.stats, 0, 1, NULL},
    {"WARM_POOL_STATS", &hak_options.warm_pool_stats, 0, 1, NULL},
    {"WARM_POOL_SIZE", &hak_options.warm_pool_size, 1, 12, NULL},
    {"WARM_POOL_PREFILL", &hak_options.warm_pool_prefill, 0, 12, NULL},
    {"FRONT_MAX_MB", &hak_options.front_max_mb, 0, 1 << 20, NULL},
    {"SUPERSLAB_MAX_CACHED", &hak_options.superslab_max_cached, 0, 1 << 20, NULL},
    {"SUPERSLAB_MAX_MEMORY_MB", &hak_options.superslab_max_memory_mb, 0, 1 << 20, NULL},
    {"SUPERSLAB_TTL_SEC", &hak_options.superslab_ttl_sec, 0, 86400, NULL},
    {"PURGE", &hak_options.purge, 0, 1, NULL},
    {"LARGE_CACHE_MB", &hak_options.large_cache_mb, 0, 1 << 20, NULL},
    {"LARGE_CACHE_MAPPED_MB", &hak_options.large_cache_mapped_mb, 0, 1 << 20, NULL},
    {"LARGE_CACHE_TTL_SEC", &hak_options.large_cache_ttl_sec, 0, 86400, NULL},
    {"SS_PREFAULT", &hak_options.ss_prefault, 0, 1, NULL},
    {"SS_LAZY_ZERO", &hak_options.ss_lazy_zero, 0, 1, NULL},
    {"PREWARM_SUPERSLABS", &hak_options.prewarm_superslabs, 0, PREWARM_MAX, NULL},
    {"PREWARM_SUPERSLABS_C0", &hak_options.prewarm_class[0], 0, PREWARM_MAX, NULL},
    {"PREWARM_SUPERSLABS_C1", &hak_options.prewarm_class[1], 0, PREWARM_MAX, NULL},
    {"PREWARM_SUPERSLABS_C2", &hak_options.prewarm_class[2], 0, PREWARM_MAX, NULL},
    {"PREWARM_SUPERSLABS_C3", &hak_options.prewarm_class[3], 0, PREWARM_MAX, NULL},
    {"PREWARM_SUPERSLABS_C4", &hak_options.prewarm_class[4], 0, PREWARM_MAX, NULL},
    {"PREWARM_SUPERSLABS_C5", &hak_options.prewarm_class[5], 0, PREWARM_MAX, NULL},
    {"PREWARM_SUPERSLABS_C6", &hak_options.prewarm_class[6], 0, PREWARM_MAX, NULL},
    {"PREWARM_SUPERSLABS_C7", &hak_options.prewarm_class[7], 0, PREWARM_MAX, NULL},
};

#define OPTION_COUNT (sizeof(OPTIONS) / sizeof(OPTIONS[0]))

static const char PREFIX[] = "HAKMEM_";

static void append_value(struct text *t, const struct option *o, uint64_t value) {
    if (o->names == NULL) {
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
}

static void warn(const struct option *o, const char *given, const char *problem, uint64_t used) {
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
    append_value(&t, o, used);
    hak_text_string(&t, "\n");
    hak_text_write(&t, STDERR_FILENO);
}

static void apply_name(const struct option *o, const char *given) {
    for (uint64_t value = o->min; value <= o->max; value++) {
        if (strcmp(given, o->names[value - o->min]) != 0) continue;
        *o->value = value;
        return;
    }
    warn(o, given, " is none of ", *o->value);
}

/* Decimal digits only. A number too large for 64 bits reads as UINT64_MAX. */
static bool parse_number(const char *s, uint64_t *out) {
    if (*s == '\0') return false;
    uint64_t n = 0;
    for (; *s != '\0'; s++) {
        if (*s < '0' || *s > '9') return false;
        uint64_t digit = (uint64_t)(*s - '0');
        n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
    }
    *out = n;
    return true;
}

static void apply(const struct option *o, const char *given) {
    if (o->names != NULL) {
        apply_name(o, given);
        return;
    }
    uint64_t n;
    bool negative = given[0] == '-' && parse_number(given + 1, &n);
    if (!negative && !parse_number(given, &n)) {
        warn(o, given, " is not a number in ", *o->value);
        return;
    }
    uint64_t used = negative || n < o->min ? o->min : n > o->max ? o->max : n;
    if (negative || used != n) warn(o, given, " is out of range ", used);
    *o->value = used;
}

void hak_options_parse(char *const *env) {
    for (; env != NULL && *env != NULL; env++) {
        if (strncmp(*env, PREFIX, sizeof(PREFIX) - 1) != 0) continue;
        const char *name = *env + sizeof(PREFIX) - 1;
        const char *equals = strchr(name, '=');
        if (equals == NULL) continue;
        size_t length = (size_t)(equals - name);
        for (size_t i = 0; i < OPTION_COUNT; i++) {
            const struct option *o = &OPTIONS[i];
            if (strlen(o->name) == length && memcmp(o->name, name, length) == 0) {
                apply(o, equals + 1);
            }
        }
    }
}

void hak_options_print(int fd) {
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        struct text t = {.length = 0};
        hak_text_string(&t, PREFIX);
        hak_text_string(&t, OPTIONS[i].name);
        hak_text_string(&t, " = ");
        append_value(&t, &OPTIONS[i], *OPTIONS[i].value);
        hak_text_string(&t, "  (");
        append_range(&t, &OPTIONS[i]);
        hak_text_string(&t, ")\n");
        hak_text_write(&t, fd);
    }
}
