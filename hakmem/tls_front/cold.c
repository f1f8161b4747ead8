/* Runs of frees of a class that is cold: a program that takes down what it built once. Nothing
 * stays in its list, as nobody knows which free is the last, and after that the thread may sleep;
 * so each block goes to its slab at once. What a free of a cold class costs in hak_front_free is
 * mostly to see what the first one of a run has shown. */
#include "hakmem/tls_front/tls_front.h"

/* The flow has seen the first of the run, nothing was taken ahead, and no clock is due. */
static bool is_in_a_run(const struct heap *heap, unsigned c, const struct list_pair *freed) {
    const struct list_use *use = &heap->use[c];
    return freed->cap == 0 && use->cold > 0 && use->frees != 0 && use->last == FLOW_OUT &&
           heap->lists.of[c].loaded == LIST_END && freed->loaded == LIST_END &&
           heap->caps.until_look > 1;
}

/* False: the slab is another's, or the address or the block's state is for hak_front_free to look
 * at. */
static bool give_own(struct heap *heap, void *block) {
    struct superslab *ss = superslab_of(block);
    struct slab *slab = ss == NULL ? NULL : superslab_slab(ss, block);
    if (slab == NULL || load_relaxed(&slab->owner) != &heap->warm.owner) return false;
    if (HAK_CHECKS && block_may_be_marked(block)) return false;
    unsigned out = slab->out;
    if (slab_give_one(ss, slab, block) != SLAB_OK) return false;
    block_link(block, LIST_END, heap->lists.cookie);
    if (!warm_pool_stays(slab)) hak_warm_pool_given(&heap->warm, slab, out);
    return true;
}

bool hak_front_free_on(void *block, uint32_t word) {
    struct lists *lists = hak_front.lists;
    struct heap *heap = hak_front.heap;
    if (lists->end == 0) return false;
    unsigned c = word_class(word);
    struct list_pair *freed = list_of_word(lists, word);
    if (!is_in_a_run(heap, c, freed)) return false;
    front_enter();
    bool done = give_own(heap, block);
    if (done) {
        if (freed->room < 0) freed->room++; /* the hot path counted it */
        heap->use[c].rested = 0;
        if (heap->use[c].frees < FRONT_COLD_FREES) heap->use[c].frees++;
        heap->caps.until_look--;
    }
    front_leave();
    return done;
}
