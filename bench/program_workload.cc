#include "bench/program_workload.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace hak_bench {
namespace {

namespace fs = std::filesystem;

constexpr char kServer[] = "redis-server";
constexpr char kSource[] = "generated.c";
constexpr char kSocket[] = "redis.sock";

// A file of C for the compiler: `functions` of them, each with a struct, a loop and a switch.
void WriteSource(const fs::path &path, std::int64_t functions) {
    std::ofstream out(path);
    for (std::int64_t i = 0; i < functions; ++i) {
        out << absl::StrFormat("struct s%d { int a[%d]; char name[%d]; double d; };\n"
                               "int f%d(int x, const char *text)\n{\n    struct s%d s = {0};\n"
                               "    for (int i = 0; i < %d; i++) s.a[i %% %d] += x * %d;\n"
                               "    switch (x %% 5) {\n    case 0: return text[s.a[0] & 7];\n",
                               i, i % 9 + 1, i % 31 + 1, i, i, i % 40 + 3, i % 9 + 1, i + 1);
        if (i > 0) out << absl::StrFormat("    case 1: return f%d(x / 2, text);\n", i - 1);
        out << absl::StrFormat("    default: return s.a[%d] ^ x;\n    }\n}\n", i % 9);
    }
}

std::vector<char *> Pointers(std::vector<std::string> *strings) {
    std::vector<char *> out;
    for (std::string &text : *strings) out.push_back(text.data());
    out.push_back(nullptr);
    return out;
}

// Starts `path` in `directory`, silent. Returns its process, or -1 with errno.
pid_t Start(const std::string &path, const Program &program, std::int64_t steps,
            const std::string &directory) {
    std::vector<std::string> arguments = {path};
    for (const char *argument : program.arguments) {
        arguments.push_back(absl::StrReplaceAll(argument, {{"STEPS", std::to_string(steps)}}));
    }
    std::vector<std::string> environment(program.environment.begin(), program.environment.end());
    for (char **entry = environ; *entry != nullptr; ++entry) environment.emplace_back(*entry);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addchdir_np(&actions, directory.c_str());
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    }
    pid_t pid = -1;
    const int error = posix_spawn(&pid, path.c_str(), &actions, nullptr,
                                  Pointers(&arguments).data(), Pointers(&environment).data());
    posix_spawn_file_actions_destroy(&actions);
    errno = error;
    return error == 0 ? pid : -1;
}

// The server's commands; each has an answer of one line.
std::string Commands(std::int64_t first, std::int64_t count) {
    std::ostringstream out;
    for (std::int64_t i = first; i < first + count; ++i) {
        const std::string value(static_cast<std::size_t>(i % 700 + 1), 'v');
        switch (i % 5) {
        case 0:
        case 1:
            out << "SET key:" << i * 7919 % 100'003 << ' ' << value << "\r\n";
            break;
        case 2:
            out << "HSET hash:" << i % 1000 << " field" << i << ' ' << value << "\r\n";
            break;
        case 3:
            out << "ZADD sorted " << i * 7919 % 10'007 << " member" << i << "\r\n";
            break;
        default:
            out << "DEL key:" << i * 104'729 % 100'003 << "\r\n";
        }
    }
    return out.str();
}

// False when the connection ends before all is sent and `lines` answers have come.
bool Talk(int fd, const std::string &text, std::int64_t lines) {
    for (std::size_t done = 0; done < text.size();) {
        const ssize_t sent = send(fd, text.data() + done, text.size() - done, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        done += static_cast<std::size_t>(sent);
    }
    char answer[4096];
    while (lines > 0) {
        const ssize_t got = recv(fd, answer, sizeof(answer), 0);
        if (got <= 0) return false;
        lines -= std::count(answer, answer + got, '\n');
    }
    return true;
}

// A connection to the server; -1 when it does not open its socket within five seconds.
int Connect(const std::string &path) {
    constexpr int kTries = 5000;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    for (int i = 0; i < kTries; ++i) {
        if (connect(fd, reinterpret_cast<const sockaddr *>(&address), sizeof(address)) == 0) {
            return fd;
        }
        usleep(1000);
    }
    close(fd);
    return -1;
}

// Has the server do its steps, and end.
bool Serve(const std::string &socket_path, std::int64_t steps) {
    constexpr std::int64_t kAtOnce = 200;
    const int fd = Connect(socket_path);
    if (fd < 0) return false;
    bool good = true;
    for (std::int64_t i = 0; i < steps && good; i += kAtOnce) {
        good = Talk(fd, Commands(i, kAtOnce), kAtOnce);
    }
    Talk(fd, "SHUTDOWN NOSAVE\r\n", 0);
    char end;
    while (recv(fd, &end, 1, 0) > 0) {
    }
    close(fd);
    return good;
}

double Nanoseconds(const timeval &time) {
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
}

} // namespace

std::string FindProgram(const std::string &name) {
    const char *path = std::getenv("PATH");
    std::istringstream directories(std::string("/usr/bin:/bin:/usr/local/bin:") +
                                   (path == nullptr ? "" : path));
    for (std::string directory; std::getline(directories, directory, ':');) {
        const std::string candidate = directory + "/" + name;
        std::error_code ignored;
        if (fs::is_regular_file(candidate, ignored) && access(candidate.c_str(), X_OK) == 0) {
            return candidate;
        }
    }
    return "";
}

ProgramRun::ProgramRun(const Params &params)
    : program_(Programs().at(static_cast<std::size_t>(params.at("program")))),
      steps_(params.at("cycles")), served_(std::string(program_.name) == kServer) {}

ProgramRun::~ProgramRun() {
    std::error_code ignored;
    if (!directory_.empty()) fs::remove_all(directory_, ignored);
}

void ProgramRun::Prepare(int /*thread*/) {
    path_ = FindProgram(program_.name);
    std::string name = (fs::temp_directory_path() / "hak_bench.XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) return;
    directory_ = name;
    if (std::string(program_.name) == "gcc") WriteSource(fs::path(directory_) / kSource, steps_);
}

bool ProgramRun::Run(int /*thread*/) {
    failure_ = directory_.empty() ? "no directory to work in" : path_.empty() ? "not found" : "";
    if (!failure_.empty()) return false;
    const pid_t pid = Start(path_, program_, steps_, directory_);
    if (pid < 0) {
        failure_ = path_ + ": " + std::strerror(errno);
        return false;
    }
    const bool served = !served_ || Serve(directory_ + "/" + kSocket, steps_);
    int status = 0;
    rusage usage{};
    while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR) {
    }
    worked_ns_ = Nanoseconds(usage.ru_utime) + Nanoseconds(usage.ru_stime);
    peak_kib_ = static_cast<double>(usage.ru_maxrss);
    if (WIFSIGNALED(status)) failure_ = path_ + " ended by " + strsignal(WTERMSIG(status));
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        failure_ = path_ + ": exit code " + std::to_string(WEXITSTATUS(status));
    }
    if (failure_.empty() && !served) failure_ = path_ + " gave no answer";
    return failure_.empty();
}

// A program without its malloc cannot be run.
void ProgramRun::RunEmpty(int /*thread*/) { worked_ns_ = 0; }

std::map<std::string, double> ProgramRun::figures() const {
    return {{"program_peak_kib", peak_kib_}};
}

} // namespace hak_bench
