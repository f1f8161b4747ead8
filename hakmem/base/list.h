/* An intrusive doubly linked list with a sentinel. An unlinked node points at itself. */
#ifndef HAKMEM_BASE_LIST_H_
#define HAKMEM_BASE_LIST_H_

#include "hakmem/base/base.h"

struct list {
    struct list *next;
    struct list *prev;
};

/* The struct of `type` whose `member` is the node at `ptr`. */
#define list_entry(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

HAK_INLINE void list_init(struct list *l) { l->next = l->prev = l; }
HAK_INLINE bool list_empty(const struct list *l) { return l->next == l; }

HAK_INLINE void list_push_front(struct list *l, struct list *node) {
    node->prev = l;
    node->next = l->next;
    l->next->prev = node;
    l->next = node;
}

HAK_INLINE void list_push_back(struct list *l, struct list *node) {
    node->next = l;
    node->prev = l->prev;
    l->prev->next = node;
    l->prev = node;
}

/* Removes `node` from whichever list it is in; harmless when it is in none. */
HAK_INLINE void list_remove(struct list *node) {
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#endif
