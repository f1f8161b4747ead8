/* Records of large blocks, and the cache: mappings are taken and freed by one cas each, while
 * others take their room. */
#include <gtest/gtest.h>

#include <set>

#include "hakmem/base/clock.h"
#include "hakmem/config/options.h"
#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/fake_os.h"
#include "hakmem/interleave_test/world.h"
#include "hakmem/large/large.h"
#include "hakmem/os_backend/budget.h"

namespace interleave {
namespace {

constexpr size_t kLargeBytes = 2 * MEDIUM_MAX;

/* A large block of the program: its word is its own as long as it lives. `aside` keeps the cache
 * out of it. */
void *AllocLarge() {
    bool zero = false;
    void *block = hak_large_alloc(kLargeBytes, 1, true, &zero);
    REQUIRE(block != nullptr && IsMapped(block, kLargeBytes));
    return block;
}

void FreeLarge(void *block) {
    uint32_t word = registry_word(block);
    REQUIRE(word_is_large(word));
    REQUIRE(hak_slab_of(block) == nullptr);
    REQUIRE(hak_large_usable(block, word) == kLargeBytes);
    hak_large_free(block, word, true);
}

/* Free records form a stack; one that is taken, used and put back meanwhile looks the same. */
TEST(Large, ARecordIsTakenOnce) {
    static void *blocks[3];
    Explore({
        [] {
            void *a = AllocLarge(), *b = AllocLarge();
            FreeLarge(a);
            FreeLarge(b);
        },
        {
            [] { blocks[0] = AllocLarge(); },
            [] {
                void *a = AllocLarge();
                blocks[1] = AllocLarge();
                FreeLarge(a);
                blocks[2] = AllocLarge();
            },
        },
        [] {
            for (void *block : blocks) FreeLarge(block);
        },
    });
}

/* Nobody has made a record yet. */
TEST(Large, TheFirstRecordsLieInOneChunk) {
    static void *blocks[2];
    Explore({
        [] {},
        {
            [] { blocks[0] = AllocLarge(); },
            [] { blocks[1] = AllocLarge(); },
        },
        [] {
            for (void *block : blocks) FreeLarge(block);
        },
    });
}

TEST(Large, ADoubleFreeIsSeen) {
    static void *block;
    static uint32_t word;
    Scenario s = {
        [] {
            block = AllocLarge();
            word = registry_word(block);
        },
        {
            [] { hak_large_free(block, word, true); },
            [] { hak_large_free(block, word, true); },
        },
        [] { Fail("both frees passed"); },
        6,
    };
    s.misuse_ends_it = true;
    Explore(s);
}

/* ---- What is counted against the limit ---- */

TEST(Budget, TheLastByteIsTakenOnce) {
    static bool taken[2];
    static size_t before;
    Explore({
        [] {
            before = hak_budget_used();
            hak_budget_set_limit(before + 1);
        },
        {
            [] { taken[0] = hak_budget_take(1); },
            [] {
                hak_budget_add(5);
                hak_budget_give(5);
                taken[1] = hak_budget_take(1);
            },
        },
        [] {
            REQUIRE(!(taken[0] && taken[1]));
            REQUIRE(hak_budget_used() == before + taken[0] + taken[1]);
        },
    });
}

/* ---- The cache ---- */

std::set<char *> live; /* what the program holds, of kLargeBytes each */

void NothingLiveGoes(const char *base, size_t bytes) {
    for (char *block : live) {
        REQUIRE(base + bytes <= block || block + kLargeBytes <= base);
    }
}

/* As the API does it. */
char *Take(size_t bytes = kLargeBytes) {
    void *block = hak_large_take(bytes);
    bool zero = false;
    if (block == nullptr) block = hak_large_alloc(bytes, 1, false, &zero);
    OneStep step;
    REQUIRE(block != nullptr && IsMapped(block, bytes));
    REQUIRE(hak_large_usable(block, registry_word(block)) >= bytes);
    REQUIRE(live.insert(static_cast<char *>(block)).second);
    return static_cast<char *>(block);
}

void Give(char *block) {
    {
        OneStep step;
        REQUIRE(live.erase(block) == 1);
    }
    uint32_t word = registry_word(block);
    if (!hak_large_give(block, word)) hak_large_free(block, word, false);
}

size_t room; /* of all kept mappings, bytes */

/* Room for `mappings`, those that come and go slowly too. */
void Begin(size_t mappings) {
    room = mappings * kLargeBytes;
    hak_options.large_cache_mb = hak_options.large_cache_calm_mb = room / MiB;
    live.clear();
    OnGone(NothingLiveGoes);
}

/* What is not the program's is in the cache, and goes; what is kept has room, but for `beside`
 * bytes that were freed beside others. */
void CheckCacheBeside(size_t beside) {
    large_stats stats;
    hak_large_stats(&stats);
    size_t live_bytes = 0;
    for (char *block : live) live_bytes += hak_large_usable(block, registry_word(block));
    REQUIRE(stats.live_bytes == live_bytes);
    REQUIRE(stats.kept_bytes <= room + beside);
    while (!live.empty()) Give(*live.begin());
    REQUIRE(hak_large_agrees());
    hak_large_trim(0);
    REQUIRE(hak_large_agrees());
    hak_large_stats(&stats);
    REQUIRE(stats.live_bytes == 0 && stats.cached_bytes == 0);
    for (size_t at = 0; at < kFakeBytes; at += SLAB_BYTES) {
        REQUIRE(!IsMapped(FakeBase() + at, SLAB_BYTES));
    }
}

void CheckCache() { CheckCacheBeside(0); }
void CheckCacheBesideAFree() { CheckCacheBeside(kLargeBytes); }

TEST(LargeCache, AKeptMappingIsTakenOnce) {
    Explore({
        [] {
            Begin(2);
            char *a = Take(), *b = Take();
            Give(a);
            Give(b);
        },
        {
            [] { Give(Take()); },
            [] {
                Take();
                Take();
            },
        },
        CheckCache,
    });
}

TEST(LargeCache, AKeptMappingIsTakenOrTrimmed) {
    Explore({
        [] {
            Begin(2);
            char *a = Take(), *b = Take();
            Give(a);
            Give(b);
        },
        {
            [] { Give(Take()); },
            [] { hak_large_trim(0); },
            [] { Take(); },
        },
        CheckCache,
        2,
    });
}

/* Its pages serve a block of another size, or it is taken as it is, or it goes. */
TEST(LargeCache, AKeptMappingIsResizedOrTakenOrTrimmed) {
    Explore({
        [] {
            Begin(2);
            Give(Take());
        },
        {
            [] { Give(Take(kLargeBytes + kLargeBytes / 4)); },
            [] { Take(); },
            [] { hak_large_trim(0); },
        },
        CheckCache,
        2,
    });
}

/* A block gets a part of it, or it is taken as it is, or it goes. */
TEST(LargeCache, AKeptMappingIsCutOrTakenOrTrimmed) {
    Explore({
        [] {
            Begin(8);
            Give(Take(2 * kLargeBytes));
        },
        {
            [] {
                Give(Take());
                Take();
            },
            [] { Give(Take(2 * kLargeBytes)); },
            [] { hak_large_trim(0); },
        },
        CheckCache,
        2,
    });
}

/* Two parts of a mapping serve as one, or each by itself. */
TEST(LargeCache, NeighboursServeAsOneOrAreTaken) {
    Explore({
        [] {
            Begin(8);
            Give(Take(2 * kLargeBytes));
            char *a = Take(), *b = Take();
            Give(a);
            Give(b);
        },
        {
            [] { Give(Take(2 * kLargeBytes)); },
            [] { Give(Take()); },
            [] { Take(); },
        },
        CheckCache,
        2,
    });
}

/* More is kept than has room once it is free: each free counts, and takes the other's room. */
TEST(LargeCache, TwoAreFreedAndOneHasRoom) {
    static char *blocks[2];
    Explore({
        [] {
            Begin(2);
            for (char *&b : blocks) b = Take();
            for (char *b : blocks) Give(b);
            for (char *&b : blocks) b = Take();
            room = kLargeBytes;
            hak_options.large_cache_mb = hak_options.large_cache_calm_mb = room / MiB;
        },
        {
            [] { Give(blocks[0]); },
            [] { Give(blocks[1]); },
        },
        CheckCacheBesideAFree,
    });
}

/* At the second of two ticks nothing would have been used since the first. */
TEST(LargeCache, ATickOfTwoThreadsIsOne) {
    static uint64_t now;
    auto tick = [] { hak_large_tick(now); };
    Explore({
        [] {
            Begin(1);
            now = clock_ms() + 10 * LARGE_TICK_MS; /* before what a free finds */
            hak_large_tick(now);
            Give(Take());
            now += LARGE_TICK_MS;
        },
        {tick, tick},
        [] {
            large_stats stats;
            hak_large_stats(&stats);
            REQUIRE(stats.kept_bytes == kLargeBytes);
            CheckCache();
        },
    });
}

/* A tick takes the room of what was not freed since the last one. */
namespace idle {
char *kept;
uint64_t now;

void Prepare() {
    Begin(1);
    Give(Take());
    kept = Take();
    now = clock_ms() + 10 * LARGE_TICK_MS; /* before what a free finds */
    hak_large_tick(now);
    now += LARGE_TICK_MS;
}

void Tick() { hak_large_tick(now); }
} // namespace idle

TEST(LargeCache, RoomIsTakenBesideAFree) {
    Explore({idle::Prepare, {[] { Give(idle::kept); }, idle::Tick}, CheckCache});
}

/* A mapping whose room has just gone may end before the one who took the room has counted. */
TEST(LargeCache, RoomIsTakenBesideAFreeAside) {
    Explore({
        idle::Prepare,
        {
            [] {
                {
                    OneStep step;
                    REQUIRE(live.erase(idle::kept) == 1);
                }
                hak_large_free(idle::kept, registry_word(idle::kept), true);
            },
            idle::Tick,
        },
        CheckCache,
    });
}

} // namespace
} // namespace interleave
