/* A program forks while its first thread to allocate makes the key by which threads end: the child,
 * where that thread is not, makes its own. */
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "hakmem/hakmem.h"

namespace {

std::atomic<bool> stops{false}, is_there{false}, go_on{false};

} // namespace

/* In place of the C library's, for this program: stops in mid-step. */
extern "C" int pthread_key_create(pthread_key_t *key, void (*destructor)(void *)) noexcept {
    if (stops) {
        is_there = true;
        while (!go_on) std::this_thread::yield();
    }
    using function = int (*)(pthread_key_t *, void (*)(void *));
    static auto real = reinterpret_cast<function>(dlsym(RTLD_NEXT, "pthread_key_create"));
    return real(key, destructor);
}

namespace {

TEST(ForkBesideStart, TheChildMakesItsKey) {
    stops = true;
    std::thread first([] { hak_free(hak_malloc(100)); });
    while (!is_there) std::this_thread::yield();
    pid_t child = fork();
    if (child == 0) {
        alarm(20); /* a deadlock ends as a signal */
        go_on = true;
        void *block = hak_malloc(100);
        hak_free(block);
        _exit(block != nullptr && hak_check_counts() ? 0 : 1);
    }
    go_on = true;
    first.join();
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

} // namespace
