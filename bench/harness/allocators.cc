#include "bench/harness/allocators.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "bench/harness/flags.h"

namespace hak_bench {
namespace {

namespace fs = std::filesystem;

constexpr char kSystem[] = "system";
constexpr char kSubjectFile[] = "hakmem/libhakmem.so";

struct Peer {
    const char *name;
    std::vector<const char *> sonames; // the first that is there is taken
    const char *package;               // Debian's name
};

const std::vector<Peer> &KnownPeers() {
    static const auto *peers = new std::vector<Peer>{
        {"jemalloc", {"libjemalloc.so.2"}, "libjemalloc2"},
        {"mimalloc", {"libmimalloc.so.2", "libmimalloc.so.2.0"}, "libmimalloc2.0"},
        {"mimalloc3", {"libmimalloc.so.3", "libmimalloc.so.3.0"}, "libmimalloc3"},
        {"tcmalloc", {"libtcmalloc_minimal.so.4"}, "libtcmalloc-minimal4"},
    };
    return *peers;
}

bool IsReadableFile(const fs::path &path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored) && access(path.c_str(), R_OK) == 0;
}

std::string Environment(const char *name) {
    const char *value = std::getenv(name);
    return value == nullptr ? "" : value;
}

// Debian's multiarch directory first, then where other distributions keep libraries.
std::string FindPeer(const Peer &peer) {
    utsname machine{};
    uname(&machine);
    const std::string multiarch = std::string("/usr/lib/") + machine.machine + "-linux-gnu";
    for (const fs::path &directory : {fs::path(multiarch), fs::path("/usr/lib64"),
                                      fs::path("/usr/lib"), fs::path("/usr/local/lib")}) {
        for (const char *soname : peer.sonames) {
            if (IsReadableFile(directory / soname)) return directory / soname;
        }
    }
    return "";
}

// The main repository's folder among the runfiles has a name that depends on Bazel's version
// and the workspace, so every folder is tried.
std::string FindInRunfiles(const fs::path &runfiles) {
    std::error_code error;
    for (fs::directory_iterator entry(runfiles, error), end; !error && entry != end;
         entry.increment(error)) {
        if (IsReadableFile(entry->path() / kSubjectFile)) return entry->path() / kSubjectFile;
    }
    return "";
}

std::string FindSubject() {
    for (const char *variable : {"RUNFILES_DIR", "TEST_SRCDIR"}) {
        const std::string runfiles = Environment(variable);
        if (runfiles.empty()) continue;
        if (std::string path = FindInRunfiles(runfiles); !path.empty()) return path;
    }
    std::error_code error;
    const fs::path self = fs::read_symlink("/proc/self/exe", error);
    for (const fs::path &program : {fs::path(program_invocation_name), self}) {
        if (std::string path = FindInRunfiles(program.string() + ".runfiles"); !path.empty()) {
            return path;
        }
    }
    const fs::path root = Environment("BUILD_WORKSPACE_DIRECTORY");
    for (const fs::path &path :
         {self.parent_path().parent_path() / kSubjectFile, root / "bazel-bin" / kSubjectFile}) {
        if (IsReadableFile(path)) return path;
    }
    return "";
}

// Adds one element of the list to `out`, or sets `out->error`.
void Resolve(const std::string &element, AllocatorList *out) {
    const std::size_t equals = element.find('=');
    Allocator allocator{element.substr(0, equals), ""};
    const auto named = [&](const auto &other) { return other.name == allocator.name; };
    const auto peer = std::find_if(KnownPeers().begin(), KnownPeers().end(), named);
    if (std::any_of(out->found.begin(), out->found.end(), named)) {
        out->error = "allocator '" + allocator.name + "' is named twice";
        return;
    }
    if (equals != std::string::npos) {
        const fs::path path = FromUsersDirectory(element.substr(equals + 1));
        if (allocator.name.empty() || allocator.name == kSystem || !IsReadableFile(path)) {
            out->error =
                "allocator '" + element + "': " +
                (IsReadableFile(path) ? "not a name to give" : "cannot read " + path.string());
            return;
        }
        allocator.path = path;
    } else if (allocator.name == kSubject) {
        allocator.path = FindSubject();
        if (allocator.path.empty()) {
            out->error = std::string("cannot find ") + kSubjectFile +
                         ": run this through Bazel, or say hakmem=PATH/libhakmem.so";
        }
    } else if (peer != KnownPeers().end()) {
        allocator.path = FindPeer(*peer);
        if (allocator.path.empty()) {
            out->error =
                allocator.name + " is not installed (Debian: apt install " + peer->package + ")";
        }
    } else if (allocator.name != kSystem) {
        out->error = "unknown allocator '" + element +
                     "': known are hakmem, system, jemalloc, mimalloc, mimalloc3, tcmalloc, "
                     "NAME=PATH.so";
    }
    if (!out->error.empty()) return;
    // LD_PRELOAD splits at these, and has no way to quote them.
    if (!allocator.path.empty()) allocator.path = fs::absolute(allocator.path);
    if (allocator.path.find_first_of(" :") != std::string::npos) {
        out->error = "allocator '" + allocator.name + "': LD_PRELOAD allows no space or colon in " +
                     allocator.path;
        return;
    }
    out->found.push_back(allocator);
}

void ResolveAll(AllocatorList *out) {
    Resolve(kSubject, out);
    if (out->error.empty()) Resolve(kSystem, out);
    if (!out->error.empty()) return;
    for (const Peer &peer : KnownPeers()) {
        Resolve(peer.name, out);
        if (!out->error.empty()) out->notes.push_back("left out: " + out->error);
        out->error.clear();
    }
}

} // namespace

AllocatorList ResolveAllocators(const std::string &list) {
    AllocatorList out;
    if (list == "all") {
        ResolveAll(&out);
        return out;
    }
    std::size_t begin = 0;
    while (begin <= list.size() && out.error.empty()) {
        const std::size_t comma = std::min(list.find(',', begin), list.size());
        const std::string element = list.substr(begin, comma - begin);
        if (element.empty()) {
            out.error = "--allocators has an empty name: '" + list + "'";
        } else if (element == "all") {
            ResolveAll(&out);
        } else {
            Resolve(element, &out);
        }
        begin = comma + 1;
    }
    return out;
}

} // namespace hak_bench
