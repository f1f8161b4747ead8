#include "bench/realloc_workload.h"

#include <sys/mman.h>
#include <time.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "bench/workload_parts.h"

namespace hak_bench {
namespace {

constexpr std::size_t kKib = 1024;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kEighths = 8;
constexpr std::size_t kGrowFrom = 4 * kKib;
constexpr std::size_t kGrowTo = 64 * kKib * kKib;
constexpr std::size_t kDoubleFrom = 16;
constexpr std::size_t kDoubleTo = 8 * kKib;
constexpr std::size_t kShrinkFrom = 64 * kKib;
constexpr std::size_t kShrinkTo = 64;
constexpr std::size_t kSameFrom = 16;
constexpr std::size_t kSameTo = 64 * kKib;
constexpr std::uint64_t kBlocks = 1024; // that a random one is picked from

struct RealReallocs : RealHeap {
    static char *Reallocate(char *block, std::size_t size, char * /*stand_in*/) {
        return static_cast<char *>(std::realloc(block, size));
    }
};

struct EmptyReallocs : EmptyHeap {
    static char *Reallocate(char *block, std::size_t size, char *stand_in) {
        asm volatile("" : : "r"(block), "r"(size) : "memory");
        return stand_in;
    }
};

// The size after `size`; 0 after the last one, and the first one after 0.
std::size_t NextSize(Resize resize, std::size_t size) {
    if (resize == Resize::kGrow) {
        if (size == 0) return kGrowFrom;
        if (size == kGrowTo) return 0;
        const std::size_t larger = size + size / kEighths;
        return larger < kGrowTo ? larger : kGrowTo;
    }
    if (resize == Resize::kDouble) {
        return size == 0 ? kDoubleFrom : size == kDoubleTo ? 0 : 2 * size;
    }
    if (size == 0) return kShrinkFrom;
    if (size == kShrinkTo) return 0;
    const std::size_t smaller = size - size / kEighths;
    return smaller > kShrinkTo ? smaller : kShrinkTo;
}

} // namespace

std::int64_t StepsOf(Resize resize) {
    if (resize == Resize::kSame) return 0;
    std::int64_t steps = 0;
    for (std::size_t size = NextSize(resize, 0); size != 0; size = NextSize(resize, size)) ++steps;
    return steps;
}

Reallocs::Reallocs(const Params &params)
    : resize_(static_cast<Resize>(params.at("resize"))),
      cycles_(static_cast<std::uint64_t>(params.at("cycles"))),
      seed_(static_cast<std::uint64_t>(params.at("seed"))),
      threads_(static_cast<std::size_t>(params.at("threads"))) {}

Reallocs::~Reallocs() {
    for (const Slots &slots : threads_) {
        if (slots.blocks == nullptr) continue;
        munmap(slots.blocks, kBlocks * sizeof(Block));
        munmap(slots.stand_in, kStandInBytes);
    }
}

void Reallocs::Prepare(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    slots.blocks = static_cast<Block *>(MapOrDie(kBlocks * sizeof(Block)));
    slots.stand_in = static_cast<char *>(MapOrDie(kStandInBytes));
    slots.random = SplitMix(seed_ + (static_cast<std::uint64_t>(thread) << 32)) | 1;
}

// Gives `block` that size; 0 frees it. False when memory ran out.
template <class Heap> bool Reallocs::Step(Slots *slots, Block *block, std::size_t size) const {
    if (size == 0) {
        Heap::Free(block->bytes);
        *block = {nullptr, 0};
        return true;
    }
    const auto before = reinterpret_cast<std::uintptr_t>(block->bytes);
    char *const bytes = Heap::Reallocate(block->bytes, size, slots->stand_in);
    if (bytes == nullptr) {
        slots->failed = true;
        return false;
    }
    slots->resized += before != 0;
    slots->moved += before != 0 && before != reinterpret_cast<std::uintptr_t>(bytes);
    for (std::size_t end = block->size + kPage; end < size; end += kPage) {
        bytes[Heap::LastByte(end)] = 1;
    }
    bytes[Heap::LastByte(size)] = 1;
    *block = {bytes, size};
    return true;
}

// A step is a realloc; the free after the last size is part of the next one.
template <class Heap> void Reallocs::StepsByEighths(Slots *slots, std::uint64_t count) const {
    Block *const block = slots->blocks;
    for (std::uint64_t i = 0; i < count; ++i) {
        std::size_t size = NextSize(resize_, block->size);
        if (size == 0) {
            Step<Heap>(slots, block, 0);
            size = NextSize(resize_, 0);
        }
        if (!Step<Heap>(slots, block, size)) return;
    }
}

template <class Heap> void Reallocs::StepsAtRandom(Slots *slots, std::uint64_t count) const {
    std::uint64_t random = slots->random;
    for (std::uint64_t i = 0; i < count; ++i) {
        random = NextRandom(random);
        Block *const block = &slots->blocks[Below(random >> 32, kBlocks)];
        std::size_t size = block->size;
        if (resize_ == Resize::kDouble) {
            size = NextSize(resize_, size);
            if (size == 0) {
                Step<Heap>(slots, block, 0);
                size = NextSize(resize_, 0);
            }
        }
        if (!Step<Heap>(slots, block, size)) break;
    }
    slots->random = random;
}

template <class Heap> void Reallocs::Steps(Slots *slots, std::uint64_t count) const {
    if (resize_ == Resize::kGrow || resize_ == Resize::kShrink) {
        StepsByEighths<Heap>(slots, count);
    } else {
        StepsAtRandom<Heap>(slots, count);
    }
}

// As many blocks of one power of two as of any other.
void Reallocs::FillSame(Slots *slots) const {
    for (std::uint64_t i = 0; i < kBlocks && !slots->failed; ++i) {
        slots->random = NextRandom(slots->random);
        std::size_t size = kSameTo;
        for (std::uint64_t halves = Below(slots->random >> 32, 12); halves > 0; --halves) size /= 2;
        size += Below(slots->random & 0xffffffffU, size);
        Step<RealReallocs>(slots, &slots->blocks[i], size < kSameTo ? size : kSameTo);
    }
}

void Reallocs::WarmUp(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    if (resize_ == Resize::kSame) {
        FillSame(&slots);
    } else {
        // Random vectors are at all sizes after four rounds.
        constexpr std::uint64_t kRounds = 4;
        const auto steps = static_cast<std::uint64_t>(StepsOf(resize_));
        Steps<RealReallocs>(&slots, resize_ == Resize::kDouble ? kRounds * steps * kBlocks : steps);
    }
    slots.moved = 0;
    slots.resized = 0;
}

bool Reallocs::Run(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    const double begin = Nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    if (!slots.failed) Steps<RealReallocs>(&slots, cycles_);
    slots.worked_ns = Nanoseconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    return !slots.failed;
}

void Reallocs::Release(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    for (std::uint64_t i = 0; i < kBlocks; ++i) std::free(slots.blocks[i].bytes);
    for (std::uint64_t i = 0; i < kBlocks; ++i) slots.blocks[i].bytes = nullptr;
}

// Goes on with the sizes that Run left, without its blocks.
void Reallocs::RunEmpty(int thread) {
    Slots &slots = threads_[static_cast<std::size_t>(thread)];
    const std::uint64_t moved = slots.moved;
    const std::uint64_t resized = slots.resized;
    const double begin = Nanoseconds(CLOCK_THREAD_CPUTIME_ID);
    Steps<EmptyReallocs>(&slots, cycles_);
    slots.worked_ns = Nanoseconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    slots.moved = moved;
    slots.resized = resized;
}

double Reallocs::worked_ns() const {
    double ns = 0;
    for (const Slots &slots : threads_) ns += slots.worked_ns;
    return ns;
}

std::map<std::string, double> Reallocs::figures() const {
    double moved = 0;
    double resized = 0;
    for (const Slots &slots : threads_) {
        moved += static_cast<double>(slots.moved);
        resized += static_cast<double>(slots.resized);
    }
    return {{"moved_share", resized > 0 ? moved / resized : 0},
            {"steps", static_cast<double>(StepsOf(resize_))}};
}

} // namespace hak_bench
