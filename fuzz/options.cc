/* Environment text -> hak_options_parse, beside a second reading of the same rules.
 *
 * An input is an environment: strings that end in a zero byte. Holds: each value is in its range;
 * what is no number leaves its value alone; each line of warning is whole and printable, and there
 * is one exactly for each value that was not taken as it stood. */
#include "hakmem/config/options.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "fuzz/check.h"
#include "fuzz/input.h"
#include "hakmem/base/text.h"

namespace {

struct Option {
    const char *name;
    uint64_t options::*value;
    uint64_t min, max;
};

struct Named {
    const char *name;
    uint64_t options::*value;
    std::vector<std::string> names; /* of the values from 0 on */
};

/* README.md's table: numbers, words, and LIMIT, a size or a percentage. */
const Option kOptions[] = {
    {"QUARANTINE_KB", &options::quarantine_kb, 0, 1048576},
    {"PURGE", &options::purge, 0, 1},
    {"HUGETLB", &options::hugetlb, 0, 1},
    {"MLOCK", &options::mlock, 0, 1},
    {"NUMA", &options::numa, 0, 1},
    {"MAINTENANCE", &options::maintenance, 0, 1},
    {"DEEPBIND", &options::deepbind, 0, 1},
    {"MAINTENANCE_MS", &options::maintenance_ms, 100, 60000},
    {"ERROR_JSON", &options::error_json, 0, 1},
    {"STATS", &options::stats, 0, 1},
    {"WARM_POOL_STATS", &options::warm_pool_stats, 0, 1},
    {"WARM_POOL_SIZE", &options::warm_pool_size, 1, 12},
    {"WARM_POOL_PREFILL", &options::warm_pool_prefill, 0, 12},
    {"FRONT_MAX_MB", &options::front_max_mb, 0, 1048576},
    {"SUPERSLAB_MAX_CACHED", &options::superslab_max_cached, 0, 1048576},
    {"SUPERSLAB_MAX_MEMORY_MB", &options::superslab_max_memory_mb, 0, 1048576},
    {"SUPERSLAB_TTL_SEC", &options::superslab_ttl_sec, 0, 86400},
    {"LARGE_CACHE_MB", &options::large_cache_mb, 0, 1 << 20},
    {"LARGE_CACHE_CALM_MB", &options::large_cache_calm_mb, 0, 1048576},
    {"LARGE_CACHE_MAPPED_MB", &options::large_cache_mapped_mb, 0, 1 << 20},
    {"LARGE_CACHE_TTL_SEC", &options::large_cache_ttl_sec, 0, 86400},
    {"SS_PREFAULT", &options::ss_prefault, 0, 1},
    {"SS_LAZY_ZERO", &options::ss_lazy_zero, 0, 1},
};
const Named kNamed[] = {
    {"MODE", &options::mode, {"default", "fast", "signals", "safe", "debug"}},
    {"ON_ERROR", &options::on_error, {"abort", "report"}},
    {"THP", &options::thp, {"default", "always", "never"}},
    {"PREWARM_MODE", &options::prewarm_mode, {"start", "lazy", "adaptive"}},
};
constexpr uint64_t kPrewarmMax = 4096;
constexpr uint64_t kLimitLeast = uint64_t{8} << 20, kLimitMost = uint64_t{256} << 40;

const options kDefaults = hak_options;
std::string written; /* by the parser and the printer */

/* The value that `text` stands for, in its range; false: none, and nothing changes. `exact`: it
 * needs no warning. */
bool read_value(const std::string &text, uint64_t min, uint64_t max, uint64_t *value, bool *exact) {
    bool negative = text[0] == '-';
    std::string digits = text.substr(negative ? 1 : 0);
    if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) return false;
    digits.erase(0, digits.find_first_not_of('0'));
    bool huge = digits.size() > 18;
    uint64_t n = huge || digits.empty() ? 0 : std::stoull(digits);
    *value = negative ? min : huge || n > max ? max : n < min ? min : n;
    *exact = !negative && !huge && n >= min && n <= max;
    return true;
}

class State {
  public:
    State() : model_(kDefaults) {
        hak_options = kDefaults;
        written.clear();
    }

    void Parse(std::vector<std::string> environment) {
        std::vector<char *> pointers;
        for (std::string &s : environment) {
            ReadAsModel(s);
            pointers.push_back(&s[0]);
        }
        pointers.push_back(nullptr);
        hak_options_parse(pointers.data());
    }

    void CheckInvariant() const {
        FUZZ_CHECK(std::memcmp(&model_, &hak_options, sizeof(model_)) == 0);
        for (const Option &o : kOptions) {
            FUZZ_CHECK(hak_options.*o.value >= o.min && hak_options.*o.value <= o.max);
        }
        for (const Named &o : kNamed) FUZZ_CHECK(hak_options.*o.value < o.names.size());
        for (uint64_t n : hak_options.prewarm_class) FUZZ_CHECK(n <= kPrewarmMax);
        FUZZ_CHECK(hak_options.prewarm_superslabs <= kPrewarmMax);
        uint64_t limit = hak_options.limit, percent = hak_options.limit_percent;
        FUZZ_CHECK(limit == 0 || (limit >= kLimitLeast && limit <= kLimitMost && percent == 0));
        FUZZ_CHECK(percent <= 100);
        size_t lines = 0;
        for (size_t at = 0; at < written.size(); lines++) {
            size_t end = written.find('\n', at);
            FUZZ_CHECK(end != std::string::npos);
            FUZZ_CHECK(written.compare(at, 22, "hakmem: option HAKMEM_") == 0);
            FUZZ_CHECK(written.find("; using ", at) < end ||
                       written.find("one that is none of them was ignored", at) < end);
            for (; at < end; at++) FUZZ_CHECK(written[at] >= ' ' && written[at] <= '~');
            at++;
        }
        FUZZ_CHECK(lines == warnings_);
    }

  private:
    void ReadAsModel(const std::string &line) {
        const std::string prefix = "HAKMEM_", prewarm = "PREWARM_SUPERSLABS_C";
        size_t equals = line.find('=');
        if (line.compare(0, prefix.size(), prefix) != 0 || equals == std::string::npos) return;
        std::string name = line.substr(prefix.size(), equals - prefix.size());
        std::string text = line.substr(equals + 1);
        for (const Option &o : kOptions) {
            if (name == o.name) Set(text, o.min, o.max, &(model_.*o.value));
        }
        for (const Named &o : kNamed) {
            if (name == o.name) SetByName(text, o);
        }
        if (name == "LIMIT") SetLimit(text);
        if (name == "PREWARM_SUPERSLABS") SetStrictly(text, &model_.prewarm_superslabs);
        if (name.compare(0, prewarm.size(), prewarm) != 0) return;
        if (name.size() == prewarm.size() + 1 && name.back() >= '0' &&
            name.back() < '0' + PREWARM_CLASSES) {
            SetStrictly(text, &model_.prewarm_class[name.back() - '0']);
        } else {
            warnings_++; /* a class that there is not */
        }
    }

    void Set(const std::string &text, uint64_t min, uint64_t max, uint64_t *value) {
        bool exact = false;
        read_value(text, min, max, value, &exact);
        if (!exact) warnings_++;
    }

    /* What is out of range changes nothing. */
    void SetStrictly(const std::string &text, uint64_t *value) {
        uint64_t read = 0;
        bool exact = false;
        read_value(text, 0, kPrewarmMax, &read, &exact);
        if (exact) {
            *value = read;
        } else {
            warnings_++;
        }
    }

    void SetByName(const std::string &text, const Named &o) {
        auto found = std::find(o.names.begin(), o.names.end(), text);
        if (found == o.names.end()) {
            warnings_++;
        } else {
            model_.*o.value = static_cast<uint64_t>(found - o.names.begin());
        }
    }

    /* Digits, and one of K, M, G, in small letters too, % or none. */
    void SetLimit(const std::string &text) {
        size_t unit = text.empty() ? std::string::npos : std::string("KMG%kmg").find(text.back());
        bool percent = unit == 3;
        std::string digits = text.substr(0, text.size() - (unit == std::string::npos ? 0 : 1));
        if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) {
            warnings_++;
            return;
        }
        digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
        long double n = digits.empty() ? 0 : std::strtold(digits.c_str(), nullptr);
        if (!percent && unit != std::string::npos) {
            n *= static_cast<long double>(uint64_t{1} << 10 * (unit % 4 + 1));
        }
        long double least = percent ? 1 : kLimitLeast, most = percent ? 100 : kLimitMost;
        long double used = !percent && n == 0 ? 0 : n < least ? least : n > most ? most : n;
        if (used != n) warnings_++;
        model_.limit = percent ? 0 : static_cast<uint64_t>(used);
        model_.limit_percent = percent ? static_cast<uint64_t>(used) : 0;
    }

    options model_;
    size_t warnings_ = 0;
};

} // namespace

/* In place of the writer of all text: what would go to stderr is looked at (-Wl,--wrap). */
extern "C" void __wrap_hak_text_write(text *t, int fd);
void __wrap_hak_text_write(text *t, int fd) {
    (void)fd;
    FUZZ_CHECK(t->length <= sizeof(t->bytes));
    written.append(t->bytes, t->length);
    t->length = 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    State state;
    state.CheckInvariant();
    std::vector<std::string> environment;
    const char *at = reinterpret_cast<const char *>(data), *end = at + size;
    while (at < end) {
        environment.emplace_back(at, strnlen(at, static_cast<size_t>(end - at)));
        at += environment.back().size() + 1;
    }
    state.Parse(environment);
    state.CheckInvariant();
    written.clear();
    hak_options_print(1);
    FUZZ_CHECK(written.find("HAKMEM_PREWARM_SUPERSLABS_C7 = ") != std::string::npos);
    return 0;
}
