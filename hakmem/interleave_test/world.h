/* What scenarios share: the program's side (which blocks it holds) and the oracles. */
#ifndef HAKMEM_INTERLEAVE_TEST_WORLD_H_
#define HAKMEM_INTERLEAVE_TEST_WORLD_H_

#include <cstddef>
#include <initializer_list>
#include <vector>

#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/slab/slab.h"
#include "hakmem/warm_pool/warm_pool.h"

namespace interleave {

/* Classes whose slabs have one word of bits: few steps. */
constexpr unsigned kClass = 31;      /* 1024 bytes, 64 blocks */
constexpr unsigned kOtherClass = 32; /* 1152 bytes, 56 blocks */

/* The blocks that the program holds. Taking one twice, or giving back one that is not held, is a
 * failure: of the allocator, as the scenarios do neither. */
class Program {
  public:
    void Clear() { held_.clear(); }
    void Take(void *block);
    void Give(void *block);
    struct Held {
        char *block;
        size_t bytes;
    };
    const std::vector<Held> &held() const { return held_; }
    size_t HeldIn(const slab *s) const;
    bool HoldsAnyIn(const char *base, size_t bytes) const;

  private:
    std::vector<Held> held_;
};

extern Program program;

/* Takes `n` blocks from the slab, as its owner, for the program. */
std::vector<void *> TakeBlocks(slab *s, unsigned n);
/* Frees a block of the program as any thread may. */
slab_result GiveRemote(void *block);
/* Frees a block of the program as its slab's owner, as a thread's slow path does. */
void GiveOwn(warm_pool *wp, void *block);

/* What a thread has: a warm pool, one slab in it, and blocks of that which the program holds. */
struct Owner {
    warm_pool wp;
    slab *s;
    std::vector<void *> blocks;

    void SetUp(unsigned blocks_out, unsigned c = kClass);
    /* Without a slab. */
    void SetUpEmpty();
};
/* Takes a block of class `c` for the program, as a thread's slow path does. */
void *TakeOne(warm_pool *wp, unsigned c);

/* Every superslab that is mapped. */
std::vector<superslab *> Superslabs();
/* When all threads rest and each owner has collected: no slab has a remote bit or a note left, its
 * counts agree with what the program holds, masks and words agree with slabs. `lost` blocks may
 * be out besides: those that died with a thread. */
void CheckAtRest(size_t lost = 0);
/* The owners and the shared pool take in what was freed into their slabs, and hand on notes until
 * each has reached the slab's owner. */
void Settle(std::initializer_list<warm_pool *> owners);

} // namespace interleave

#endif
