/* Feeds files to a fuzz target: what libFuzzer does with its corpus, for compilers without it.
 *
 *     fuzz_reader FILE|DIRECTORY... */
#include <dirent.h>
#include <sys/stat.h>
#include "fuzz.h"

static int files;

static void feed_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    if (!file || fstat(fileno(file), &status) < 0) {
        perror(path);
        exit(2);
    }
    /* Of exactly this size, so that reading past the end is seen. */
    size_t bytes = (size_t)status.st_size;
    uint8_t *data = malloc(bytes > 0 ? bytes : 1);
    FUZZ_CHECK(data && fread(data, 1, bytes, file) == bytes);
    fclose(file);
    fprintf(stderr, "%s\n", path); /* the last one named is the one that failed */
    (void)LLVMFuzzerTestOneInput(data, bytes);
    free(data);
    files++;
}

static void feed(const char *path)
{
    DIR *directory = opendir(path);
    if (!directory) {
        feed_file(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory));) {
        char inner[4096];
        if (entry->d_name[0] == '.')
            continue;
        FUZZ_CHECK(snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name) < (int)sizeof inner);
        feed_file(inner);
    }
    closedir(directory);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        feed(argv[i]);
    printf("%d file%s replayed\n", files, files == 1 ? "" : "s");
    return files > 0 ? 0 : 2;
}
