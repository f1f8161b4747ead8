/* Calls of the system fail, one by one, from one on, and at random: nobody crashes, nothing is
 * lost, and everything works again afterwards. Each run is a process of its own, which begins
 * without a single superslab. */
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "hakmem/api_workload.h"
#include "hakmem/hakmem.h"
#include "hakmem/os_backend/os_backend.h"

namespace {

using hakmem_test::Mix;
using hakmem_test::Outcome;

constexpr size_t kMiB = 1024 * 1024;

std::atomic<int> calls{0};  /* of the system, since the hook was set */
std::atomic<int> failed{0}; /* of these */
int first = 0, last = 0;    /* calls that fail: first <= n < last */
uint64_t one_in = 0;        /* else one in so many, at random */
std::atomic<uint64_t> random_state{0};

bool Fails(os_call) {
    int n = calls.fetch_add(1);
    bool fails = n >= first && n < last;
    if (one_in != 0) {
        uint64_t x = random_state.fetch_add(0x9e3779b97f4a7c15u) + 0x9e3779b97f4a7c15u;
        x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
        x = (x ^ x >> 27) * 0x94d049bb133111ebu;
        fails = (x ^ x >> 31) % one_in == 0;
    }
    if (fails) failed++;
    return fails;
}

/* What a process reports. */
struct Report {
    int calls, failed, refused;
    size_t stays;    /* bytes more resident than before */
    char wrong[200]; /* empty: nothing */
};

void Say(Report *report, const char *when, const std::string &what) {
    if (what.empty() || report->wrong[0] != '\0') return;
    std::snprintf(report->wrong, sizeof(report->wrong), "%s: %s", when, what.c_str());
}

/* The mix with failures; then, without, the same once more and a look at what is left. */
void RunWithFaults(const Mix &mix, Report *report) {
    size_t before = hakmem_test::ResidentBytes();
    hak_os_set_fault(Fails);
    Outcome hurt = hakmem_test::RunMix(mix);
    hak_os_set_fault(nullptr);
    report->calls = calls;
    report->failed = failed;
    report->refused = hurt.refused;
    Say(report, "with failures", hurt.wrong);
    Say(report, "with failures", hakmem_test::WhatIsLost());
    Outcome well = hakmem_test::RunMix(mix);
    Say(report, "afterwards", well.wrong);
    if (well.refused != 0) Say(report, "afterwards", "a call was refused");
    Say(report, "afterwards", hakmem_test::WhatIsLost());
    if (hak_os_discarded_bytes() != 0) Say(report, "afterwards", "ranges wait for unmapping");
    size_t after = hakmem_test::ResidentBytes();
    report->stays = after > before ? after - before : 0;
}

Report InAProcess(const Mix &mix) {
    Report report = {};
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        RunWithFaults(mix, &report);
        if (write(ends[1], &report, sizeof(report)) != sizeof(report)) _exit(1);
        _exit(0);
    }
    close(ends[1]);
    ssize_t n = read(ends[0], &report, sizeof(report));
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    if (n != sizeof(report) || status != 0) {
        Say(&report, "the process", "ended with status " + std::to_string(status));
    }
    return report;
}

class Faults : public testing::Test {
  protected:
    void SetUp() override { first = last = 0, one_in = 0; }
};

/* What stays resident without failures: metadata, stacks, the C++ library. */
size_t StaysAnyway(const Mix &mix) {
    int l = last;
    uint64_t o = one_in;
    last = 0, one_in = 0;
    Report r = InAProcess(mix);
    EXPECT_STREQ(r.wrong, "") << "without failures";
    last = l, one_in = o;
    return r.stays;
}

void ExpectAllIsWell(const Report &r, size_t stays_anyway) {
    EXPECT_STREQ(r.wrong, "");
    if (SHADOWED) return; /* a sanitizer's shadow is resident too, and grows as it likes */
    EXPECT_LE(r.stays, stays_anyway + 4 * kMiB) << "the mix holds 30 MiB and more";
}

/* Until a run is through before its call comes. Returns calls of a run without failures. */
int ForEachCall(const Mix &mix, int length) {
    size_t stays = StaysAnyway(mix);
    /* Forks are slow under a sanitizer: it looks at every ninth call. */
    for (int k = 0;; k += SHADOWED ? 9 : 1) {
        first = k;
        last = length == 0 ? INT32_MAX : k + length;
        Report r = InAProcess(mix);
        SCOPED_TRACE("call " + std::to_string(k) + " fails");
        ExpectAllIsWell(r, stays);
        if (testing::Test::HasFailure() || r.failed == 0) return r.calls;
    }
}

TEST_F(Faults, OfOneCallAreSurvivedWhicheverItIs) {
    int n = ForEachCall({.threads = 0}, 1);
    EXPECT_GT(n, 50) << "the mix asks the system too seldom for this to be a test";
    std::printf("one thread: each of %d calls failed\n", n);
}

TEST_F(Faults, OfOneCallAreSurvivedBesideThreads) {
    int n = ForEachCall({.steps = 120}, 1);
    std::printf("three threads: each of about %d calls failed\n", n);
}

TEST_F(Faults, OfAFewCallsInARowAreSurvived) { ForEachCall({.seed = 2, .threads = 0}, 3); }

TEST_F(Faults, OfAllCallsFromOneOnAreSurvived) { ForEachCall({.seed = 3, .threads = 1}, 0); }

TEST_F(Faults, AtRandomAreSurvived) {
    for (one_in = 2; one_in <= 64; one_in *= 2) {
        int refused = 0, lost = 0;
        for (uint64_t seed = 1; seed <= 5; seed++) {
            SCOPED_TRACE("one in " + std::to_string(one_in) + ", seed " + std::to_string(seed));
            random_state = seed * 1000003;
            Mix mix = {.seed = seed, .steps = 1000};
            Report r = InAProcess(mix);
            ExpectAllIsWell(r, StaysAnyway(mix));
            refused += r.refused;
            lost += r.failed;
        }
        std::printf("one in %d: %d calls failed, %d requests refused\n", static_cast<int>(one_in),
                    lost, refused);
        EXPECT_GT(lost, 0);
    }
}

} // namespace
