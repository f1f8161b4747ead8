/* What is freed, resized or asked about may be any value: a block, beside one, inside one, freed
 * before, the stack's, wild. Each call must take a block's start and refuse all else with its line.
 *
 * How a process goes on after a misuse, which ends a program:
 *   - hak_misuse is wrapped (-Wl,--wrap), and leaves by a jump what it would abort. That is sound
 *     only where nothing was changed and no lock is held. So is every check of the address itself:
 *     those in free.c come before anything is entered; those of hak_front_free and
 *     hak_large_free come after front_enter, which the target undoes, and before the first write.
 *   - A free that may be taken into a list and is noticed when the list goes back (docs/design.md,
 *     "Misuse": addresses inside blocks that are multiples of 16, blocks that are back in their
 *     slab) would leave a list broken. It is made in a forked child, which then gives everything
 *     back: it must end by SIGABRT after exactly one line. A plain SIGSEGV is a failure, and so is
 *     an end in silence. */
#include <fcntl.h>
#include <setjmp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "fuzz/check.h"
#include "fuzz/input.h"
#include "fuzz/shadow.h"
#include "hakmem/base/misuse.h"
#include "hakmem/config/config.h"
#include "hakmem/hakmem.h"
#include "hakmem/registry/registry.h"
#include "hakmem/slab/slab.h"
#include "hakmem/tls_front/tls_front.h"

namespace {

constexpr unsigned kChildren = 3; /* an input: a fork takes as long as a hundred steps */

/* What a call is expected to report; NULL: nothing, and a report is the real one. */
const void *volatile expected;
jmp_buf reported;

enum Verb { kFree, kRealloc, kReallocArray, kUsableSize, kFreeSized, kFreeAlignedSized, kVerbs };

struct Call {
    Verb verb;
    void *address;
    size_t size, alignment;
};

void *make(const Call &call) {
    switch (call.verb) {
    case kRealloc:
        return hak_realloc(call.address, call.size);
    case kReallocArray:
        return hak_reallocarray(call.address, call.size, 1);
    case kUsableSize:
        hak_usable_size(call.address);
        return nullptr;
    case kFreeSized:
        hak_free_sized(call.address, call.size);
        return nullptr;
    case kFreeAlignedSized:
        hak_free_aligned_sized(call.address, call.alignment, call.size);
        return nullptr;
    default:
        hak_free(call.address);
        return nullptr;
    }
}

/* Makes a call that must be refused before it changes anything. */
void expect_refusal(const Call &call) {
    expected = call.address;
    if (_setjmp(reported) == 0) {
        make(call);
        std::fprintf(stderr, "fuzz: call %d with %p was taken in silence\n", call.verb,
                     call.address);
        std::abort();
    }
    expected = nullptr;
    if (hak_front.busy == 1) front_leave();
}

[[noreturn]] void run_child(const Call &call, int error_end) {
    for (int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) std::signal(signal, SIG_DFL);
    dup2(error_end, STDERR_FILENO);
    make(call);
    hak_trim(0); /* every list goes back to its slabs */
    _exit(0);
}

/* Makes a free in a child, where it must be noticed by the time that all lists are back. */
void expect_abort(const Call &call) {
    int ends[2];
    FUZZ_CHECK(pipe(ends) == 0);
    pid_t child = fork();
    FUZZ_CHECK(child >= 0);
    if (child == 0) run_child(call, ends[1]);
    close(ends[1]);
    std::string said(4096, '\0');
    size_t length = 0;
    ssize_t n;
    while ((n = read(ends[0], &said[length], said.size() - length)) > 0) {
        length += static_cast<size_t>(n);
    }
    close(ends[0]);
    said.resize(length);
    int status = 0;
    FUZZ_CHECK(waitpid(child, &status, 0) == child);
    bool good = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT &&
                said.compare(0, 8, "hakmem: ") == 0 && said.find('\n') == said.size() - 1;
    if (good) return;
    std::fprintf(stderr, "fuzz: a free of %p ended with status %#x and said: %s\n", call.address,
                 static_cast<unsigned>(status), said.c_str());
    std::abort();
}

class State {
  public:
    ~State() {
        while (!shadow_.empty()) hak_free(shadow_.Remove(0).address);
        hak_stats stats = {};
        stats.size = sizeof(stats);
        FUZZ_CHECK(hak_stats_get(&stats) && stats.live_bytes == 0);
    }

    void Perform(Input &in) {
        switch (in.below(8)) {
        case 0:
        case 1:
            return Allocate(some_size(in), some_alignment(in), false);
        case 2: /* a block whose thread is gone */
            return Allocate(some_size(in), 0, true);
        case 3:
            return FreeWell(in.byte());
        case 4:
            return WarmUp(in.byte() * size_t{16}, in.byte());
        case 5:
            if (in.byte() % 4 == 0) hak_trim(0);
            return hak_thread_idle();
        default: {
            Call call = {};
            call.verb = static_cast<Verb>(in.below(kVerbs));
            call.address = SomeAddress(in);
            call.size = some_size(in);
            call.alignment = some_alignment(in);
            return Make(call);
        }
        }
    }

    void CheckInvariant() const {
        FUZZ_CHECK(hak_front.busy == 0);
        shadow_.CheckInvariant();
    }

  private:
    void Allocate(size_t size, size_t alignment, bool by_another) {
        if (is_absurd(size) || !shadow_.has_room_for(size)) return;
        if (!is_power_of_two(alignment) || alignment > MiB) alignment = 1;
        void *address = nullptr;
        if (by_another) {
            std::thread([&] { address = hak_malloc(size); }).join();
        } else {
            address = hak_aligned_alloc(alignment, size);
        }
        shadow_.Add(address, size, alignment);
    }

    void FreeWell(size_t i) {
        if (i >= shadow_.count()) return;
        void *address = shadow_.Remove(i).address;
        hak_free(address);
        Freed(address);
    }

    void Freed(void *address) { freed_[frees_++ % kFreed] = address; }

    /* A class that is used keeps what is freed in its lists. */
    static void WarmUp(size_t size, size_t count) {
        std::vector<void *> blocks;
        for (int round = 0; round < 24; round++) {
            for (size_t n = 0; n <= count % 8; n++) blocks.push_back(hak_malloc(size));
            for (void *block : blocks) hak_free(block);
            blocks.clear();
        }
    }

    void *SomeAddress(Input &in) const {
        uintptr_t stack = reinterpret_cast<uintptr_t>(&in);
        size_t how = in.byte(), which = in.byte();
        uintptr_t a = stack;
        if (!shadow_.empty()) {
            a = reinterpret_cast<uintptr_t>(shadow_.at(which % shadow_.count()).address);
        }
        uintptr_t freed = reinterpret_cast<uintptr_t>(freed_[which % kFreed]);
        switch (how % 14) {
        case 0:
        case 1:
            break;
        case 2:
            a += in.byte() - 128u;
            break;
        case 3: /* a multiple of 16 */
            a += 16 * (in.number(2) - 32768);
            break;
        case 4:
            a += in.number(3);
            break;
        case 5:
            a = freed;
            break;
        case 6:
            a = freed + in.byte() - 128u;
            break;
        case 7: /* a bit is wrong */
            a ^= uintptr_t{1} << in.below(64);
            break;
        case 8: /* the end of its slab */
            a = (a | (SLAB_BYTES - 1)) + 1 - 16 * in.number(1) - (how >= 128 ? in.below(16) : 0);
            break;
        case 9:
            a = stack + in.byte() - 128u;
            break;
        case 10: /* the kernel's */
            a = in.number(8) | uintptr_t{0xffff} << 48;
            break;
        case 11: /* no address of a machine with 48 bits */
            a = (in.number(8) >> 1) | uintptr_t{1} << 48;
            break;
        case 12:
            a = in.number(8);
            break;
        default: /* a block of a class, by its number in the slab */
            a = BlockNear(a, in.number(2));
            break;
        }
        return reinterpret_cast<void *>(a);
    }

    static uintptr_t BlockNear(uintptr_t a, size_t number) {
        uint32_t c = word_class(registry_word(reinterpret_cast<void *>(a)));
        const slab *s = c < CLASSES ? hak_slab_of(reinterpret_cast<void *>(a)) : nullptr;
        if (s == nullptr) return a;
        size_t index = number % (hak_size_class[c].capacity + 1u); /* one too many */
        return reinterpret_cast<uintptr_t>(slab_base(s)) + index * hak_size_class[c].block_bytes;
    }

    void Make(const Call &call) {
        bool frees = call.verb != kUsableSize;
        if (call.address == nullptr) {
            if (call.verb == kRealloc || call.verb == kReallocArray) return;
            make(call); /* NULL is freed with any size and alignment */
            return;
        }
        size_t i = shadow_.find(call.address);
        if (i == shadow_.count()) {
            MakeOfDead(call);
            return;
        }
        const Block block = shadow_.at(i);
        bool sized = call.verb == kFreeSized || call.verb == kFreeAlignedSized;
        if ((sized && !Fits(call, block.usable)) || !IsAligned(call)) return expect_refusal(call);
        if (call.verb == kRealloc || call.verb == kReallocArray) return Resize(i, call);
        if (frees) Freed(shadow_.Remove(i).address);
        make(call);
    }

    void MakeOfDead(const Call &call) {
        uint32_t c = word_class(registry_word(call.address));
        bool in_slab = c < CLASSES && reinterpret_cast<uintptr_t>(call.address) % BLOCK_MIN == 0;
        bool resizes = call.verb == kRealloc || call.verb == kReallocArray;
        bool frees = call.verb == kFree;
        if (in_slab && LooksLive(call.address)) {
            size_t bytes = hak_size_class[c].block_bytes;
            if (call.verb == kUsableSize) {
                FUZZ_CHECK(hak_usable_size(call.address) == bytes);
                return;
            }
            if (resizes && Stays(call.size, bytes)) {
                FUZZ_CHECK(make(call) == call.address);
                some_waste_ |= !RoundsTo(call.size, bytes, 0);
                return;
            }
            frees |= !resizes && Fits(call, bytes) && IsAligned(call);
        }
        if (in_slab && frees) {
            if (children_++ < kChildren) expect_abort(call);
        } else if (!in_slab || !IsTakenAhead(call.address, c)) {
            expect_refusal(call);
        }
    }

    /* A block begins there, and has no mark: it was never out, or was written to since. A call that
     * leaves it where it is does not look closer, but where every call does. */
    static bool LooksLive(const void *address) {
        if (hak_front.lists->end == 0) return false;
        const slab *s = hak_slab_of(address);
        unsigned w;
        uint64_t bit;
        return s != nullptr && !s->checked && hak_slab_find(s, address, &w, &bit) == SLAB_OK &&
               !block_may_be_marked(address);
    }

    static bool Stays(size_t size, size_t bytes) {
        return size != 0 && size <= bytes && (size >= bytes / 2 || bytes <= LINE_BYTES);
    }

    static bool IsAligned(const Call &call) {
        uintptr_t a = reinterpret_cast<uintptr_t>(call.address);
        return call.verb != kFreeAlignedSized ||
               (is_power_of_two(call.alignment) && (a & (call.alignment - 1)) == 0);
    }

    /* What is above the size is no more than a class, the alignment or a page rounds up by. */
    static bool Fits(const Call &call, size_t usable) {
        size_t padding = call.verb == kFreeAlignedSized && call.alignment > BLOCK_MIN
                             ? std::min(call.alignment, size_t{4096})
                             : 0;
        if (word_is_large(registry_word(call.address))) padding = 4096;
        return RoundsTo(call.size, usable, padding) || (some_waste_ && call.size <= usable);
    }

    static bool RoundsTo(size_t size, size_t usable, size_t padding) {
        return size <= usable && usable - size <= size / 3 + 64 + padding;
    }

    /* The block went from its slab into a list, and nobody had it yet: it carries no mark, and only
     * a free of it will be noticed. Lists in transit cannot be walked from here. */
    static bool IsTakenAhead(const void *address, uint32_t c) {
        if (hak_transfer_bytes() != 0) return true;
        if (hak_front.heap == nullptr) return false;
        const list_pair &list = hak_front.heap->lists.of[c];
        for (void *first : {list.loaded, list.previous}) {
            void *block = first;
            while (block != LIST_END && block != address) block = block_next(block);
            if (block != LIST_END) return !hak_front_is_marked(block);
        }
        return false;
    }

    void Resize(size_t i, const Call &call) {
        if (!is_absurd(call.size) && !shadow_.has_room_for(call.size)) return;
        const Block block = shadow_.at(i);
        void *moved = make(call);
        if (moved == nullptr && call.size != 0) {
            FUZZ_CHECK(is_absurd(call.size));
            return;
        }
        if (moved != nullptr) {
            Shadow::CheckContents(moved, block, std::min(call.size, block.usable));
        }
        if (moved != block.address) Freed(block.address);
        shadow_.Forget(i);
        if (moved == nullptr) return;
        shadow_.AddResized(moved, call.size, block.address);
        some_waste_ |= !RoundsTo(call.size, hak_usable_size(moved), 0);
    }

    static constexpr size_t kFreed = 64;
    /* A block that shrank stayed where it was: from then on any size below a block's may be its. Of
     * the process, as in the library. */
    static inline bool some_waste_ = false;
    Shadow shadow_;
    void *freed_[kFreed] = {};
    size_t frees_ = 0;
    unsigned children_ = 0;
};

} // namespace

extern "C" {
void __real_hak_misuse(hak_error_kind kind, const char *what, const void *block, size_t block_bytes,
                       const char *advice);
void __wrap_hak_misuse(hak_error_kind kind, const char *what, const void *block, size_t block_bytes,
                       const char *advice);
}

void __wrap_hak_misuse(hak_error_kind kind, const char *what, const void *block, size_t block_bytes,
                       const char *advice) {
    if (expected == nullptr) __real_hak_misuse(kind, what, block, block_bytes, advice);
    FUZZ_CHECK(block == expected && what[0] != '\0' && advice[0] != '\0');
    _longjmp(reported, 1);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Input in(data, size);
    State state;
    while (!in.empty()) {
        state.Perform(in);
        state.CheckInvariant();
    }
    return 0;
}
