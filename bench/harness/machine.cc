#include "bench/harness/machine.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <string>

namespace hak_bench {
namespace {

constexpr char kUnknown[] = "unknown";

std::string CpuModel() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.rfind("model name", 0) != 0) continue;
        const std::size_t value = line.find(": ");
        if (value != std::string::npos) return line.substr(value + 2);
    }
    return kUnknown;
}

// The kernel marks the chosen state: "always [madvise] never".
std::string HugePages() {
    std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
    std::string line;
    std::getline(file, line);
    const std::size_t open = line.find('[');
    const std::size_t close = line.find(']');
    if (open == std::string::npos || close == std::string::npos) return kUnknown;
    return line.substr(open + 1, close - open - 1);
}

} // namespace

Machine DescribeMachine() {
    utsname kernel{};
    uname(&kernel);
    return {CpuModel(), kernel.release, sysconf(_SC_NPROCESSORS_ONLN), HugePages()};
}

} // namespace hak_bench
