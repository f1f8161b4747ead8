/* The blocks that a program holds, as the allocator should see them: what each promises, and what
 * was written into it. */
#ifndef FUZZ_SHADOW_H_
#define FUZZ_SHADOW_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fuzz/input.h"

struct Block {
    unsigned char *address;
    size_t usable; /* bytes; all of them are the program's */
    uint8_t seed;  /* of what was written */
};

/* A size that a program may ask for: small ones, each class's border, large ones; now and then one
 * that no machine has. */
size_t some_size(Input &in);
bool is_absurd(size_t size);
/* A power of two, mostly small; now and then none. */
size_t some_alignment(Input &in);

class Shadow {
  public:
    size_t count() const { return blocks_.size(); }
    bool empty() const { return blocks_.empty(); }
    bool full() const { return blocks_.size() >= kMost; }
    /* Another block may be of `size` bytes: all of them together stay within bounds. */
    bool has_room_for(size_t size) const;
    uint64_t bytes() const { return bytes_; }

    const Block &at(size_t i) const { return blocks_[i]; }
    /* The block that begins at `address`; count(): none does. */
    size_t find(const void *address) const;
    bool contains(const void *address) const { return find(address) != count(); }

    /* Takes over a fresh block: checks its alignment, that it has `size` bytes and not many more,
     * and that it overlaps no other; writes all over it. */
    void Add(void *address, size_t size, size_t alignment);
    /* The same for a block that realloc gave for one at `before`. */
    void AddResized(void *address, size_t size, const void *before);
    /* Takes a block out that is about to be freed; checks what is in it. */
    Block Remove(size_t i);
    /* Takes a block out that is no more, unseen. */
    void Forget(size_t i);
    /* Checks the first `kept` bytes that `block` had, which lie at `address` now. */
    static void CheckContents(const void *address, const Block &block, size_t kept);
    static void CheckIsZero(const void *address, size_t size);

    /* Every block's edges are as they were written, its size is the same as ever, and its slab's
     * bits add up. No other thread may be in the allocator. */
    void CheckInvariant() const;

  private:
    static constexpr size_t kMost = 96;
    std::vector<Block> blocks_;
    uint64_t bytes_ = 0;
    uint8_t seed_ = 0;
};

#endif
