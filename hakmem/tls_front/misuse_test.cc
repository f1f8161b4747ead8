/* Misuses that giving a block back finds, at once or when its list returns. */
#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <thread>
#include <vector>

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

TEST(TlsFrontMisuse, FindsAFreeInsideABlock) {
    expect_end("^hakmem: invalid free: .*not the start of a block", [] {
        char *a = static_cast<char *>(allocate(kClass));
        EXPECT_FALSE(front_push(a + 16));
        give(a + 16);
    });
    expect_end("^hakmem: invalid free: .*not the start of a block", [] {
        char *a = static_cast<char *>(allocate(kClass));
        EXPECT_FALSE(front_push(a + 1));
        give(a + 1);
    });
}

TEST(TlsFrontMisuse, FindsADoubleFreeOfABlockThatIsBackInItsSlab) {
    expect_end("^hakmem: double free: ", [] {
        void *a = allocate(kClass), *kept = allocate(kClass);
        give(a);
        flush();
        give(a);
        (void)kept;
    });
    expect_end("^hakmem: double free: ", [] { /* its link was written to, and it is found there */
                                              void *a = allocate(kClass), *kept = allocate(kClass);
                                              give(a);
                                              flush();
                                              *static_cast<int *>(a) = 1;
                                              give(a);
                                              (void)kept;
    });
    expect_end("^hakmem: double free: ", [] {
        void *a = allocate(40), *kept = allocate(40); /* a cold class */
        give(a);
        give(a);
        (void)kept;
    });
    expect_end("^hakmem: double free: ", [] {
        void *a = allocate(kClass), *kept = allocate(kClass);
        block_link(a, LIST_END, hak_front.heap->lists.cookie);
        EXPECT_EQ(hak_slab_give(hak_slab_of(a), a), SLAB_OK);
        *block_cookie(a) ^= 1; /* its bit tells */
        give(a);
        (void)kept;
        _exit(0);
    });
}

TEST(TlsFrontMisuse, FindsADoubleFreeOfABlockInAListWhoseLinkWasWrittenTo) {
    expect_end("^hakmem: double free: ", [] {
        void *a = allocate(kClass), *b = allocate(kClass);
        give(b);
        give(a); /* linked to the other */
        *static_cast<int *>(a) = 1;
        give(a);
        _exit(0);
    });
    expect_end("^hakmem: double free: ", [] {
        void *a = allocate(kClass);
        flush();
        warm_up(kClass);
        while (front_pop(kClass << CLASS_SCALE) != nullptr) {
        }
        give(a); /* the only one */
        *static_cast<int *>(a) = 1;
        give(a);
        _exit(0);
    });
}

TEST(TlsFrontMisuse, ABlockWhoseBytesLookLikeAMarkIsFreed) {
    in_a_thread([] {
        warm_up(kClass);
        void *a = allocate(kClass), *medium = allocate(40);
        int foreign = 0;
        for (const void *next : {static_cast<const void *>(medium), /* of another class */
                                 static_cast<const void *>(&foreign)}) {
            *block_cookie(a) = block_mark(a, next, hak_front.heap->lists.cookie);
            EXPECT_TRUE(block_may_be_marked(a));
            give(a);
            EXPECT_EQ(allocate(kClass), a);
        }
        *block_cookie(a) = uint64_t{MARK_BYTE} << 56 | 1;
        give(a);
        EXPECT_EQ(allocate(kClass), a);
        give(a);
        give(medium);
        flush();
    });
    EXPECT_EQ(bytes_out(), 0u);
}

/* A free block in `give` is written to by `damage`, and must not be followed, given or returned. */
template <typename Damage> void expect_corrupted(Damage damage) {
    const char *line =
        "^hakmem: corrupted free block: block 0x[0-9a-f]+ \\(size class 64 bytes\\); ";
    expect_end(line, [=] { /* when it goes back */
                           void *a = allocate(kClass);
                           give(a);
                           damage(a);
    });
    expect_end(line, [=] { /* when it is given */
                           void *a = allocate(kClass);
                           std::vector<void *> rest;
                           while (void *b = front_pop(kClass << CLASS_SCALE)) rest.push_back(b);
                           give(a);
                           damage(a);
                           allocate(kClass);
                           _exit(0);
    });
    expect_end(line, [=] { /* when its slab gives it */
                           void *a = allocate(kClass), *kept = allocate(kClass);
                           give(a);
                           flush();
                           damage(a);
                           for (int i = 0; i < 2000; i++) allocate(kClass);
                           (void)kept;
                           _exit(0);
    });
}

TEST(TlsFrontMisuse, FindsAFreeBlockThatWasWrittenTo) {
    static int local;
    expect_corrupted([](void *block) { *static_cast<void **>(block) = &local; });
    expect_corrupted([](void *block) { *static_cast<uintptr_t *>(block) = UINTPTR_MAX; });
    expect_corrupted([](void *block) { *static_cast<char *>(block) += 16; });
    expect_corrupted([](void *block) { *static_cast<void **>(block) = allocate(kClass + 4); });
    expect_corrupted([](void *block) { *block_cookie(block) ^= 1; });
    expect_corrupted([](void *block) { std::memset(block, 0, 16); });
}

TEST(TlsFrontMisuse, ABlockThatIsInAListTwiceGoesOutOnce) {
    expect_end("^hakmem: corrupted free block: ", [] {
        void *a = allocate(kClass), *b = allocate(kClass);
        std::vector<void *> rest;
        while (void *other = front_pop(kClass << CLASS_SCALE)) rest.push_back(other);
        give(a);
        *block_cookie(a) = 0; /* so that the second free is not seen */
        give(b);
        give(a);
        EXPECT_EQ(allocate(kClass), a);
        EXPECT_EQ(allocate(kClass), b);
        allocate(kClass);
        _exit(0);
    });
}

/* Every address of a unit, by a second reading of the same rule. */
TEST(TlsFrontMisuse, OnlyAddressesWhereABlockBeginsAreTaken) {
    hak_front_start();
    for (unsigned c = 0; c < CLASSES; c++) {
        const size_class &sc = hak_size_class[c];
        const list_pair *list = &hak_front.heap->lists.of[c];
        for (size_t at = 0; at < sc.span * SLAB_BYTES; at++) {
            bool begins = at % sc.block_bytes == 0 && at / sc.block_bytes < sc.capacity;
            const void *address = reinterpret_cast<void *>(at);
            uint32_t word = hak_slab_word(c, static_cast<unsigned>(at / SLAB_BYTES));
            ASSERT_EQ(sc.span == 1 ? starts_block(list, address)
                                   : starts_medium(list, address, word),
                      begins)
                << c << " " << at;
        }
    }
    EXPECT_FALSE(starts_block(&hak_front.heap->lists.none, nullptr));
}

/* A block of a thread that holds on to its slabs. */
template <typename Body> void with_anothers_block(Body body) {
    std::atomic<void *> theirs{nullptr};
    std::thread other([&] {
        hak_front_start();
        allocate(kClass); /* the slab's first stays with them */
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
