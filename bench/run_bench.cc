#include "bench/run_bench.h"

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>

namespace hak_bench {

// `bazel test` starts tests in the runfiles.
Outcome RunBench(const std::string &name, const std::string &flags, const char *redirect) {
    Outcome outcome;
    const std::string command = "bench/" + name + " " + flags + " " + redirect;
    std::FILE *pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return outcome;
    std::array<char, 4096> buffer{};
    while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr)
        outcome.output += buffer.data();
    const int status = pclose(pipe);
    if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
    return outcome;
}

} // namespace hak_bench
