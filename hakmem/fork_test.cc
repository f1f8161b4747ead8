/* A child of a program with threads may go on allocating, whatever the others were doing. */
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"

namespace {

/* Allocates and frees until told to stop. */
void churn(uint64_t seed, const std::atomic<bool> &stop) {
    std::mt19937_64 random(seed);
    std::vector<void *> blocks(200);
    while (!stop) {
        void *&b = blocks[random() % blocks.size()];
        hak_free(b);
        b = hak_malloc(random() % (random() % 50 == 0 ? 3000000 : 3000));
    }
    for (void *b : blocks) hak_free(b);
}

/* The child's life; its exit code. */
int live_on(const std::vector<char *> &inherited) {
    alarm(20); /* a deadlock ends as a signal */
    for (char *b : inherited) {
        if (b[0] != 'i') return 2;
        hak_free(b);
    }
    for (size_t size = 1; size < 5000000; size += size / 5 + 1) {
        char *b = static_cast<char *>(hak_malloc(size));
        if (b == nullptr) return 3;
        std::memset(b, 1, size);
        hak_free(b);
    }
    std::atomic<bool> stop{true};
    churn(1, stop);
    hak_trim(0);
    return 0;
}

TEST(Fork, AChildOfAProgramWithThreadsAllocates) {
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (uint64_t t = 0; t < 3; t++) threads.emplace_back([t, &stop] { churn(t, stop); });
    for (int i = 0; i < 40; i++) {
        std::vector<char *> inherited;
        for (size_t size = 1; size < 2000000; size *= 3) {
            inherited.push_back(static_cast<char *>(hak_malloc(size)));
            inherited.back()[0] = 'i';
        }
        pid_t child = fork();
        if (child == 0) _exit(live_on(inherited));
        int status = -1;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        EXPECT_TRUE(WIFEXITED(status)) << status;
        EXPECT_EQ(WEXITSTATUS(status), 0);
        for (char *b : inherited) hak_free(b);
    }
    stop = true;
    for (auto &t : threads) t.join();
}

} // namespace
