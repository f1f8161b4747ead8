/* Lines of text without stdio and without memory: a fixed buffer that is written in one call. */
#ifndef HAKMEM_BASE_TEXT_H_
#define HAKMEM_BASE_TEXT_H_

#include "hakmem/base/base.h"

struct text {
    size_t length;
    char bytes[1500];
};

#ifdef __cplusplus
extern "C" {
#endif
/* Appends; what does not fit is dropped. */
void hak_text_string(struct text *t, const char *s);
void hak_text_decimal(struct text *t, uint64_t n);
void hak_text_hex(struct text *t, uint64_t n);
/* `n` right-aligned in `width` columns. */
void hak_text_column(struct text *t, uint64_t n, unsigned width);
/* `s` between quotes, as a JSON string of ASCII; of it at most `most` bytes. A byte that is not
 * ASCII is written as the character of that number. */
void hak_text_json(struct text *t, const char *s, size_t most);
/* The name that the program was started by, without folders. */
const char *hak_text_program_name(void);
/* Writes the text to `fd`, restarts it; keeps errno. */
void hak_text_write(struct text *t, int fd);
#ifdef __cplusplus
}
#endif

#endif
