/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzz target over the files of a folder, and over every prefix of each, without a fuzzer:
 * this is how the corpus is part of the tests.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_CAP = 1 << 20, PREFIX_MAX = 4096 };

static int replay_file(const char *folder, const char *name)
{
    char path[4096];
    uint8_t *data;
    size_t size;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return 1;
    }
    data = malloc(FILE_CAP);
    size = fread(data, 1, FILE_CAP, file);
    fclose(file);
    for (size_t len = 0; len <= size && len <= PREFIX_MAX; len++) {
        /* An exact-size copy, so that a sanitizer sees a read past the end. */
        uint8_t *copy = malloc(len ? len : 1);
        for (size_t i = 0; i < len; i++) {
            copy[i] = data[i];
        }
        LLVMFuzzerTestOneInput(copy, len);
        free(copy);
    }
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    struct dirent *entry;
    int count = 0;
    int failed = 0;
    DIR *folder;

    if (argc != 2 || !(folder = opendir(argv[1]))) {
        fprintf(stderr, "usage: %s CORPUS-FOLDER (which must exist)\n", argv[0]);
        return 2;
    }
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] != '.') {
            failed |= replay_file(argv[1], entry->d_name);
            count++;
        }
    }
    closedir(folder);
    printf("%d inputs replayed\n", count);
    return failed || count == 0;
}
