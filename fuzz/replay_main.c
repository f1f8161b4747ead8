/* main of a fuzz test where libFuzzer is not linked: gives each file named on the command line to
 * the test, and the empty input first. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Returns false when the file cannot be read. */
static int replay(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return 0;
    uint8_t *data = NULL;
    size_t size = 0, capacity = 0, got = 0;
    do {
        size += got;
        if (size == capacity) {
            capacity = capacity == 0 ? 4096 : 2 * capacity;
            data = realloc(data, capacity);
            if (data == NULL) abort();
        }
        got = fread(data + size, 1, capacity - size, file);
    } while (got > 0);
    int read_all = !ferror(file);
    fclose(file);
    if (read_all) LLVMFuzzerTestOneInput(data, size);
    free(data);
    return read_all;
}

int main(int argc, char **argv) {
    LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
    for (int i = 1; i < argc; i++) {
        if (!replay(argv[i])) {
            fprintf(stderr, "cannot read %s\n", argv[i]);
            return 1;
        }
    }
    printf("replayed %d inputs\n", argc - 1);
    return 0;
}
