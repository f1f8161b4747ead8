/* The whole API, called in any sequence by one thread, beside a shadow of the blocks it holds.
 *
 * After every step: contents, sizes and slabs as in Shadow; no block overlaps another; and what
 * the statistics call live is to the byte what the program holds. Calls may come in as from a
 * signal handler (inside a slow path), and any call of the system may be refused. */
#include "hakmem/hakmem.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "fuzz/check.h"
#include "fuzz/input.h"
#include "fuzz/shadow.h"
#include "hakmem/config/config.h"
#include "hakmem/guard/guard.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/tls_front/tls_front.h"

namespace {

constexpr int kNoError = 1234567; /* what no call sets errno to */

unsigned refusals; /* bit i: a call of the system i is refused */
bool is_refused(os_call call) { return (refusals >> call & 1) != 0; }

class State {
  public:
    ~State() {
        Restore();
        while (!shadow_.empty()) hak_free(shadow_.Remove(0).address);
        CheckLiveBytes();
    }

    void Perform(Input &in) {
        uint8_t op = in.byte();
        /* Two bits of how the call comes, the rest which call it is. */
        bool aside = op >> 6 == 1;
        if (op >> 6 == 2) Refuse(in.byte());
        if (aside) FUZZ_CHECK(front_enter());
        Call(op % 64 % 16, in);
        if (aside) front_leave();
        Restore();
    }

    void CheckInvariant() const {
        shadow_.CheckInvariant();
        CheckLiveBytes();
    }

  private:
    void Refuse(unsigned calls) {
        refusals = calls;
        hak_os_set_fault(is_refused);
    }

    static void Restore() {
        refusals = 0;
        hak_os_set_fault(nullptr);
    }

    void Call(unsigned op, Input &in) {
        switch (op) {
        case 0:
        case 1:
            return Malloc(some_size(in));
        case 2:
            return Calloc(some_size(in), in.byte() % 4 == 0 ? in.number(8) : in.below(5));
        case 3:
        case 4:
            return Realloc(in.byte(), some_size(in));
        case 5:
            return ReallocArray(in.byte(), some_size(in),
                                in.byte() % 4 == 0 ? in.number(8) : in.below(5));
        case 6:
            return AlignedAlloc(some_alignment(in), some_size(in));
        case 7:
            return PosixMemalign(some_alignment(in), some_size(in));
        case 8:
        case 9:
        case 10:
            return Free(in.byte(), in.byte(), in.number(2));
        case 11:
            return Many(some_size(in), in.byte(), in.byte());
        case 12:
            hak_trim(in.byte() % 2 == 0 ? 0 : in.number(3));
            return;
        case 13:
            return hak_thread_idle();
        case 14:
            return Stats(in.number(2));
        default:
            return FreeAll(in.byte());
        }
    }

    /* Takes a result over, or the refusal; `may_refuse`: there need not be a block. */
    void Took(void *address, size_t size, size_t alignment, bool may_refuse) {
        if (address == nullptr) {
            FUZZ_CHECK(may_refuse || refusals != 0);
            FUZZ_CHECK(errno == ENOMEM);
            return;
        }
        FUZZ_CHECK(!is_absurd(size) && errno == kNoError);
        shadow_.Add(address, size, alignment);
    }

    void Malloc(size_t size) {
        if (!shadow_.has_room_for(size)) return;
        errno = kNoError;
        Took(hak_malloc(size), size, 0, is_absurd(size));
    }

    void Calloc(size_t count, size_t size) {
        size_t bytes;
        if (__builtin_mul_overflow(count, size, &bytes)) bytes = SIZE_MAX;
        if (!IsAskable(bytes) || !shadow_.has_room_for(bytes)) return;
        errno = kNoError;
        void *address = hak_calloc(count, size);
        if (address != nullptr) Shadow::CheckIsZero(address, bytes);
        Took(address, bytes, 0, is_absurd(bytes));
    }

    /* Sizes between what the shadow bears and what no machine has are not asked for. */
    static bool IsAskable(size_t size) { return !is_absurd(size) || size >> ADDRESS_BITS != 0; }

    template <typename Resize> void Resized(size_t i, size_t bytes, Resize resize) {
        if (!IsAskable(bytes) || !shadow_.has_room_for(bytes)) return;
        if (i >= shadow_.count()) {
            errno = kNoError;
            return Took(resize(nullptr), bytes, 0, is_absurd(bytes));
        }
        Block block = shadow_.at(i);
        errno = kNoError;
        void *address = resize(block.address);
        if (address == nullptr && bytes != 0) {
            FUZZ_CHECK((is_absurd(bytes) || refusals != 0) && errno == ENOMEM);
            return; /* the block is as it was: the invariant looks */
        }
        FUZZ_CHECK(!is_absurd(bytes));
        /* A block that could not be moved stays, if it only had to shrink. */
        bool stayed = address == block.address && refusals != 0;
        FUZZ_CHECK(errno == kNoError || (stayed && errno == ENOMEM));
        if (bytes == 0) {
            FUZZ_CHECK(address == nullptr);
            return shadow_.Forget(i);
        }
        Shadow::CheckContents(address, block, std::min(bytes, block.usable));
        shadow_.Forget(i);
        if (stayed) {
            shadow_.Add(address, hak_usable_size(address), 0);
        } else {
            shadow_.AddResized(address, bytes, block.address);
        }
    }

    void Realloc(size_t i, size_t size) {
        Resized(i, size, [&](void *block) { return hak_realloc(block, size); });
    }

    void ReallocArray(size_t i, size_t count, size_t size) {
        size_t bytes;
        if (__builtin_mul_overflow(count, size, &bytes)) bytes = SIZE_MAX;
        Resized(i, bytes, [&](void *block) { return hak_reallocarray(block, count, size); });
    }

    static bool IsPowerOfTwo(size_t n) { return n != 0 && (n & (n - 1)) == 0; }

    void AlignedAlloc(size_t alignment, size_t size) {
        if (!shadow_.has_room_for(size)) return;
        errno = kNoError;
        void *address = hak_aligned_alloc(alignment, size);
        if (!IsPowerOfTwo(alignment)) {
            FUZZ_CHECK(address == nullptr && errno == EINVAL);
            return;
        }
        Took(address, size, alignment, is_absurd(size) || alignment > GiB);
    }

    void PosixMemalign(size_t alignment, size_t size) {
        if (!shadow_.has_room_for(size)) return;
        void *const untouched = this, *address = untouched;
        errno = kNoError;
        int error = hak_posix_memalign(&address, alignment, size);
        FUZZ_CHECK(errno == kNoError);
        if (!IsPowerOfTwo(alignment) || alignment < sizeof(void *)) {
            FUZZ_CHECK(error == EINVAL && address == untouched);
            return;
        }
        if (error != 0) {
            FUZZ_CHECK(error == ENOMEM && address == untouched);
            FUZZ_CHECK(is_absurd(size) || alignment > GiB || refusals != 0);
            return;
        }
        Took(address, size, alignment, false);
    }

    /* By any of the ways to free that fit the block. */
    void Free(size_t i, unsigned how, size_t less) {
        errno = kNoError;
        if (i >= shadow_.count()) {
            hak_free(nullptr);
            hak_free_sized(nullptr, less);
        } else {
            Block block = shadow_.Remove(i);
            /* Guarded blocks know what was asked for. */
            size_t size = block.usable - (guard_is_on() ? 0 : less % (block.usable + 1));
            size_t alignment = reinterpret_cast<uintptr_t>(block.address);
            alignment &= -alignment; /* the largest there is */
            if (how % 3 == 0) hak_free(block.address);
            if (how % 3 == 1) hak_free_sized(block.address, size);
            if (how % 3 == 2) hak_free_aligned_sized(block.address, alignment >> how % 4, size);
        }
        FUZZ_CHECK(errno == kNoError);
    }

    /* A run of mallocs, then frees from one end: what warms a class up, and fills its lists. */
    void Many(size_t size, size_t count, unsigned rounds) {
        if (is_absurd(size) || size > 64 * KiB) size %= 4096;
        count = std::min<size_t>(count + count / 4, 1 + 512 * KiB / (size + 1));
        std::vector<void *> blocks;
        for (unsigned round = 0; round <= rounds % 8; round++) {
            for (size_t n = 0; n < count; n++) {
                if (void *block = hak_malloc(size)) blocks.push_back(block);
            }
            for (void *block : blocks) memset(block, -1, std::min(size, sizeof(size)));
            if (round % 2 == 1) std::reverse(blocks.begin(), blocks.end());
            for (void *block : blocks) hak_free(block);
            blocks.clear();
        }
    }

    void Stats(size_t size) const {
        hak_stats stats = {};
        stats.size = size % (sizeof(stats) + 16);
        bool fits = stats.size != 0 && stats.size <= sizeof(stats);
        FUZZ_CHECK(hak_stats_get(&stats) == fits);
    }

    void FreeAll(size_t keep) {
        while (shadow_.count() > keep % 32) hak_free(shadow_.Remove(shadow_.count() / 2).address);
    }

    void CheckLiveBytes() const {
        hak_stats stats = {};
        stats.size = sizeof(stats);
        FUZZ_CHECK(hak_stats_get(&stats));
        FUZZ_CHECK(guard_is_on() ? stats.live_bytes >= shadow_.bytes()
                                 : stats.live_bytes == shadow_.bytes());
        FUZZ_CHECK(stats.mapped_bytes >= stats.live_bytes + stats.free_bytes);
    }

    Shadow shadow_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Input in(data, size);
    State state;
    while (!in.empty()) {
        state.Perform(in);
        state.CheckInvariant();
    }
    return 0;
}
