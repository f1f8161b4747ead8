#include "fuzz/shadow.h"

#include <algorithm>

#include "fuzz/check.h"
#include "hakmem/hakmem.h"
#include "hakmem/size_class/size_class.h"
#include "hakmem/slab/slab.h"

namespace {

/* Blocks up to this are written and read whole, others at their ends and in the middle: what is
 * moved wrongly shows there, and pages that nobody touches cost nothing. */
constexpr size_t kWhole = 2048;
constexpr size_t kWindow = 64;
constexpr size_t kEdge = 16;
constexpr size_t kAllBytes = 192 * MiB;
constexpr size_t kLargest = 24 * MiB;

unsigned char expected(const Block &block, size_t offset) {
    return static_cast<unsigned char>(block.seed * 151 + offset * 7 + (offset >> 8));
}

template <typename Visit> void for_each_window(size_t bytes, Visit visit) {
    if (bytes <= kWhole) {
        visit(0, bytes);
        return;
    }
    visit(0, kWindow);
    visit(bytes / 2, bytes / 2 + kWindow);
    visit(bytes - kWindow, bytes);
}

void check_range(const unsigned char *bytes, const Block &block, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) FUZZ_CHECK(bytes[i] == expected(block, i));
}

} // namespace

bool is_absurd(size_t size) { return size > kAllBytes; }

size_t some_size(Input &in) {
    switch (in.below(8)) {
    case 0:
    case 1:
        return in.byte();
    case 2:
        return in.number(2) % 2048;
    case 3:
        return in.number(2);
    case 4:
        return in.number(2) * 32;
    case 5: /* a class's border */
        return hak_size_class[in.below(CLASSES)].block_bytes - 1 + in.below(3);
    case 6:
        return in.number(3) % kLargest;
    default: { /* no address space holds it */
        size_t size = in.number(8);
        return size >> 47 == 0 ? size % 4096 : size;
    }
    }
}

size_t some_alignment(Input &in) {
    size_t how = in.byte();
    if (how >= 250) return in.number(8);
    if (how >= 240) return size_t{1} << how % 64;
    return size_t{1} << how % 18;
}

bool Shadow::has_room_for(size_t size) const {
    return !full() && (is_absurd(size) || bytes_ + size <= kAllBytes);
}

size_t Shadow::find(const void *address) const {
    size_t i = 0;
    while (i < blocks_.size() && blocks_[i].address != address) i++;
    return i;
}

void Shadow::AddResized(void *address, size_t size, const void *before) {
    if (address != before) return Add(address, size, 0);
    /* What stays serves by half at least, or is no more than a cache line. */
    size_t usable = hak_usable_size(address);
    FUZZ_CHECK(size <= usable && (size >= usable / 2 || usable <= LINE_BYTES));
    Add(address, usable, 0);
}

void Shadow::Add(void *address, size_t size, size_t alignment) {
    FUZZ_CHECK(address != nullptr);
    uintptr_t a = reinterpret_cast<uintptr_t>(address);
    FUZZ_CHECK(a % std::max<size_t>(alignment, BLOCK_MIN) == 0);
    size_t usable = hak_usable_size(address);
    FUZZ_CHECK(usable >= size);
    size_t asked = align_up(std::max<size_t>(size, 1), std::max<size_t>(alignment, BLOCK_MIN));
    FUZZ_CHECK(usable <= asked + asked / 3 + 4 * KiB);
    for (const Block &other : blocks_) {
        uintptr_t b = reinterpret_cast<uintptr_t>(other.address);
        FUZZ_CHECK(a + usable <= b || b + other.usable <= a);
    }
    Block block = {static_cast<unsigned char *>(address), usable, seed_++};
    for_each_window(usable, [&](size_t from, size_t to) {
        for (size_t i = from; i < to; i++) block.address[i] = expected(block, i);
    });
    blocks_.push_back(block);
    bytes_ += usable;
}

Block Shadow::Remove(size_t i) {
    Block block = blocks_[i];
    CheckContents(block.address, block, block.usable);
    FUZZ_CHECK(hak_usable_size(block.address) == block.usable);
    Forget(i);
    return block;
}

void Shadow::Forget(size_t i) {
    bytes_ -= blocks_[i].usable;
    blocks_[i] = blocks_.back();
    blocks_.pop_back();
}

void Shadow::CheckContents(const void *address, const Block &block, size_t kept) {
    for_each_window(block.usable, [&](size_t from, size_t to) {
        check_range(static_cast<const unsigned char *>(address), block, from, std::min(to, kept));
    });
}

void Shadow::CheckIsZero(const void *address, size_t size) {
    for_each_window(size, [&](size_t from, size_t to) {
        for (size_t i = from; i < to; i++) {
            FUZZ_CHECK(static_cast<const unsigned char *>(address)[i] == 0);
        }
    });
}

void Shadow::CheckInvariant() const {
    const slab *checked = nullptr;
    for (const Block &block : blocks_) {
        size_t edge = std::min(kEdge, block.usable);
        check_range(block.address, block, 0, edge);
        check_range(block.address, block, block.usable - edge, block.usable);
        FUZZ_CHECK(hak_usable_size(block.address) == block.usable);
        const slab *s = hak_slab_of(block.address);
        if (s == checked || s == nullptr) continue;
        hak_slab_check_invariant(s);
        checked = s;
    }
}
