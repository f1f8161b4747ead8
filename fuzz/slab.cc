/* Slabs of one superslab beside a model that keeps each block's place: in its slab, out, or given
 * back from elsewhere and not collected yet. Any sequence of what the owner and others may call,
 * by one thread; the orders of two threads are hakmem/interleave_test's.
 *
 * What a caller must keep to is kept to: an owner that closes its stack owns nothing any more, a
 * slab ends with all its blocks in it, an address that is given to a slab lies in its run. */
#include "hakmem/slab/slab.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "fuzz/check.h"
#include "fuzz/input.h"
#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

namespace {

constexpr unsigned kOwners = 3;

enum Place : uint8_t { kHere, kOut, kRemote };

struct Model {
    unsigned c = CLASSES; /* CLASSES: not a head */
    unsigned owner = 0;
    std::vector<Place> blocks;

    bool in_use() const { return c < CLASSES; }
    unsigned count(Place place) const {
        return static_cast<unsigned>(std::count(blocks.begin(), blocks.end(), place));
    }
};

superslab *ss; /* one for all inputs */
slab_owner owners[kOwners];

class State {
  public:
    State() {
        if (ss == nullptr) Map();
        std::memset(ss->bits, 0, sizeof(ss->bits));
        for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
            std::memset(&ss->slabs[i], 0, sizeof(slab));
            ss->slabs[i].index = ss->heads[i] = static_cast<uint8_t>(i);
        }
        for (slab_owner &owner : owners) owner.pending = nullptr;
        hak_registry_set(ss->base, SLABS_PER_SUPERSLAB, WORD_UNUSED);
    }

    void Perform(Input &in) {
        unsigned op = static_cast<unsigned>(in.below(12));
        unsigned i = static_cast<unsigned>(in.below(SLABS_PER_SUPERSLAB));
        if (op == 0 && models_[i].in_use()) op = 1;
        if (op != 0 && !models_[i].in_use() && op <= 8) i = AnyHead(i);
        if (op != 0 && op <= 8 && !models_[i].in_use()) return;
        at_ = i;
        switch (op) {
        case 0:
            return Carve(i, static_cast<unsigned>(in.below(CLASSES)), in.below(kOwners));
        case 1:
        case 2:
            return Take(i, in.byte() % 8 == 0 ? UINT32_MAX : static_cast<unsigned>(in.below(70)));
        case 3:
            return Give(i, Address(i, in));
        case 4:
            return GiveList(i, in);
        case 5:
            return GiveRemoteBits(i, in);
        case 6:
            came_ = hak_slab_collect(&ss->slabs[i]); /* as trimming does */
            return Collected(i);
        case 7:
            return Uncarve(i);
        case 8:
            models_[i].owner = OpenOwner(in.below(kOwners));
            return hak_slab_set_owner(&ss->slabs[i], &owners[models_[i].owner]);
        case 9:
            return GiveRemote(in.byte() % 8 == 0 ? ss->base - 4 * MiB + in.number(3)
                                                 : Address(at_ = AnyHead(i), in));
        case 10:
            return CollectPending(i % kOwners);
        default:
            return i % 2 == 0 ? Close(i % kOwners) : Open(i % kOwners);
        }
    }

    /* Block by block only where the last step was. */
    void CheckInvariant() const {
        for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
            FUZZ_CHECK((ss->slabs[i].pending != 0) == pending_[i]);
            if (models_[i].in_use()) {
                CheckSlab(i);
                if (i == at_) CheckBlocks(i);
                i += hak_size_class[models_[i].c].span - 1;
            } else {
                FUZZ_CHECK(registry_word(Base(i)) == WORD_UNUSED);
                FUZZ_CHECK(hak_slab_of(Base(i)) == nullptr);
            }
        }
        for (unsigned o = 0; o < kOwners; o++) {
            if (closed_[o]) {
                FUZZ_CHECK(owners[o].pending == PENDING_CLOSED);
                continue;
            }
            const slab *s = owners[o].pending;
            for (size_t n = stacks_[o].size(); n > 0; n--, s = s->pending_next) {
                FUZZ_CHECK(s == &ss->slabs[stacks_[o][n - 1]]);
            }
            FUZZ_CHECK(s == nullptr);
        }
    }

  private:
    static void Map() {
        char *base = static_cast<char *>(hak_os_map(SUPERSLAB_BYTES, SUPERSLAB_BYTES));
        FUZZ_CHECK(base != nullptr && hak_registry_reserve(base, SUPERSLAB_BYTES));
        ss = static_cast<superslab *>(hak_os_meta_alloc(sizeof(superslab)));
        FUZZ_CHECK(ss != nullptr);
        ss->base = base;
        ss->mapped = true;
        hak_registry_set_record(base, ss);
    }

    static char *Base(unsigned i) { return ss->base + i * SLAB_BYTES; }

    void CheckSlab(unsigned i) const {
        const Model &model = models_[i];
        const slab *s = &ss->slabs[i];
        unsigned span = hak_size_class[model.c].span;
        hak_slab_check_invariant(s);
        FUZZ_CHECK(s->owner == &owners[model.owner] && s->span == span);
        for (unsigned unit = i; unit < i + span; unit++) {
            FUZZ_CHECK(registry_word(Base(unit)) == hak_slab_word(model.c, unit - i));
            FUZZ_CHECK(hak_slab_of(Base(unit) + SLAB_BYTES - 1) == s);
        }
    }

    void CheckBlocks(unsigned i) const {
        const Model &model = models_[i];
        const slab *s = &ss->slabs[i];
        unsigned remote = model.count(kRemote), out = model.count(kOut);
        FUZZ_CHECK(s->out == out + remote);
        FUZZ_CHECK(hak_slab_count_free(s) == model.blocks.size() - out);
        for (size_t b = 0; b < model.blocks.size(); b++) {
            bool here = (*superslab_free_word(ss, i, b / 64) >> b % 64 & 1) != 0;
            FUZZ_CHECK(here == (model.blocks[b] == kHere));
        }
    }

    /* The head at or after `i`, around the end; `i` itself when nothing is in use. */
    unsigned AnyHead(unsigned i) const {
        for (unsigned n = 0; n < SLABS_PER_SUPERSLAB; n++) {
            unsigned at = (i + n) % SLABS_PER_SUPERSLAB;
            if (models_[at].in_use()) return at;
        }
        return i;
    }

    /* An address in the run of `i`: a block, mostly one that is out, or beside one. */
    char *Address(unsigned i, Input &in) const {
        if (!models_[i].in_use()) return Base(i) + in.number(2);
        const size_class &sc = hak_size_class[models_[i].c];
        size_t how = in.byte(), index = in.number(2) % sc.capacity;
        if (how % 8 == 0) return Base(i) + in.number(3) % (sc.span * SLAB_BYTES);
        size_t seen = 0;
        while (how % 8 > 2 && models_[i].blocks[index] != kOut && seen++ < sc.capacity) {
            index = (index + 1) % sc.capacity;
        }
        return Base(i) + index * sc.block_bytes;
    }

    /* The block at `address`, an address in the run of `i`; NULL: there begins none. */
    Place *Find(unsigned i, const char *address) {
        size_t offset = static_cast<size_t>(address - Base(i));
        size_t bytes = hak_size_class[models_[i].c].block_bytes;
        if (offset % bytes != 0 || offset / bytes >= models_[i].blocks.size()) return nullptr;
        return &models_[i].blocks[offset / bytes];
    }

    void Carve(unsigned i, unsigned c, size_t owner) {
        unsigned span = hak_size_class[c].span;
        if (i + span > SLABS_PER_SUPERSLAB) return;
        for (unsigned unit = i; unit < i + span; unit++) {
            if (registry_word(Base(unit)) != WORD_UNUSED) return;
        }
        models_[i].c = c;
        models_[i].owner = OpenOwner(owner);
        models_[i].blocks.assign(hak_size_class[c].capacity, kHere);
        hak_slab_carve(&ss->slabs[i], c, &owners[models_[i].owner]);
    }

    void Uncarve(unsigned i) {
        if (models_[i].count(kHere) != models_[i].blocks.size()) return;
        hak_slab_uncarve(&ss->slabs[i]);
        models_[i] = Model();
    }

    void Take(unsigned i, unsigned want) {
        void *head = nullptr;
        unsigned taken = hak_slab_take(&ss->slabs[i], want, &head, 0), count = 0;
        unsigned here = models_[i].count(kHere);
        FUZZ_CHECK(taken == std::min(want, here));
        auto expected = models_[i].blocks.begin();
        for (; head != LIST_END; head = *static_cast<void **>(head), count++) {
            expected = std::find(expected, models_[i].blocks.end(), kHere);
            Place *place = Find(i, static_cast<char *>(head));
            FUZZ_CHECK(place != nullptr && place == &*expected); /* the lowest that is here */
            *place = kOut;
        }
        FUZZ_CHECK(count == taken);
    }

    void Give(unsigned i, char *address) {
        Place *place = Find(i, address);
        slab_result expected = place == nullptr ? SLAB_INTERIOR
                               : *place == kOut ? SLAB_OK
                                                : SLAB_DOUBLE_FREE;
        FUZZ_CHECK(hak_slab_give(&ss->slabs[i], address) == expected);
        if (expected == SLAB_OK) *place = kHere;
    }

    /* A list of blocks that are out, and behind them nothing, what is none, or another slab's. */
    void GiveList(unsigned i, Input &in) {
        size_t want = in.below(40), given = 0, count = 7;
        char *const end = static_cast<char *>(LIST_END);
        char *last = in.byte() % 2 == 0 ? end : Address(AnyHead(i + in.byte()), in);
        bool inside = last != end && hak_slab_of(last) == &ss->slabs[i];
        Place *fault = inside ? Find(i, last) : nullptr;
        if (fault != nullptr && *fault == kOut) last = end;
        void *head = last;
        for (size_t b = 0; b < models_[i].blocks.size() && given < want; b++) {
            if (models_[i].blocks[b] != kOut) continue;
            char *block = Base(i) + b * hak_size_class[models_[i].c].block_bytes;
            *reinterpret_cast<void **>(block) = head;
            head = block;
            models_[i].blocks[b] = kHere;
            given++;
        }
        if (given == 0 && head == end) return;
        slab_result result;
        void *rest = hak_slab_give_list(&ss->slabs[i], head, &count, 0, &result);
        slab_result expected = last == end || !inside ? SLAB_OK
                               : fault == nullptr     ? SLAB_INTERIOR
                                                      : SLAB_DOUBLE_FREE;
        FUZZ_CHECK(rest == last && result == expected && count == 7 + given);
    }

    void Note(unsigned i) {
        if (pending_[i]) return;
        pending_[i] = true;
        stacks_[models_[i].owner].push_back(i);
    }

    void GiveRemote(char *address) {
        slab *s = hak_slab_of(address);
        if (s == nullptr) {
            FUZZ_CHECK(hak_slab_give_remote(address) == SLAB_NOT_OURS);
            return;
        }
        Place *place = Find(s->index, address);
        slab_result expected = place == nullptr ? SLAB_INTERIOR
                               : *place == kOut ? SLAB_OK
                                                : SLAB_DOUBLE_FREE;
        FUZZ_CHECK(hak_slab_give_remote(address) == expected);
        if (place == nullptr || *place == kHere) return;
        *place = kRemote;
        Note(s->index);
    }

    void GiveRemoteBits(unsigned i, Input &in) {
        std::vector<Place> &blocks = models_[i].blocks;
        unsigned w = static_cast<unsigned>(in.below((blocks.size() + 63) / 64));
        uint64_t bits = in.number(8), here = 0, remote = 0;
        if (blocks.size() - w * 64 < 64) bits &= (uint64_t{1} << (blocks.size() - w * 64)) - 1;
        for (size_t b = w * 64; b < blocks.size() && b < w * 64 + 64; b++) {
            here |= static_cast<uint64_t>(blocks[b] == kHere) << b % 64;
            remote |= static_cast<uint64_t>(blocks[b] == kRemote) << b % 64;
        }
        if (in.byte() % 4 != 0) bits &= ~here;
        uint64_t doubled = hak_slab_give_remote_bits(&ss->slabs[i], w, bits);
        FUZZ_CHECK(doubled == ((bits & here) != 0 ? bits & here : bits & remote));
        if ((bits & here) != 0) return; /* nothing changed */
        for (size_t b = w * 64; b < blocks.size() && b < w * 64 + 64; b++) {
            if ((bits >> b % 64 & 1) != 0) blocks[b] = kRemote;
        }
        Note(i);
    }

    void Collected(unsigned i) {
        FUZZ_CHECK(came_ == models_[i].count(kRemote));
        std::replace(models_[i].blocks.begin(), models_[i].blocks.end(), kRemote, kHere);
    }

    /* What was on the stack of `o`: collected by its owner, or handed on. */
    void Handle(unsigned o, slab *s) {
        std::vector<unsigned> stack;
        stack.swap(stacks_[o]);
        for (; !stack.empty(); stack.pop_back()) {
            unsigned i = stack.back();
            FUZZ_CHECK(s == &ss->slabs[i]);
            s = s->pending_next;
            if (models_[i].in_use() && models_[i].owner == o && !closed_[o]) {
                pending_[i] = false;
                hak_slab_clear_pending(&ss->slabs[i]);
                came_ = hak_slab_collect(&ss->slabs[i]);
                Collected(i);
            } else {
                hak_slab_forward_pending(&ss->slabs[i]);
                pending_[i] = false;
                if (models_[i].in_use()) Note(i);
            }
        }
        FUZZ_CHECK(s == nullptr);
    }

    void CollectPending(unsigned o) {
        if (!closed_[o]) Handle(o, hak_slab_take_pending(&owners[o]));
    }

    void Close(unsigned o) {
        if (closed_[o] || std::count(closed_, closed_ + kOwners, true) == kOwners - 1) return;
        closed_[o] = true;
        for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
            if (!models_[i].in_use() || models_[i].owner != o) continue;
            models_[i].owner = OpenOwner(o);
            hak_slab_set_owner(&ss->slabs[i], &owners[models_[i].owner]);
        }
        Handle(o, hak_slab_close_pending(&owners[o]));
    }

    void Open(unsigned o) {
        if (!closed_[o]) return;
        closed_[o] = false;
        owners[o].pending = nullptr;
    }

    unsigned OpenOwner(size_t o) const {
        while (closed_[o % kOwners]) o++;
        return static_cast<unsigned>(o % kOwners);
    }

    Model models_[SLABS_PER_SUPERSLAB];
    bool pending_[SLABS_PER_SUPERSLAB] = {};
    bool closed_[kOwners] = {};
    std::vector<unsigned> stacks_[kOwners]; /* the top is the last */
    unsigned came_ = 0;
    unsigned at_ = 0; /* the slab of the last step */
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
