#include "hakmem/watched.h"

#include <errno.h>
#include <string.h>

#include "hakmem/hot_path.h"
#include "hakmem/large/large.h"

/* Usable bytes of what the program says is a block, its word in `word`; 0: it is none, as was
 * reported. Silenced. */
static size_t room_of(const void *block, uint32_t *word, const struct verb *verb) {
    *word = hak_raw_word(block, verb);
    return *word == 0 ? 0 : hak_raw_bytes(block, *word, verb);
}

/* `zero`: zeros are wanted, if cheap; afterwards, that it is known to be zero. NULL: anything. */
static void *allocate(size_t align, size_t size, bool *zero) {
    if (size > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    /* A block of no bytes has usable ones all the same, as ever. */
    size_t asked = (size == 0 ? 1 : size) + WATCH_GAP;
    hak_watch_silence(true);
    bool known = zero != NULL;
    void *block = hak_raw_alloc(asked, align, &known);
    if (block != NULL) {
        uint32_t word;
        size_t room = room_of(block, &word, &hak_verb_usable_size);
        if (word_is_large(word)) hak_large_blur(block, word, true);
        hak_watch_goes_out(block, size, room, zero != NULL && known);
    }
    if (zero != NULL) *zero = known;
    hak_watch_silence(false);
    return block;
}

void *hak_watched_alloc(size_t align, size_t size) {
    if (!hak_watch_find()) return hak_aligned_slow(align, size);
    return allocate(align, size, NULL);
}

void *hak_watched_calloc(size_t size) {
    if (!hak_watch_find()) return hak_calloc(1, size);
    bool zero = true;
    void *block = allocate(BLOCK_MIN, size, &zero);
    return block == NULL || zero ? block : memset(block, 0, size);
}

void hak_watched_free(void *block) {
    if (block == NULL) return;
    if (!hak_watch_find()) {
        hot_free(block);
        return;
    }
    /* First: of what is no block memcheck knows more to tell, before hakmem ends the program. */
    hak_watch_comes_back(block);
    hak_watch_silence(true);
    uint32_t word;
    size_t room = room_of(block, &word, &hak_verb_free);
    if (room != 0) {
        hak_watch_hide(block, room);
        if (word_is_large(word)) hak_large_blur(block, word, false);
        hak_raw_free(block, word);
    }
    hak_watch_silence(false);
}

size_t hak_watched_bytes(const void *block, const struct verb *verb) {
    hak_watch_silence(true);
    uint32_t word;
    size_t room = room_of(block, &word, verb);
    if (room != 0 && word_is_large(word)) hak_large_tell(block, word);
    hak_watch_silence(false);
    return room == 0 ? 0 : room - WATCH_GAP;
}

size_t hak_watched_usable(const void *block) {
    size_t usable = hak_watched_bytes(block, &hak_verb_usable_size);
    if (usable == 0) return 0;
    size_t shown = hak_watch_shown(block, usable);
    if (shown < usable) hak_watch_show((const char *)block + shown, usable - shown);
    return usable;
}

/* Moves up to `bytes` bytes, and with them, under memcheck, which of them are known. What was not
 * asked for is not known either. */
static void copy(void *to, void *from, size_t bytes) {
    size_t shown = hak_watch_shown(from, bytes);
    hak_watch_silence(true);
    if (shown < bytes) hak_watch_show((char *)from + shown, bytes - shown);
    memcpy(to, from, bytes);
    hak_watch_silence(false);
}

void *hak_watched_realloc(void *block, size_t size) {
    if (!hak_watch_find()) return hak_realloc(block, size);
    size_t usable = hak_watched_bytes(block, &hak_verb_realloc);
    if (usable == 0) {
        errno = EINVAL;
        return NULL;
    }
    if (size == 0) {
        hak_watched_free(block);
        return NULL;
    }
    void *moved = hak_watched_alloc(BLOCK_MIN, size);
    if (moved == NULL) {
        /* A block that only had to shrink still serves. */
        return size <= usable && hak_watched_usable(block) != 0 ? block : NULL;
    }
    copy(moved, block, size < usable ? size : usable);
    hak_watched_free(block);
    return moved;
}
