/* A batch of blocks out of a slab and back, as a front refills and returns. */
#include "hakmem/slab/slab.h"

#include <benchmark/benchmark.h>

#include "hakmem/os_backend/os_backend.h"
#include "hakmem/registry/registry.h"

namespace {

constexpr unsigned kClass = 3; /* 64 bytes: 1024 blocks a slab */

/* One superslab, as the shared pool would make it; NULL: the kernel refused. */
superslab *make_superslab() {
    void *base = hak_os_map(SUPERSLAB_BYTES, SUPERSLAB_BYTES);
    auto *ss = static_cast<superslab *>(hak_os_meta_alloc(sizeof(superslab)));
    if (base == nullptr || ss == nullptr) return nullptr;
    if (!hak_registry_reserve(base, SUPERSLAB_BYTES)) return nullptr;
    for (unsigned i = 0; i < SLABS_PER_SUPERSLAB; i++) {
        ss->slabs[i].index = ss->heads[i] = static_cast<uint8_t>(i);
        list_init(&ss->slabs[i].owned);
        list_init(&ss->slabs[i].listed);
    }
    ss->base = static_cast<char *>(base);
    ss->mapped = true;
    hak_registry_set(base, SLABS_PER_SUPERSLAB, WORD_UNUSED);
    hak_registry_set_record(base, ss);
    return ss;
}

/* The argument is the batch, in blocks; the slab is the same in every run. */
void TakeAndGiveABatch(benchmark::State &state) {
    static superslab *ss = make_superslab();
    static slab_owner owner = {};
    if (ss == nullptr) return state.SkipWithError("out of memory");
    slab *s = &ss->slabs[0];
    hak_slab_carve(s, kClass, &owner);
    auto batch = static_cast<unsigned>(state.range(0));
    bool failed = false;
    for (auto _ : state) {
        void *block = nullptr;
        failed |= hak_slab_take(s, batch, &block, 0) != batch;
        while (block != LIST_END) {
            void *next = *static_cast<void **>(block);
            failed |= hak_slab_give(s, block) != SLAB_OK;
            block = next;
        }
    }
    hak_slab_check_invariant(s);
    hak_slab_uncarve(s);
    if (failed) return state.SkipWithError("the slab refused a block");
    state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(TakeAndGiveABatch)->Arg(1)->Arg(64)->Arg(512);

} // namespace
