#include "bench/harness/runner.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "bench/harness/allocators.h"
#include "bench/harness/bench.h"
#include "bench/harness/child.h"
#include "bench/harness/flags.h"

namespace hak_bench {
namespace {

constexpr char kPreload[] = "LD_PRELOAD=";
constexpr char kSelf[] = "/proc/self/exe";

std::vector<std::string> ChildEnvironment(const Allocator &allocator) {
    std::vector<std::string> out;
    for (char **entry = environ; *entry != nullptr; ++entry) {
        if (std::strncmp(*entry, kPreload, std::strlen(kPreload)) != 0) out.emplace_back(*entry);
    }
    if (!allocator.path.empty()) out.push_back(kPreload + allocator.path);
    // glibc's getenv, and hakmem's, take the first entry of a name.
    out.insert(out.begin(), allocator.environment.begin(), allocator.environment.end());
    return out;
}

std::vector<char *> Pointers(std::vector<std::string> *strings) {
    std::vector<char *> out;
    for (std::string &text : *strings) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

std::string ReadAll(int fd) {
    std::string text;
    char buffer[4096];
    for (;;) {
        const ssize_t got = read(fd, buffer, sizeof(buffer));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return text;
        text.append(buffer, static_cast<std::size_t>(got));
    }
}

std::string HowItEnded(int status) {
    if (WIFSIGNALED(status)) return std::string("killed by signal: ") + strsignal(WTERMSIG(status));
    return "exit code " + std::to_string(WEXITSTATUS(status));
}

// Returns one line when the child cannot be run or fails, else fills `result`.
std::string RunChild(const Params &params, const Allocator &allocator, ChildResult *result) {
    int ends[2];
    // close-on-exec but for the child's copy: else a later child would keep the pipe open.
    if (pipe2(ends, O_CLOEXEC) != 0) return std::string("pipe: ") + std::strerror(errno);
    // dup2 onto a different number clears close-on-exec.
    const int report_fd = ends[1] + 1;
    std::vector<std::string> arguments = ChildArguments(params, allocator.path, report_fd);
    arguments.insert(arguments.begin(), program_invocation_name);
    std::vector<std::string> environment = ChildEnvironment(allocator);

    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], report_fd);
    pid_t pid = -1;
    const int spawn_error = posix_spawn(&pid, kSelf, &actions, nullptr, Pointers(&arguments).data(),
                                        Pointers(&environment).data());
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    const std::string text = spawn_error == 0 ? ReadAll(ends[0]) : "";
    close(ends[0]);
    if (spawn_error != 0) return std::string("cannot start itself: ") + std::strerror(spawn_error);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    *result = ParseChildReport(text);
    if (status == 0 && result->values.count("loop_ns") != 0) return "";
    const std::string said = result->texts["error"];
    return said.empty() ? "the child failed: " + HowItEnded(status) : said;
}

// A line that is written over on a terminal, and only once a round elsewhere.
class Progress {
  public:
    explicit Progress(std::size_t total) : total_(total), terminal_(isatty(STDERR_FILENO) == 1) {}

    void ChildDone(const std::string &what) {
        ++done_;
        if (terminal_) std::fprintf(stderr, "\r\033[K[%zu/%zu] %s", done_, total_, what.c_str());
    }
    void RoundDone(int round, int rounds) {
        if (!terminal_) {
            std::fprintf(stderr, "[%zu/%zu] round %d of %d done\n", done_, total_, round + 1,
                         rounds);
        }
    }
    void Clear() {
        if (terminal_) std::fprintf(stderr, "\r\033[K");
    }

  private:
    std::size_t total_;
    bool terminal_;
    std::size_t done_ = 0;
};

Params ChildParams(const Case &bench_case, const Options &options, int round) {
    Params params = bench_case.params;
    if (options.cycles != 0) params["cycles"] = options.cycles;
    const bool own_threads = params.count("threads") != 0 && options.given.count("threads") == 0;
    if (!own_threads) params["threads"] = options.threads;
    // Every round has a sequence of its own, the same for all allocators: one lucky layout does
    // not decide.
    params["seed"] = static_cast<std::int64_t>(options.seed + static_cast<std::uint64_t>(round));
    return params;
}

} // namespace

std::vector<std::size_t> OrderInRound(std::size_t allocators, int round) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < allocators; ++i) {
        order.push_back((i + static_cast<std::size_t>(round)) % allocators);
    }
    return order;
}

std::string RunRounds(const Bench &bench, const std::vector<Case> &cases,
                      const std::vector<Allocator> &allocators, const Options &options,
                      Results *results) {
    results->assign(cases.size(), std::vector<std::vector<ChildResult>>(allocators.size()));
    // The first busy process after a pause is slow (the processor's clock, the host's memory):
    // it runs and does not count.
    ChildResult ignored;
    std::string error;
    if (bench.first_is_ignored) {
        error = RunChild(ChildParams(cases[0], options, 0), allocators[0], &ignored);
    }
    if (!error.empty()) return allocators[0].name + ", " + cases[0].title + ": " + error;

    Progress progress(cases.size() * allocators.size() * static_cast<std::size_t>(options.rounds));
    for (int round = 0; round < options.rounds; ++round) {
        for (std::size_t c = 0; c < cases.size(); ++c) {
            for (const std::size_t a : OrderInRound(allocators.size(), round)) {
                ChildResult result;
                error = RunChild(ChildParams(cases[c], options, round), allocators[a], &result);
                const std::string what = allocators[a].name + ", " + cases[c].title;
                if (!error.empty()) {
                    progress.Clear();
                    return what + ": " + error;
                }
                progress.ChildDone(bench.name + ", round " + std::to_string(round + 1) + ": " +
                                   what);
                (*results)[c][a].push_back(std::move(result));
            }
        }
        progress.RoundDone(round, options.rounds);
    }
    progress.Clear();
    return "";
}

} // namespace hak_bench
