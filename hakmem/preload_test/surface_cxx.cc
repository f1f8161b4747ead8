// The C++ operators under the preloaded library: every form of new and delete, the new-handler,
// bad_alloc, and thread_local destructors that allocate late.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kSizes[] = {0, 1, 16, 24, 100, 1000, 5000, 40000, 100000, 3000000};
constexpr std::size_t kAlignments[] = {1, 8, 16, 32, 64, 256, 4096, 65536, 1 << 21};

// Volatile: the compiler must not see that the request is absurd.
volatile std::size_t huge = PTRDIFF_MAX;

void Fill(void *block, std::size_t size) {
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0u);
    std::memset(block, 0x5a, size);
}

void FillAligned(void *block, std::size_t size, std::size_t alignment) {
    Fill(block, size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0u) << alignment;
}

TEST(Operators, PlainFormsGoWithEveryDelete) {
    for (std::size_t size : kSizes) {
        void *blocks[6];
        for (void *&block : blocks) {
            block = &block == &blocks[0] ? ::operator new(size) : ::operator new[](size);
            Fill(block, size);
        }
        ::operator delete(blocks[0]);
        ::operator delete[](blocks[1]);
        ::operator delete[](blocks[2], std::nothrow);
        ::operator delete[](blocks[3], size);
        std::free(blocks[4]); // One heap serves them all.
        ::operator delete[](blocks[5], size);
        ::operator delete(::operator new(size), size);
        ::operator delete(::operator new(size), std::nothrow);
    }
    ::operator delete(nullptr);
    ::operator delete[](nullptr, std::nothrow);
    ::operator delete(nullptr, std::align_val_t(64));
}

TEST(Operators, NothrowFormsGiveBlocks) {
    for (std::size_t size : kSizes) {
        void *one = ::operator new(size, std::nothrow);
        void *many = ::operator new[](size, std::nothrow);
        Fill(one, size);
        Fill(many, size);
        ::operator delete(one, std::nothrow);
        ::operator delete[](many, std::nothrow);
    }
}

TEST(Operators, AlignedFormsAreAligned) {
    for (std::size_t alignment : kAlignments) {
        const auto align = static_cast<std::align_val_t>(alignment);
        for (std::size_t size : kSizes) {
            void *a = ::operator new(size, align);
            void *b = ::operator new[](size, align);
            void *c = ::operator new(size, align, std::nothrow);
            void *d = ::operator new[](size, align, std::nothrow);
            void *e = ::operator new(size, align);
            void *f = ::operator new[](size, align);
            for (void *block : {a, b, c, d, e, f}) FillAligned(block, size, alignment);
            ::operator delete(a, align);
            ::operator delete[](b, align);
            ::operator delete(c, align, std::nothrow);
            ::operator delete[](d, align, std::nothrow);
            ::operator delete(e, size, align);
            ::operator delete[](f, size, align);
        }
    }
}

TEST(Operators, ThrowBadAllocWhenTheRequestCannotBeMet) {
    const auto align = static_cast<std::align_val_t>(256);
    EXPECT_THROW(static_cast<void>(::operator new(huge)), std::bad_alloc);
    EXPECT_THROW(static_cast<void>(::operator new[](huge)), std::bad_alloc);
    EXPECT_THROW(static_cast<void>(::operator new(huge, align)), std::bad_alloc);
    EXPECT_THROW(static_cast<void>(::operator new[](huge, align)), std::bad_alloc);
    EXPECT_THROW(std::string(huge / 2, 'x'), std::exception);
    EXPECT_THROW(std::vector<char>(huge / 2), std::bad_alloc);
}

TEST(Operators, NothrowFormsGiveNullWhenTheRequestCannotBeMet) {
    const auto align = static_cast<std::align_val_t>(256);
    EXPECT_EQ(::operator new(huge, std::nothrow), nullptr);
    EXPECT_EQ(::operator new[](huge, std::nothrow), nullptr);
    EXPECT_EQ(::operator new(huge, align, std::nothrow), nullptr);
    EXPECT_EQ(::operator new[](huge, align, std::nothrow), nullptr);
}

int handler_calls;

void GiveUpAtTheThirdCall() {
    if (++handler_calls == 3) std::set_new_handler(nullptr);
}

void ThrowFromTheHandler() {
    handler_calls++;
    throw std::bad_alloc();
}

TEST(NewHandler, IsCalledUntilItGivesUp) {
    const auto align = static_cast<std::align_val_t>(64);
    handler_calls = 0;
    std::set_new_handler(GiveUpAtTheThirdCall);
    EXPECT_THROW(static_cast<void>(::operator new(huge)), std::bad_alloc);
    EXPECT_EQ(handler_calls, 3);
    handler_calls = 0;
    std::set_new_handler(GiveUpAtTheThirdCall);
    EXPECT_EQ(::operator new[](huge, std::nothrow), nullptr);
    EXPECT_EQ(handler_calls, 3);
    handler_calls = 0;
    std::set_new_handler(GiveUpAtTheThirdCall);
    EXPECT_THROW(static_cast<void>(::operator new(huge, align)), std::bad_alloc);
    EXPECT_EQ(handler_calls, 3);
}

TEST(NewHandler, MayThrowAndTheNothrowFormsGiveNull) {
    handler_calls = 0;
    std::set_new_handler(ThrowFromTheHandler);
    EXPECT_THROW(static_cast<void>(::operator new(huge)), std::bad_alloc);
    EXPECT_EQ(::operator new(huge, std::nothrow), nullptr);
    EXPECT_EQ(handler_calls, 2);
    std::set_new_handler(nullptr);
}

// Most of what RLIMIT_AS allows; the handler gives it up.
void *reserve;

void ReleaseTheReserve() {
    handler_calls++;
    ::operator delete(reserve);
    reserve = nullptr;
    std::set_new_handler(nullptr);
}

TEST(NewHandler, MayReleaseMemorySoThatTheRequestSucceeds) {
    constexpr std::size_t kLimit = std::size_t{2} << 30;
    constexpr std::size_t kReserve = kLimit / 10 * 6;
    rlimit before;
    ASSERT_EQ(getrlimit(RLIMIT_AS, &before), 0);
    const rlimit limit = {kLimit, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_AS, &limit), 0);
    handler_calls = 0;
    reserve = ::operator new(kReserve);
    std::set_new_handler(ReleaseTheReserve);
    void *block = ::operator new(kReserve);
    EXPECT_EQ(handler_calls, 1);
    EXPECT_EQ(reserve, nullptr);
    ::operator delete(block);
    std::set_new_handler(nullptr);
    ASSERT_EQ(setrlimit(RLIMIT_AS, &before), 0);
}

TEST(NewHandler, IsNotCalledWhereThereIsMemory) {
    handler_calls = 0;
    std::set_new_handler(ThrowFromTheHandler);
    for (std::size_t size : kSizes) ::operator delete(::operator new(size));
    EXPECT_EQ(handler_calls, 0);
    EXPECT_EQ(std::set_new_handler(nullptr), ThrowFromTheHandler);
}

struct Noisy {
    explicit Noisy(int value) : value(value) {
        if (value < 0) throw 17;
    }
    alignas(64) int value;
    std::string text = "a string that is too long to be stored inside the object itself";
};

TEST(Expressions, NewAndDeleteOfObjectsAndArrays) {
    for (int i = 0; i < 1000; i++) {
        std::unique_ptr<Noisy> one(new Noisy(i));
        std::unique_ptr<std::string[]> many(new std::string[i % 50 + 1]);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(one.get()) % 64, 0u);
        many[i % 50] = one->text;
    }
    EXPECT_THROW(delete new Noisy(-1), int);
}

struct FreesLate {
    std::vector<std::string> kept;
    ~FreesLate() {
        std::map<int, std::string> fresh;
        for (int i = 0; i < 200; i++) fresh[i] = std::string(static_cast<std::size_t>(i) * 7, 'y');
        kept.clear();
    }
};

thread_local FreesLate frees_late;

TEST(ThreadLocals, MayAllocateAndFreeInTheirDestructors) {
    for (int round = 0; round < 50; round++) {
        std::vector<std::thread> threads;
        for (int t = 0; t < 4; t++) {
            threads.emplace_back([t] {
                for (int i = 0; i < 100; i++)
                    frees_late.kept.emplace_back(static_cast<std::size_t>(i * t), 'x');
            });
        }
        for (auto &thread : threads) thread.join();
    }
    frees_late.kept.assign(100, "also when the main thread ends");
}

} // namespace
