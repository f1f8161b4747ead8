/* The registry beside two maps: any sequence of reserving, setting and asking, any pointer value.
 *
 * Words and records live in tables that are never given back, so what is set lies in a few GiB of
 * the address space, the lowest and the highest among them; what is asked about is any 64 bits.
 * The registry follows no address, so none of it has to be mapped. */
#include "hakmem/registry/registry.h"

#include <map>

#include "fuzz/check.h"
#include "fuzz/input.h"
#include "hakmem/os_backend/os_backend.h"

namespace {

constexpr uintptr_t kGiBs[] = {0, 1, 2, 0x7f, 0x80, 0x123, TOP_ENTRIES - 2, TOP_ENTRIES - 1};
constexpr size_t kGiBCount = sizeof(kGiBs) / sizeof(kGiBs[0]);

/* Tables that there are; for all inputs of the process, as the registry keeps them. */
bool reserved[TOP_ENTRIES];

const void *address(uintptr_t a) { return reinterpret_cast<const void *>(a); }

class State {
  public:
    ~State() {
        for (auto &word : words_) hak_registry_set(address(word.first << SLAB_SHIFT), 1, 0);
        for (auto &record : records_) {
            hak_registry_set_record(address(record.first << SUPERSLAB_SHIFT), nullptr);
        }
    }

    void Perform(Input &in) {
        switch (in.below(6)) {
        case 0:
            return Reserve(SomeUnit(in), 1 + in.number(2), in.byte() % 4 == 0);
        case 1:
            return Set(SomeUnit(in), in.below(80), static_cast<uint32_t>(in.number(4)));
        case 2:
            return SetRecord(SomeUnit(in), in.number(8));
        case 3:
            return Ask((SomeUnit(in) << SLAB_SHIFT) + in.number(2));
        case 4:
            return Ask(in.number(8));
        default: /* the neighbourhood of what is set */
            if (words_.empty()) return;
            auto near = words_.lower_bound(SomeUnit(in));
            if (near == words_.end()) near = words_.begin();
            return Ask((near->first << SLAB_SHIFT) + in.number(3) - (1u << 23));
        }
    }

    void CheckInvariant() const {
        for (auto &word : words_) {
            uintptr_t a = word.first << SLAB_SHIFT;
            FUZZ_CHECK(registry_word(address(a)) == word.second);
            FUZZ_CHECK(registry_word(address(a + SLAB_BYTES - 1)) == word.second);
        }
        for (auto &record : records_) {
            uintptr_t a = record.first << SUPERSLAB_SHIFT;
            FUZZ_CHECK(hak_registry_record(address(a)) == record.second);
            FUZZ_CHECK(hak_registry_record(address(a + SUPERSLAB_BYTES - 1)) == record.second);
        }
    }

  private:
    /* The number of 64 KiB: near the beginning, the end, or anywhere in its GiB. */
    static uintptr_t SomeUnit(Input &in) {
        uintptr_t first = kGiBs[in.below(kGiBCount)] * LEAF_WORDS;
        return first + in.number(2) % LEAF_WORDS;
    }

    void Reserve(uintptr_t unit, size_t units, bool no_memory) {
        uintptr_t base = unit << SLAB_SHIFT, bytes = units << SLAB_SHIFT;
        uintptr_t first = base >> LEAF_SHIFT, last = (base + bytes - 1) >> LEAF_SHIFT;
        bool expected = last < TOP_ENTRIES;
        for (uintptr_t top = first; top <= last && expected; top++) {
            if (reserved[top]) continue;
            expected = !no_memory && IsUsed(top);
            if (!no_memory && !expected) return; /* beyond the few GiB */
        }
        if (no_memory) hak_os_set_fault([](os_call call) { return call == OS_META; });
        FUZZ_CHECK(hak_registry_reserve(address(base), bytes) == expected);
        hak_os_set_fault(nullptr);
        for (uintptr_t top = first; top <= last && expected; top++) reserved[top] = true;
    }

    static bool IsUsed(uintptr_t top) {
        for (uintptr_t used : kGiBs) {
            if (used == top) return true;
        }
        return false;
    }

    void Set(uintptr_t unit, size_t units, uint32_t word) {
        for (uintptr_t u = unit; u < unit + units; u++) {
            uintptr_t top = u / LEAF_WORDS;
            if (top >= TOP_ENTRIES || !reserved[top]) units = u - unit;
        }
        hak_registry_set(address(unit << SLAB_SHIFT), units, word);
        for (uintptr_t u = unit; u < unit + units; u++) words_[u] = word;
    }

    void SetRecord(uintptr_t unit, uint64_t value) {
        uintptr_t a = unit << SLAB_SHIFT;
        if (!reserved[a >> LEAF_SHIFT]) return;
        void *record = reinterpret_cast<void *>(value);
        hak_registry_set_record(address(a), record);
        records_[a >> SUPERSLAB_SHIFT] = record;
    }

    void Ask(uintptr_t a) const {
        auto word = words_.find(a >> SLAB_SHIFT);
        uint32_t expected = word == words_.end() ? 0 : word->second;
        FUZZ_CHECK(registry_word(address(a)) == expected);
        auto record = records_.find(a >> SUPERSLAB_SHIFT);
        FUZZ_CHECK(hak_registry_record(address(a)) ==
                   (record == records_.end() ? nullptr : record->second));
    }

    std::map<uintptr_t, uint32_t> words_; /* by 64 KiB */
    std::map<uintptr_t, void *> records_; /* by superslab */
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
