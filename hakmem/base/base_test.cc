/* Lock, list, text, rounding, and the message of a misuse. */
#include "hakmem/base/base.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

#include "hakmem/base/clock.h"
#include "hakmem/base/list.h"
#include "hakmem/base/lock.h"
#include "hakmem/base/misuse.h"
#include "hakmem/base/text.h"

namespace {

std::string contents(const text &t) { return std::string(t.bytes, t.length); }

TEST(Clock, LooksLikeNoAddress) {
    uint64_t now = clock_ms();
    EXPECT_GT(now, uint64_t{1} << HAK_ADDRESS_BITS);
    EXPECT_GT(static_cast<int64_t>(now), 0) << "later than what was never";
    EXPECT_LT(clock_ms() - now, 60'000u);
}

TEST(Base, RoundsUpToAPowerOfTwo) {
    EXPECT_EQ(align_up(0, 16), 0u);
    EXPECT_EQ(align_up(1, 16), 16u);
    EXPECT_EQ(align_up(16, 16), 16u);
    EXPECT_EQ(align_up(17, 16), 32u);
    EXPECT_EQ(align_up(4097, 4096), 8192u);
    EXPECT_EQ(align_up(UINT64_C(1) << 40, 4096), UINT64_C(1) << 40);
}

TEST(Base, KnowsPowersOfTwo) {
    EXPECT_FALSE(is_power_of_two(0));
    for (unsigned i = 0; i < 64; i++) {
        uint64_t n = UINT64_C(1) << i;
        EXPECT_TRUE(is_power_of_two(n)) << n;
        EXPECT_TRUE(n <= 2 || !is_power_of_two(n - 1)) << n;
        EXPECT_TRUE(n == 1 || !is_power_of_two(n + 1)) << n;
    }
}

TEST(Base, FloorOfLog2IsExactAroundEveryPower) {
    for (unsigned i = 0; i < 64; i++) {
        uint64_t n = UINT64_C(1) << i;
        EXPECT_EQ(log2_floor(n), i);
        EXPECT_EQ(log2_floor(n | (n - 1)), i);
    }
}

TEST(Base, CoarseClockNeverGoesBack) {
    uint64_t before = clock_ms();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    uint64_t after = clock_ms();
    EXPECT_GT(after, before);
    EXPECT_LT(after - before, 10000u);
}

/* ---- Lock */

TEST(Lock, LetsOneThreadInAtATime) {
    lock l = {0};
    uint64_t count = 0; /* guarded by l */
    constexpr int kThreads = 4, kRounds = 20000;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; t++) {
        threads.emplace_back([&] {
            for (int i = 0; i < kRounds; i++) {
                lock_acquire(&l);
                count++;
                lock_release(&l);
            }
        });
    }
    for (auto &t : threads) t.join();
    EXPECT_EQ(count, static_cast<uint64_t>(kThreads) * kRounds);
    EXPECT_EQ(l.state, 0u);
}

TEST(Lock, IsNotTakenTwice) {
    lock l = {0};
    EXPECT_TRUE(lock_try(&l));
    EXPECT_FALSE(lock_try(&l));
    lock_release(&l);
    EXPECT_TRUE(lock_try(&l));
    lock_release(&l);
}

TEST(Lock, WakesASleeperAndKeepsItsErrno) {
    lock l = {0};
    int seen = 0;
    struct sigaction nothing = {};
    nothing.sa_handler = [](int) {};
    ASSERT_EQ(sigaction(SIGUSR1, &nothing, nullptr), 0);
    lock_acquire(&l);
    std::thread sleeper([&] {
        errno = 1234;
        lock_acquire(&l);
        seen = errno;
        lock_release(&l);
    });
    /* Long enough for the spinning to end and the futex call to begin. */
    while (load_relaxed(&l.state) != 2) std::this_thread::yield();
    for (int i = 0; i < 5; i++) {
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
        pthread_kill(sleeper.native_handle(), SIGUSR1); /* the call ends with an error */
    }
    lock_release(&l);
    sleeper.join();
    EXPECT_EQ(seen, 1234);
}

/* ---- List */

struct item {
    int number;
    list node;
};

std::vector<int> forwards(list *l) {
    std::vector<int> numbers;
    for (list *n = l->next; n != l; n = n->next) {
        EXPECT_EQ(n->next->prev, n);
        EXPECT_EQ(n->prev->next, n);
        numbers.push_back(list_entry(n, item, node)->number);
    }
    return numbers;
}

TEST(List, KeepsTheOrderOfPushes) {
    list l;
    list_init(&l);
    EXPECT_TRUE(list_empty(&l));
    item a = {1, {}}, b = {2, {}}, c = {3, {}};
    list_push_back(&l, &a.node);
    list_push_back(&l, &b.node);
    list_push_front(&l, &c.node);
    EXPECT_FALSE(list_empty(&l));
    EXPECT_EQ(forwards(&l), (std::vector<int>{3, 1, 2}));
}

TEST(List, RemovesFromTheMiddleAndTwice) {
    list l;
    list_init(&l);
    item a = {1, {}}, b = {2, {}}, c = {3, {}};
    for (item *i : {&a, &b, &c}) list_push_back(&l, &i->node);
    list_remove(&b.node);
    EXPECT_EQ(forwards(&l), (std::vector<int>{1, 3}));
    list_remove(&b.node); /* harmless: it is in no list */
    EXPECT_TRUE(list_empty(&b.node));
    EXPECT_EQ(forwards(&l), (std::vector<int>{1, 3}));
    list_remove(&a.node);
    list_remove(&c.node);
    EXPECT_TRUE(list_empty(&l));
}

/* ---- Text */

TEST(Text, WritesNumbers) {
    text t = {};
    hak_text_decimal(&t, 0);
    hak_text_string(&t, " ");
    hak_text_decimal(&t, UINT64_MAX);
    hak_text_string(&t, " ");
    hak_text_hex(&t, 0);
    hak_text_string(&t, " ");
    hak_text_hex(&t, UINT64_MAX);
    EXPECT_EQ(contents(t), "0 18446744073709551615 0x0 0xffffffffffffffff");
}

TEST(Text, AlignsColumnsToTheRight) {
    text t = {};
    hak_text_column(&t, 7, 4);
    hak_text_column(&t, 12345, 4);
    hak_text_column(&t, 0, 0);
    EXPECT_EQ(contents(t), "   7123450");
}

TEST(Text, DropsWhatDoesNotFit) {
    text t = {};
    std::string most(sizeof(t.bytes) - 3, 'x');
    hak_text_string(&t, most.c_str());
    hak_text_decimal(&t, 123456789);
    EXPECT_EQ(contents(t), most + "123");
    hak_text_string(&t, "more");
    hak_text_hex(&t, 1);
    hak_text_column(&t, 1, 10);
    EXPECT_EQ(contents(t), most + "123");
}

TEST(Text, IsWrittenWholeAndStartsAnew) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    text t = {};
    hak_text_string(&t, "one line\n");
    errno = 77;
    hak_text_write(&t, ends[1]);
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(t.length, 0u);
    char got[32] = {};
    EXPECT_EQ(read(ends[0], got, sizeof(got)), 9);
    EXPECT_STREQ(got, "one line\n");
    close(ends[0]);
    close(ends[1]);
}

TEST(Text, IsDroppedWhenNobodyReads) {
    text t = {};
    hak_text_string(&t, "lost");
    errno = 77;
    hak_text_write(&t, -1);
    EXPECT_EQ(errno, 77);
    EXPECT_EQ(t.length, 0u);
}

/* ---- Misuse */

const void *address(uintptr_t a) { return reinterpret_cast<const void *>(a); }

class MisuseDeathTest : public testing::Test {
  protected:
    void SetUp() override { testing::FLAGS_gtest_death_test_style = "threadsafe"; }
};

TEST_F(MisuseDeathTest, NamesTheBlockAndItsClassAndAborts) {
    EXPECT_EXIT(hak_misuse(HAK_ERROR_DOUBLE_FREE, "double free", address(0x1230), 48, "look again"),
                testing::KilledBySignal(SIGABRT),
                "^hakmem: double free: block 0x1230 \\(size class 48 bytes\\); look again\n");
}

TEST_F(MisuseDeathTest, NamesAnAddressThatIsInNoClass) {
    EXPECT_EXIT(hak_misuse(HAK_ERROR_INVALID_FREE, "invalid free", address(0x99), 0, "look again"),
                testing::KilledBySignal(SIGABRT),
                "^hakmem: invalid free: address 0x99 \\(in no size class\\); look again\n");
}

TEST_F(MisuseDeathTest, AFailedAssertionSaysWhere) {
    EXPECT_EXIT(hak_assert_failed("a == b", "file.c", 12), testing::KilledBySignal(SIGABRT),
                "^hakmem: internal error: a == b is false at file.c:12; please report this\n");
}

TEST_F(MisuseDeathTest, ReturnsWhenThePolicyIsToReport) {
    EXPECT_EXIT(
        {
            hak_misuse_set_policy(nullptr, true, false);
            hak_misuse(HAK_ERROR_INVALID_FREE, "invalid free", address(0x99), 0, "look again");
            _exit(7);
        },
        testing::ExitedWithCode(7), "^hakmem: invalid free: .*look again\n$");
}

TEST_F(MisuseDeathTest, TellsTheHandlerOnceAndAborts) {
    EXPECT_EXIT(
        {
            auto handler = [](const hak_error *e) {
                bool whole = e->size == sizeof(*e) && e->kind == HAK_ERROR_DOUBLE_FREE &&
                             e->address == address(0x1230) && e->block == address(0x1230) &&
                             e->block_bytes == 48 && e->size_class == -1 &&
                             e->owner == HAK_OWNER_NONE && !e->large;
                (void)!write(STDERR_FILENO, whole ? "whole\n" : "torn\n", whole ? 6 : 5);
                /* Its own mistake is reported, and not to itself. */
                hak_misuse(HAK_ERROR_INVALID_FREE, "own", nullptr, 0, "look again");
            };
            EXPECT_EQ(hak_misuse_set_handler(handler), nullptr);
            EXPECT_EQ(hak_misuse_set_handler(handler), +handler);
            hak_misuse(HAK_ERROR_DOUBLE_FREE, "double free", address(0x1230), 48, "look again");
        },
        testing::KilledBySignal(SIGABRT), "look again\nwhole\nhakmem: own: [^\n]*\n$");
}

TEST_F(MisuseDeathTest, WritesOneJsonObjectWhenAsked) {
    EXPECT_EXIT(
        {
            program_invocation_short_name = const_cast<char *>("a \"b\\\x01\xff");
            hak_misuse_set_policy(nullptr, false, true);
            hak_misuse(HAK_ERROR_DOUBLE_FREE, "double free", address(0x1230), 48, "look again");
        },
        testing::KilledBySignal(SIGABRT),
        "^\\{\"hakmem\":\"error\",\"kind\":\"double_free\",\"what\":\"double free\","
        "\"address\":\"0x1230\",\"block\":\"0x1230\",\"block_bytes\":48,\"offset\":0,"
        "\"owner\":\"none\",\"advice\":\"look again\",\"pid\":[0-9]+,"
        "\"program\":\"a \\\\u0022b\\\\u005c\\\\u0001\\\\u00ff\",\"then\":\"abort\"\\}\n$");
}

} // namespace
