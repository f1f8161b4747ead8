#include "hakmem/interleave_test/world.h"

#include <algorithm>

#include "hakmem/interleave_test/explorer.h"
#include "hakmem/interleave_test/fake_os.h"
#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/superslab.h"

namespace interleave {

Program program;

void Program::Take(void *block) {
    OneStep step;
    REQUIRE(block != nullptr);
    slab *s = hak_slab_of(block);
    REQUIRE(s != nullptr);
    Held held = {static_cast<char *>(block), hak_size_class[s->class_index].block_bytes};
    REQUIRE(held.block + held.bytes <= slab_base(s) + s->span * SLAB_BYTES);
    REQUIRE(!HoldsAnyIn(held.block, held.bytes));
    held_.push_back(held);
}

void Program::Give(void *block) {
    auto at = std::find_if(held_.begin(), held_.end(), [=](Held h) { return h.block == block; });
    REQUIRE(at != held_.end());
    held_.erase(at);
}

size_t Program::HeldIn(const slab *s) const {
    const char *base = slab_base(s), *end = base + s->span * SLAB_BYTES;
    return static_cast<size_t>(std::count_if(
        held_.begin(), held_.end(), [=](Held h) { return base <= h.block && h.block < end; }));
}

bool Program::HoldsAnyIn(const char *base, size_t bytes) const {
    return std::any_of(held_.begin(), held_.end(),
                       [=](Held h) { return h.block < base + bytes && base < h.block + h.bytes; });
}

std::vector<void *> TakeBlocks(slab *s, unsigned n) {
    void *head = nullptr;
    unsigned taken = hak_slab_take(s, n, &head, 0);
    std::vector<void *> blocks;
    for (; head != LIST_END; head = *static_cast<void **>(head)) {
        program.Take(head);
        blocks.push_back(head);
    }
    REQUIRE(blocks.size() == taken);
    return blocks;
}

slab_result GiveRemote(void *block) {
    program.Give(block);
    return hak_slab_give_remote(block);
}

void GiveOwn(warm_pool *wp, void *block) {
    program.Give(block);
    slab *s = hak_slab_of(block);
    REQUIRE(s != nullptr && s->owner == &wp->owner);
    unsigned out_before = s->out;
    REQUIRE(hak_slab_give(s, block) == SLAB_OK);
    hak_warm_pool_given(wp, s, out_before);
}

void Owner::SetUpEmpty() {
    wp = warm_pool();
    hak_warm_pool_init(&wp);
}

void Owner::SetUp(unsigned blocks_out, unsigned c) {
    SetUpEmpty();
    s = hak_warm_pool_get(&wp, c);
    REQUIRE(s != nullptr);
    blocks = TakeBlocks(s, blocks_out);
    REQUIRE(blocks.size() == blocks_out);
    hak_warm_pool_taken(&wp, s);
}

void *TakeOne(warm_pool *wp, unsigned c) {
    slab *s = hak_warm_pool_get(wp, c);
    REQUIRE(s != nullptr && s->owner == &wp->owner && s->class_index == c);
    std::vector<void *> blocks = TakeBlocks(s, 1);
    REQUIRE(blocks.size() == 1);
    hak_warm_pool_taken(wp, s);
    return blocks[0];
}

std::vector<superslab *> Superslabs() {
    std::vector<superslab *> found;
    for (size_t at = 0; at < kFakeBytes; at += SUPERSLAB_BYTES) {
        void *record = hak_registry_record(FakeBase() + at);
        if (record != nullptr) found.push_back(static_cast<superslab *>(record));
    }
    return found;
}

namespace {

void CheckSlab(const superslab *ss, const slab *s) {
    uint64_t here = 0;
    for (unsigned w = 0; w < BITMAP_WORDS; w++) {
        REQUIRE(*superslab_remote_word(ss, s->index, w) == 0);
        if (w >= (s->capacity + 63u) / 64) continue;
        here += static_cast<unsigned>(__builtin_popcountll(*superslab_free_word(ss, s->index, w)));
    }
    REQUIRE(s->pending == 0);
    REQUIRE(s->capacity == hak_size_class[s->class_index].capacity);
    REQUIRE(here + s->out == s->capacity);
    REQUIRE(s->out >= program.HeldIn(s));
    for (const Program::Held &h : program.held()) {
        size_t offset = static_cast<size_t>(h.block - slab_base(s));
        if (h.block < slab_base(s) || offset >= s->span * SLAB_BYTES) continue;
        uint32_t index = size_class_index(s->class_index, offset);
        REQUIRE((*superslab_free_word(ss, s->index, index / 64) >> index % 64 & 1) == 0);
    }
    uint32_t checked = s->checked ? WORD_CHECKED : 0;
    for (unsigned i = 0; i < s->span; i++) {
        REQUIRE(registry_word(slab_base(s) + i * SLAB_BYTES) ==
                (hak_slab_word(s->class_index, i) | checked));
        REQUIRE(ss->heads[s->index + i] == s->index);
    }
}

} // namespace

void CheckAtRest(size_t lost) {
    size_t held = 0, out = 0;
    for (const superslab *ss : Superslabs()) {
        REQUIRE(IsMapped(ss->base, SUPERSLAB_BYTES));
        uint32_t used = 0;
        for (const slab &s : ss->slabs) {
            if (s.span == 0) continue;
            REQUIRE((used & run_mask(s.index, s.span)) == 0);
            used |= run_mask(s.index, s.span);
            CheckSlab(ss, &s);
            held += program.HeldIn(&s);
            out += s.out;
        }
        REQUIRE(used == ss->used);
        for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
            if ((used >> i & 1) != 0) continue;
            REQUIRE(registry_word(ss->base + i * SLAB_BYTES) == WORD_UNUSED);
            REQUIRE(ss->slabs[i].pending == 0);
        }
    }
    REQUIRE(held == program.held().size());
    REQUIRE(out >= held && out <= held + lost);
}

void Settle(std::initializer_list<warm_pool *> owners) {
    for (int i = 0; i < 2; i++) {
        for (warm_pool *wp : owners) hak_warm_pool_collect(wp);
        hak_shared_pool_trim(SIZE_MAX);
    }
}

} // namespace interleave
