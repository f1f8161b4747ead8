#include "bench/harness/probe.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "hakmem/hakmem.h"

namespace hak_bench {
namespace {

// The number behind `label` in a file of /proc whose lines are "label: number kB"; 0 if none.
// Calls no malloc, as fopen would: a probe that allocated would change what it measures.
double ProcKib(const char *path, const char *label) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    char text[4096];
    std::size_t length = 0;
    for (ssize_t got = 1; got > 0 && length < sizeof(text) - 1;) {
        got = read(fd, text + length, sizeof(text) - 1 - length);
        if (got > 0) length += static_cast<std::size_t>(got);
    }
    close(fd);
    text[length] = '\0';
    const std::size_t label_length = std::strlen(label);
    for (const char *line = text; line != nullptr; line = std::strchr(line, '\n')) {
        if (*line == '\n') ++line;
        if (std::strncmp(line, label, label_length) == 0 && line[label_length] == ':') {
            return std::strtod(line + label_length + 1, nullptr);
        }
    }
    return 0;
}

template <class Function> Function *Find(const char *name) {
    return reinterpret_cast<Function *>(dlsym(RTLD_DEFAULT, name));
}

double Microseconds(const timeval &time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
}

} // namespace

double ResidentKib() {
    // The kernel's quick count (VmRSS) may lag behind by some pages a core; this one is exact.
    const double exact = ProcKib("/proc/self/smaps_rollup", "Rss");
    return exact > 0 ? exact : ProcKib("/proc/self/status", "VmRSS");
}

double PeakResidentKib() { return ProcKib("/proc/self/status", "VmHWM"); }

Usage ProcessUsage() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return {static_cast<double>(usage.ru_minflt) + static_cast<double>(usage.ru_majflt),
            Microseconds(usage.ru_utime), Microseconds(usage.ru_stime)};
}

std::string MallocPath() {
    // Not &malloc: in a program that is not position-independent that is a stub of its own.
    void *function = dlsym(RTLD_DEFAULT, "malloc");
    Dl_info info{};
    if (function == nullptr || dladdr(function, &info) == 0) return "";
    return info.dli_fname;
}

std::string MallocVersion() {
    if (auto *hakmem = Find<const char *()>("hak_version")) return hakmem();
    if (auto *mimalloc = Find<int()>("mi_version")) return "mimalloc " + std::to_string(mimalloc());
    if (auto *jemalloc =
            Find<int(const char *, void *, std::size_t *, void *, std::size_t)>("mallctl")) {
        const char *version = nullptr;
        std::size_t size = sizeof(version);
        const bool known = jemalloc("version", &version, &size, nullptr, 0) == 0;
        return known ? std::string("jemalloc ") + version : "";
    }
    if (auto *tcmalloc = Find<const char *(int *, int *, const char **)>("tc_version")) {
        int major = 0;
        int minor = 0;
        const char *patch = "";
        return tcmalloc(&major, &minor, &patch);
    }
    const std::string path = MallocPath();
    const bool glibc = path.find("libc.so") != std::string::npos;
    return glibc ? std::string("glibc ") + gnu_get_libc_version() : "";
}

std::map<std::string, double> HakmemCounts() {
    auto *stats_get = Find<bool(hak_stats *)>("hak_stats_get");
    if (stats_get == nullptr) return {};
    hak_stats stats{};
    stats.size = sizeof(stats);
    if (!stats_get(&stats)) return {};
    return {
        {"purged_bytes", static_cast<double>(stats.purged_bytes)},
        {"superslabs", static_cast<double>(stats.superslabs)},
        {"front_refills", static_cast<double>(stats.front_refills)},
        {"warm_hits", static_cast<double>(stats.warm_hits)},
        {"warm_misses", static_cast<double>(stats.warm_misses)},
        {"stage_partial", static_cast<double>(stats.stage[HAK_STAGE_PARTIAL])},
        {"stage_resident", static_cast<double>(stats.stage[HAK_STAGE_RESIDENT])},
        {"stage_purged", static_cast<double>(stats.stage[HAK_STAGE_PURGED])},
        {"stage_cached", static_cast<double>(stats.stage[HAK_STAGE_CACHED])},
        {"stage_mapped", static_cast<double>(stats.stage[HAK_STAGE_MAPPED])},
    };
}

} // namespace hak_bench
