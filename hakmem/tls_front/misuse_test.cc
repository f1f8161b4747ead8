/* Misuses that giving a block back finds, at once or when its list returns. */
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "hakmem/tls_front/steps.h"

namespace {

/* A process that ends by a misuse, in a thread whose class keeps what is freed. */
template <typename Body> void expect_end(const char *line, Body body) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_EXIT(
        {
            hak_front_start();
            warm_up(kClass);
            body();
            flush();
        },
        testing::KilledBySignal(SIGABRT), line);
}

TEST(TlsFrontMisuse, FindsADoubleFree) {
    expect_end("^hakmem: double free: block 0x[0-9a-f]+ \\(size class 64 bytes\\);", [] {
        void *a = allocate(kClass);
        give(a);
        give(a);
    });
}

TEST(TlsFrontMisuse, FindsAFreeInsideABlockWhenItGoesBack) {
    expect_end("^hakmem: invalid free: .*not the start of a block", [] {
        char *a = static_cast<char *>(allocate(kClass));
        EXPECT_TRUE(front_push(a + 16));
    });
    expect_end("^hakmem: invalid free: .*not the start of a block", [] {
        char *a = static_cast<char *>(allocate(kClass));
        EXPECT_FALSE(front_push(a + 1));
        give(a + 1);
    });
}

TEST(TlsFrontMisuse, FindsADoubleFreeOfABlockThatIsBackInItsSlab) {
    auto free_again = [] {
        void *a = allocate(kClass), *kept = allocate(kClass);
        give(a);
        flush();
        *block_cookie(a) = 0;
        warm_up(kClass);
        if (!front_push(a)) give(a);
        (void)kept;
    };
    expect_end("^hakmem: double free: ", free_again);
    expect_end("^hakmem: double free: ", [] {
        void *a = allocate(40), *kept = allocate(40); /* a cold class */
        give(a);
        give(a);
        (void)kept;
    });
}

TEST(TlsFrontMisuse, FindsALinkThatWasOverwritten) {
    static int local;
    expect_end("^hakmem: corrupted free block: ", [] {
        void *a = allocate(kClass);
        give(a);
        block_set_next(a, &local);
    });
    expect_end("^hakmem: corrupted free block: ", [] {
        void *a = allocate(kClass), *other = allocate(kClass + 4);
        give(a);
        block_set_next(a, other);
    });
}

/* A block of a thread that holds on to its slabs. */
template <typename Body> void with_anothers_block(Body body) {
    std::atomic<void *> theirs{nullptr};
    std::thread other([&] {
        hak_front_start();
        theirs = allocate(kClass);
        for (;;) pause();
    });
    while (theirs == nullptr) sched_yield();
    body(theirs.load());
    flush();
    other.join();
}

TEST(TlsFrontMisuse, FindsADoubleFreeOfAnothersBlock) {
    expect_end("^hakmem: double free: ", [] {
        with_anothers_block([](void *theirs) { /* twice in one list */
                                               give(theirs);
                                               *block_cookie(theirs) = 0;
                                               give(theirs);
        });
    });
    expect_end("^hakmem: double free: ", [] {
        with_anothers_block([](void *theirs) { /* once there, once on the way */
                                               EXPECT_EQ(hak_slab_give_remote(theirs), SLAB_OK);
                                               give(theirs);
        });
    });
    expect_end("^hakmem: double free: ", [] {
        with_anothers_block([](void *theirs) {
            hak_front_free_aside(theirs);
            hak_front_free_aside(theirs);
        });
    });
}

} // namespace
