/* Forks from where hakmem is at work: from a signal handler inside a slow path, from the program's
 * fork handlers, from a fork inside a fork. */
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>
#include <vector>

#include "hakmem/hakmem.h"
#include "hakmem/os_backend/os_backend.h"

namespace {

constexpr unsigned kHang = 20; /* seconds until a process that hangs is ended */

void ExpectEnds(pid_t child) {
    ASSERT_GT(child, 0);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status)) << status;
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

/* Fixed arrays: the C library's own malloc may be locked in a child. */
void UseEverySize() {
    void *blocks[64];
    int n = 0;
    for (size_t size = 16; size < (size_t{4} << 20); size += size / 2) {
        blocks[n] = hak_malloc(size);
        if (blocks[n++] == nullptr) _exit(7);
    }
    while (n > 0) hak_free(blocks[--n]);
}

/* A process with all its memory uses every size, in a thread of its own too, gives back, counts. */
bool IsWhole() {
    UseEverySize();
    std::thread(UseEverySize).join();
    hak_trim(0);
    return hak_check_counts();
}

/* What handlers may do at any time: served aside, if need be. */
void AllocateALittle() {
    for (size_t size : {size_t{40}, size_t{5000}, size_t{300000}, size_t{3} << 20}) {
        void *b = hak_malloc(size);
        if (b == nullptr) _exit(8);
        static_cast<char *>(b)[size - 1] = 1;
        hak_free(b);
    }
}

/* ---- In a slow path ---- */

std::function<void()> at_call; /* stands for a signal handler, at a call of the system */
int calls_to_go;

bool Interrupt(os_call) {
    if (--calls_to_go == 0) at_call();
    return false;
}

/* All that has slow paths, until the handler came. False: it came no more. */
bool RunUntilCall(int nth) {
    calls_to_go = nth;
    hak_os_set_fault(Interrupt);
    std::vector<void *> blocks;
    for (int i = 0; i < 400; i++) blocks.push_back(hak_malloc(20000 + 50 * i));
    blocks.push_back(hak_malloc(size_t{5} << 20));
    for (void *b : blocks) hak_free(b);
    hak_trim(0);
    hak_os_set_fault(nullptr);
    return calls_to_go <= 0;
}

TEST(ForkInASlowPath, OfAProgramWithOneThreadHasAWholeChild) {
    int nth = 1;
    for (bool came = true; came && nth < 60; nth++) {
        pid_t parent = getpid(), child = -1;
        at_call = [&child] {
            child = fork();
            if (child == 0) alarm(kHang);
            AllocateALittle();
        };
        came = RunUntilCall(nth);
        if (getpid() != parent) _exit(IsWhole() ? 0 : 1);
        if (came) ExpectEnds(child);
    }
    EXPECT_GT(nth, 10);
    EXPECT_TRUE(IsWhole());
}

/* Threads in slow paths of their own all the time. */
class Busy {
  public:
    Busy() {
        for (int i = 0; i < 3; i++) threads_.emplace_back([this] { Run(); });
        while (rounds_ < 30) std::this_thread::yield();
    }
    ~Busy() {
        stop_ = true;
        for (std::thread &t : threads_) t.join();
    }

  private:
    void Run() {
        void *blocks[60];
        while (!stop_) {
            for (int i = 0; i < 60; i++) blocks[i] = hak_malloc(5000 + 997 * i);
            hak_free(hak_malloc(size_t{2} << 20));
            for (void *b : blocks) hak_free(b);
            hak_trim(0);
            rounds_++;
        }
    }
    std::atomic<bool> stop_{false};
    std::atomic<int> rounds_{0};
    std::vector<std::thread> threads_;
};

/* Beside other threads the child goes on inside the handler: it may allocate and free until it
 * runs another program, or ends. */
TEST(ForkInASlowPath, BesideOtherThreadsServesTheHandlerInTheChild) {
    static void *mine[8];
    static std::thread::id me;
    static pid_t child;
    Busy busy;
    for (void *&b : mine) b = hak_malloc(700);
    me = std::this_thread::get_id();
    for (int n = 0; n < 60; n++) {
        child = -1;
        hak_os_set_fault([](os_call) {
            if (std::this_thread::get_id() != me || child != -1) return false;
            child = 0; /* fork's handlers come here too */
            child = fork();
            if (child != 0) return false;
            alarm(kHang);
            for (int i = 0; i < 100; i++) AllocateALittle();
            for (void *b : mine) hak_free(b);
            if (getpid() % 2 == 0) _exit(0);
            execl("/bin/true", "true", nullptr);
            _exit(9);
        });
        while (child == -1) {
            hak_free(hak_malloc(size_t{9} << 20));
            hak_trim(0);
        }
        hak_os_set_fault(nullptr);
        ExpectEnds(child);
    }
    for (void *b : mine) hak_free(b);
}

/* ---- In fork handlers ---- */

/* Registered before hakmem's: prepare runs when hakmem holds its locks, the others before it lets
 * them go. */
std::function<void()> in_early_prepare, in_late_prepare;
std::atomic<int> handlers{0};

void EarlyPrepare() {
    handlers++;
    AllocateALittle();
    if (in_early_prepare) in_early_prepare();
}
void LatePrepare() {
    handlers++;
    AllocateALittle();
    if (in_late_prepare) in_late_prepare();
}
void After() {
    handlers++;
    AllocateALittle();
}

__attribute__((constructor(101))) void RegisterEarly() {
    pthread_atfork(EarlyPrepare, After, After);
}

void RegisterLate() {
    static bool done = (pthread_atfork(LatePrepare, After, After), true);
    (void)done;
}

/* Forks; the child does something, and must be whole. */
template <typename Body> void ForkWhole(Body body) {
    pid_t child = fork();
    if (child == 0) {
        alarm(kHang);
        body();
        _exit(IsWhole() && !testing::Test::HasFailure() ? 0 : 1);
    }
    ExpectEnds(child);
}

uint64_t Threads() {
    hak_stats stats{};
    stats.size = sizeof(stats);
    hak_stats_get(&stats);
    return stats.threads;
}

TEST(ForkHandlers, MayAllocate) {
    RegisterLate();
    Busy busy;
    handlers = 0;
    for (int i = 0; i < 20; i++) ForkWhole([] {});
    EXPECT_EQ(handlers, 20 * 4);
}

/* In a program with one thread: glibc itself hangs beside others. */
TEST(ForkHandlers, MayForkInsideAFork) {
    RegisterLate();
    ForkWhole([] {
        for (std::function<void()> *where : {&in_early_prepare, &in_late_prepare}) {
            static pid_t inner;
            *where = [where] {
                std::function<void()> once;
                once.swap(*where);
                inner = fork();
                if (inner != 0) return;
                AllocateALittle();
                _exit(0);
            };
            ForkWhole([] {});
            ExpectEnds(inner);
        }
    });
}

/* The child of a fork inside another one goes on with that, as its parent: the threads are gone. */
TEST(ForkHandlers, TheChildOfAForkInsideAForkMayGoOn) {
    Busy busy;
    for (int i = 0; i < 50; i++) {
        static pid_t inner;
        in_early_prepare = [] {
            inner = _Fork();
            if (inner == 0) alarm(kHang);
        };
        pid_t child = fork();
        in_early_prepare = nullptr;
        if (inner == 0) {
            UseEverySize();
            hak_trim(0);
            bool whole = hak_check_counts() && Threads() == 1;
            if (child == 0) _exit(whole ? 0 : 1);
            int status = -1;
            waitpid(child, &status, 0);
            _exit(whole && status == 0 ? 0 : 1);
        }
        if (child == 0) _exit(IsWhole() ? 0 : 1);
        ExpectEnds(child);
        ExpectEnds(inner);
    }
}

} // namespace
