/* Under a filter of system calls (seccomp) that refuses what the C library can do without: threads
 * come and go, each with blocks of its own, and nothing is handed out twice. */
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"

namespace {

/* From now on the call fails so. For good: in a child. */
bool Refuse(unsigned call, unsigned error) {
    sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    sock_fprog filter = {4, steps};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

struct Block {
    char *at = nullptr;
    size_t bytes = 0;
    char filled = 0;
    bool IsWhole() const { return at == nullptr || (at[0] == filled && at[bytes - 1] == filled); }
};

/* Replaces blocks at random; false: one was written to by somebody else. */
bool Replace(unsigned seed) {
    Block blocks[200];
    for (int i = 0; i < 20000; i++) {
        Block &b = blocks[rand_r(&seed) % 200];
        if (!b.IsWhole()) return false;
        hak_free(b.at);
        b.bytes = 1 + static_cast<size_t>(rand_r(&seed)) % (i % 100 == 0 ? 3 << 20 : 2000);
        b.filled = static_cast<char>(rand_r(&seed));
        b.at = static_cast<char *>(hak_malloc(b.bytes));
        if (b.at == nullptr) return false;
        b.at[0] = b.at[b.bytes - 1] = b.filled;
    }
    for (Block &b : blocks) hak_free(b.at);
    return true;
}

[[noreturn]] void RunFiltered(unsigned call, unsigned error) {
    if (!Refuse(call, error)) {
        std::fprintf(stderr, "no filters here\n");
        _exit(2);
    }
    bool whole = true;
    for (int generation = 0; generation < 3; generation++) {
        std::vector<std::thread> threads;
        for (unsigned t = 0; t < 4; t++) {
            threads.emplace_back([&whole, t] {
                if (!Replace(t + 1)) whole = false;
            });
        }
        for (std::thread &t : threads) t.join();
    }
    hak_trim(0);
    _exit(whole && hak_check_counts() ? 0 : 1);
}

TEST(Filtered, ThreadsKeepApartWhateverIsRefused) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    for (unsigned call : {SYS_gettid, SYS_getpid, SYS_tgkill, SYS_madvise, SYS_mincore,
                          SYS_getrandom, SYS_mremap, SYS_prlimit64, SYS_openat}) {
        for (unsigned error : {EPERM, ENOSYS, ESRCH}) {
            EXPECT_EXIT(RunFiltered(call, error), testing::ExitedWithCode(0), "")
                << "system call " << call << ", error " << error;
        }
    }
}

} // namespace
