#include "hakmem/error.h"

#include "hakmem/base/misuse.h"
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
    if (bytes == 0) return;
    error->block = block;
    error->block_bytes = bytes;
    error->large = true;
}

void hak_error_describe(struct hak_error *error) {
    uint32_t word = registry_word(error->address);
    if (word != 0 && word_is_large(word)) {
        describe_large(error, word);
        return;
    }
    struct slab *slab = word_class(word) < CLASSES ? hak_slab_of(error->address) : NULL;
    if (slab == NULL) return;
    /* The slab may end while this reads it; what is said of it is in its bounds all the same. */
    unsigned c = load_relaxed(&slab->class_index);
    size_t offset = (size_t)((const char *)error->address - slab_base(slab));
    if (size_class_index(c, offset) >= hak_size_class[c].capacity) return; /* behind the last */
    error->owner = owner_of(slab);
    error->size_class = (int)c;
    error->block_bytes = hak_size_class[c].block_bytes;
    error->block = slab_base(slab) + size_class_index(c, offset) * error->block_bytes;
}
