#include "hakmem/api_workload.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"

namespace hakmem_test {
namespace {

constexpr size_t kKiB = 1024, kMiB = 1024 * kKiB;
/* Bytes at each end that tell a block's own content. */
constexpr size_t kEnd = 64;

struct Block {
    unsigned char *at = nullptr;
    size_t bytes = 0;
    unsigned char tag = 0;
};

/* One thread's part. */
class Mixer {
  public:
    Mixer(const Mix &mix, uint64_t seed)
        : mix_(mix), largest_(mix.largest != 0 ? mix.largest : 4 * kMiB), random_(seed),
          blocks_(static_cast<size_t>(mix.slots)) {}

    void Steps(int count) {
        for (int i = 0; i < count && outcome.wrong.empty(); i++) Step();
    }

    void CheckAll() {
        for (const Block &b : blocks_) Check(b);
    }

    void FreeAll() {
        for (Block &b : blocks_) Free(&b);
    }

    Outcome outcome;

  private:
    size_t Random(size_t below) {
        random_ = random_ * 6364136223846793005u + 1442695040888963407u;
        return static_cast<size_t>(random_ >> 33) % below;
    }

    /* Small, medium and large alike. */
    size_t Size() {
        static const size_t kBelow[] = {129, kKiB, 32 * kKiB, kMiB, 4 * kMiB};
        return std::min(largest_, Random(kBelow[Random(5)]));
    }

    void Wrong(const char *what, size_t bytes) {
        if (!outcome.wrong.empty()) return;
        outcome.wrong = std::string(what) + " (" + std::to_string(bytes) + " bytes)";
    }

    /* The block of a call that may have failed; errno was 0 before it. */
    void Gave(Block *b, void *at, size_t bytes) {
        if (at == nullptr) {
            if (errno != ENOMEM) Wrong("NULL without ENOMEM", bytes);
            outcome.refused++;
            return;
        }
        b->at = static_cast<unsigned char *>(at);
        b->bytes = bytes;
        if (reinterpret_cast<uintptr_t>(at) % 16 != 0) Wrong("not aligned to 16", bytes);
        if (hak_usable_size(at) < bytes) Wrong("usable_size is too small", bytes);
        Fill(b);
    }

    void Fill(Block *b) {
        b->tag = static_cast<unsigned char>(1 + Random(255));
        std::memset(b->at, b->tag, std::min(b->bytes, kEnd));
        if (b->bytes > kEnd) std::memset(b->at + b->bytes - kEnd, b->tag, kEnd);
    }

    bool Holds(const unsigned char *at, size_t bytes, unsigned char tag) {
        for (size_t i = 0; i < bytes; i++) {
            if (at[i] != tag) return false;
        }
        return true;
    }

    void Check(const Block &b) {
        if (b.at == nullptr) return;
        bool whole = Holds(b.at, std::min(b.bytes, kEnd), b.tag) &&
                     (b.bytes <= kEnd || Holds(b.at + b.bytes - kEnd, kEnd, b.tag));
        if (!whole) Wrong("the content changed", b.bytes);
    }

    void Free(Block *b) {
        Check(*b);
        errno = 77;
        hak_free(b->at);
        if (errno != 77) Wrong("free changed errno", b->bytes);
        b->at = nullptr;
    }

    void Aligned(Block *b) {
        size_t align = static_cast<size_t>(16) << Random(18), bytes = Size();
        Gave(b, hak_aligned_alloc(align, bytes), bytes);
        if (reinterpret_cast<uintptr_t>(b->at) % align != 0) Wrong("not aligned", align);
    }

    void Zeroed(Block *b) {
        size_t bytes = Size();
        auto *at = static_cast<unsigned char *>(hak_calloc(1, bytes));
        for (size_t i = 0; at != nullptr && i < bytes; i += i < 4 * kKiB ? 1 : 509) {
            if (at[i] != 0) Wrong("calloc gave what is not zero", bytes);
        }
        Gave(b, at, bytes);
    }

    void Resize(Block *b) {
        size_t bytes = 1 + Size(), kept = std::min(kEnd, std::min(b->bytes, bytes));
        void *at = hak_realloc(b->at, bytes);
        if (at != nullptr && !Holds(static_cast<unsigned char *>(at), kept, b->tag)) {
            Wrong("realloc lost the content", bytes);
        }
        Gave(b, at, bytes);
    }

    void Posix(Block *b) {
        void *at = nullptr;
        size_t bytes = Size();
        int error = hak_posix_memalign(&at, static_cast<size_t>(8) << Random(10), bytes);
        if (errno != 0) Wrong("posix_memalign changed errno", bytes);
        errno = error;
        Gave(b, at, bytes);
    }

    void Step() {
        Block *b = &blocks_[Random(blocks_.size())];
        size_t what = Random(16);
        errno = 0;
        if (b->at != nullptr && what < 4) {
            Check(*b);
            Resize(b);
            return;
        }
        if (b->at != nullptr) {
            Free(b);
            return;
        }
        size_t bytes = Size();
        if (what == 4) {
            Zeroed(b);
        } else if (what == 5) {
            Aligned(b);
        } else if (what == 6) {
            Posix(b);
        } else {
            Gave(b, hak_malloc(bytes), bytes);
        }
        if (Random(64) == 0) hak_trim(Random(2) * kMiB);
        if (Random(128) == 0) hak_thread_idle();
    }

    const Mix &mix_;
    size_t largest_;
    uint64_t random_;
    std::vector<Block> blocks_;
};

/* A child has its copies of everything, and can go on. */
std::string InAChild(const std::vector<std::unique_ptr<Mixer>> &mixers) {
    int ends[2];
    if (pipe(ends) != 0) return "";
    pid_t child = fork();
    if (child == 0) {
        std::string wrong;
        mixers[0]->Steps(60);
        for (const auto &m : mixers) {
            m->CheckAll();
            m->FreeAll();
            if (wrong.empty()) wrong = m->outcome.wrong;
        }
        if (wrong.empty() && !hak_check_counts()) wrong = "counts do not agree";
        if (write(ends[1], wrong.data(), wrong.size()) < 0) _exit(1);
        _exit(0);
    }
    close(ends[1]);
    char said[200];
    ssize_t n = child > 0 ? read(ends[0], said, sizeof(said)) : 0;
    close(ends[0]);
    int status = 0;
    if (child > 0) waitpid(child, &status, 0);
    if (n > 0) return "in a child: " + std::string(said, static_cast<size_t>(n));
    return status == 0 ? "" : "a child ended with status " + std::to_string(status);
}

} // namespace

Outcome RunMix(const Mix &mix) {
    std::vector<std::unique_ptr<Mixer>> mixers;
    for (int t = 0; t <= mix.threads; t++) {
        mixers.push_back(std::make_unique<Mixer>(mix, mix.seed * 1000 + static_cast<uint64_t>(t)));
    }
    std::vector<std::thread> threads;
    for (int t = 1; t <= mix.threads; t++) {
        threads.emplace_back(
            [&mix, m = mixers[static_cast<size_t>(t)].get()] { m->Steps(mix.steps); });
    }
    mixers[0]->Steps(mix.steps);
    for (std::thread &thread : threads) thread.join();
    Outcome all;
    if (mix.forks) all.wrong = InAChild(mixers);
    for (auto &m : mixers) {
        m->FreeAll();
        all.refused += m->outcome.refused;
        if (all.wrong.empty()) all.wrong = m->outcome.wrong;
    }
    return all;
}

std::string WhatIsLost() {
    if (!hak_check_counts()) return "counts do not agree";
    hak_trim(0);
    if (!hak_check_counts()) return "counts do not agree after a trim";
    hak_stats s = {};
    s.size = sizeof(s);
    if (!hak_stats_get(&s)) return "no statistics";
    if (s.live_bytes != 0) return std::to_string(s.live_bytes) + " bytes are live";
    if (s.large_bytes != 0) return std::to_string(s.large_bytes) + " bytes of large are live";
    if (s.transfer_bytes != 0) return "chains are in transit";
    if (s.resident_free_bytes != 0) {
        return std::to_string(s.resident_free_bytes) + " bytes are kept after a trim";
    }
    return "";
}

size_t ResidentBytes() {
    FILE *f = std::fopen("/proc/self/statm", "r");
    if (f == nullptr) return 0;
    unsigned long total = 0, resident = 0;
    int n = std::fscanf(f, "%lu %lu", &total, &resident);
    std::fclose(f);
    return n == 2 ? resident * static_cast<size_t>(sysconf(_SC_PAGESIZE)) : 0;
}

} // namespace hakmem_test
