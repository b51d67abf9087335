#include "target.h"

#include <elf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <coil/version.h>

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("coil: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

void *must_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (!memory)
        fail("out of memory");
    return memory;
}

void *must_realloc(void *memory, size_t bytes)
{
    memory = realloc(memory, bytes);
    if (!memory)
        fail("out of memory");
    return memory;
}

void add_mapping(struct target *target, struct mapping mapping)
{
    size_t count = target->mapping_count;
    if ((count & (count - 1)) == 0)
        target->mappings = must_realloc(target->mappings,
                                        (count ? count * 2 : 1) * sizeof *target->mappings);
    target->mappings[target->mapping_count++] = mapping;
}

/* ---- reading ------------------------------------------------------------------------------------ */

static const struct page *get_page(struct target *target, uint64_t address)
{
    uint64_t number = address / PAGE_BYTES;
    struct page *page = &target->pages[(number ^ number >> 14) % CACHED_PAGES];
    if (page->there && page->address == address)
        return page;
    if (!page->bytes)
        page->bytes = must_alloc(PAGE_BYTES);
    page->address = address;
    page->there = true;
    page->readable = target->read(target, address, page->bytes, PAGE_BYTES);
    return page;
}

static bool read_cached(struct coil__memory *memory, uint64_t address, void *to, size_t bytes)
{
    struct target *target = (struct target *)(void *)memory;
    char *out = to;
    while (bytes > 0) {
        size_t within = address % PAGE_BYTES;
        size_t count = PAGE_BYTES - within < bytes ? PAGE_BYTES - within : bytes;
        const struct page *page = get_page(target, address - within);
        if (!page->readable)
            return false;
        memcpy(out, page->bytes + within, count);
        out += count;
        address += count;
        bytes -= count;
    }
    return true;
}

void look_again(struct target *target)
{
    for (size_t i = 0; i < CACHED_PAGES; i++)
        target->pages[i].there = false;
}

void close_target(struct target *target)
{
    for (size_t i = 0; i < CACHED_PAGES; i++)
        free(target->pages[i].bytes);
    for (size_t i = 0; i < target->mapping_count; i++) {
        free(target->mappings[i].path);
        if (target->files && target->files[i] >= 0)
            (void)close(target->files[i]); /* was only read */
    }
    free(target->pages);
    free(target->mappings);
    free(target->segments);
    free(target->files);
    if (target->fd >= 0)
        (void)close(target->fd); /* was only read */
}

/* ---- the library -------------------------------------------------------------------------------- */

enum {
    NOTES_MAX = 64 * 1024,
    HEADERS_MAX = 256,
};

struct found {
    bool any, usable;
    bool foreign; /* one that this command does not know */
};

/* A library that has been found at this address, if it has something to show. */
static bool use_library(struct target *target, uint64_t address, struct found *found)
{
    struct coil__inspect *layout = &target->layout;
    if (!target->memory.read(&target->memory, address, layout, sizeof *layout) ||
        memcmp(layout->magic, COIL__INSPECT_MAGIC, sizeof layout->magic) != 0)
        return false;
    if (layout->format != COIL__INSPECT_FORMAT || layout->bytes != sizeof *layout) {
        found->foreign = true;
        return false;
    }
    target->memory.layout = layout;
    layout->version[sizeof layout->version - 1] = 0;
    if (!coil__see_waiter_kinds(&target->memory, target->kinds))
        return false;
    uint64_t loops[COIL__INSPECT_LOOPS_MAX];
    if (!target->memory.read(&target->memory, (uintptr_t)layout->loops, loops, sizeof loops))
        return false;
    for (size_t i = 0; i < COIL__INSPECT_LOOPS_MAX; i++)
        if (loops[i])
            return true;
    return false;
}

static void look_at_notes(struct target *target, uint64_t start, uint64_t bytes,
                          struct found *found)
{
    Elf64_Nhdr note;
    char name[sizeof COIL__INSPECT_NOTE];
    int32_t way;
    bytes = bytes > NOTES_MAX ? NOTES_MAX : bytes;
    for (uint64_t at = 0; at + sizeof note <= bytes && !found->usable;) {
        if (!target->memory.read(&target->memory, start + at, &note, sizeof note))
            return;
        uint64_t name_at = start + at + sizeof note;
        uint64_t way_at = name_at + (note.n_namesz + UINT64_C(3)) / 4 * 4;
        at = way_at + (note.n_descsz + UINT64_C(3)) / 4 * 4 - start;
        if (note.n_namesz != sizeof name || note.n_descsz != sizeof way ||
            !target->memory.read(&target->memory, name_at, name, sizeof name) ||
            memcmp(name, COIL__INSPECT_NOTE, sizeof name) != 0 ||
            !target->memory.read(&target->memory, way_at, &way, sizeof way))
            continue;
        found->any = true;
        if (note.n_type != COIL__INSPECT_FORMAT)
            found->foreign = true;
        else
            found->usable = use_library(target, way_at + (uint64_t)(int64_t)way, found);
    }
}

/* A file that is mapped from its beginning: an ELF file's headers lead to its notes. */
static void look_at_file(struct target *target, const struct mapping *mapping, struct found *found)
{
    Elf64_Ehdr header;
    Elf64_Phdr parts[HEADERS_MAX];
    if (!target->memory.read(&target->memory, mapping->start, &header, sizeof header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phnum > HEADERS_MAX || header.e_phentsize != sizeof parts[0] ||
        !target->memory.read(&target->memory, mapping->start + header.e_phoff, parts,
                             header.e_phnum * sizeof parts[0]))
        return;
    uint64_t moved = 0;
    for (int i = 0; i < header.e_phnum; i++)
        if (parts[i].p_type == PT_LOAD && parts[i].p_offset == 0)
            moved = mapping->start - parts[i].p_vaddr;
    for (int i = 0; i < header.e_phnum && !found->usable; i++)
        if (parts[i].p_type == PT_NOTE)
            look_at_notes(target, moved + parts[i].p_vaddr, parts[i].p_memsz, found);
}

void find_library(struct target *target)
{
    struct found found = { 0 };
    target->pages = must_alloc(CACHED_PAGES * sizeof *target->pages);
    target->memory.read = read_cached;
    for (size_t i = 0; i < target->mapping_count && !found.usable; i++)
        if (target->mappings[i].offset == 0 && target->mappings[i].path)
            look_at_file(target, &target->mappings[i], &found);
    if (found.usable)
        return;
    if (found.foreign)
        fail("%s was built with another Coil, which keeps its tasks in another way than that of "
             "this "
             "command (%s): use the one that came with it",
             target->name, COIL_VERSION);
    if (found.any)
        fail("%s has no loop at the moment", target->name);
    fail("%s has no Coil in it", target->name);
}
