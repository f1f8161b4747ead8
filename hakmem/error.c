#include "hakmem/error.h"

#include "hakmem/base/misuse.h"
#include "hakmem/guarded.h"
#include "hakmem/large/large.h"
#include "hakmem/registry/registry.h"
#include "hakmem/shared_pool/shared_pool.h"
#include "hakmem/tls_front/tls_front.h"

hak_error_handler hak_set_error_handler(hak_error_handler handler) {
    return hak_misuse_set_handler(handler);
}

static enum hak_owner owner_of(const struct slab *slab) {
    struct heap *heap = hak_front.heap;
    if (heap != NULL && load_relaxed(&slab->owner) == &heap->warm.owner) {
        return HAK_OWNER_THIS_THREAD;
    }
    return hak_shared_pool_is_orphan(slab) ? HAK_OWNER_ENDED_THREAD : HAK_OWNER_OTHER_THREAD;
}

static void describe_large(struct hak_error *error, uint32_t word) {
    /* The word is that of the first 64 KiB, where the block begins. */
    const void *block = (const void *)((uintptr_t)error->address & ~(SLAB_BYTES - 1));
    size_t bytes = hak_large_usable(block, word);
    if (bytes == 0) { /* freed: what is known is the caller's */
        error->large = error->block != NULL;
        return;
    }
    error->block = block;
    error->block_bytes = bytes;
    error->large = true;
}

/* The block's place in its slab, or in the slab that was there last. */
static bool describe_block(struct hak_error *error, const struct slab *slab, unsigned blocks) {
    /* The slab may end while this reads it; what is said of it is in its bounds all the same. */
    unsigned c = load_relaxed(&slab->class_index);
    size_t offset = (size_t)((const char *)error->address - slab_base(slab));
    uint32_t index = size_class_index(c, offset);
    error->block = NULL;
    error->block_bytes = 0;
    if (index >= blocks) return false;
    error->size_class = (int)c;
    error->block_bytes = hak_size_class[c].block_bytes;
    error->block = slab_base(slab) + index * error->block_bytes;
    return true;
}

static void describe_place(struct hak_error *error) {
    uint32_t word = registry_word(error->address);
    if (word_is_large(word)) {
        describe_large(error, word);
    } else if (word == WORD_UNUSED) {
        const struct slab *slab = hak_slab_last_of(error->address);
        if (slab != NULL) describe_block(error, slab, slab->high);
    } else if (word_class(word) < CLASSES) {
        const struct slab *slab = hak_slab_of(error->address);
        if (slab == NULL || !describe_block(error, slab, load_relaxed(&slab->capacity))) return;
        error->owner = owner_of(slab);
    }
}

void hak_error_describe(struct hak_error *error) {
    describe_place(error);
    hak_guarded_describe(error);
}
