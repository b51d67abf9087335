/* A core file: what was dumped is in its segments; what was not, because it is in a file anyway, is read
 * from there. */
#include "target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/procfs.h>
#include <unistd.h>

struct segment {
    uint64_t start, bytes, offset; /* bytes: those that are in the core */
};

enum {
    NOTES_MAX = 64 * 1024 * 1024,
    SEGMENTS_MAX = 1000 * 1000,
};

static bool read_at(int fd, uint64_t offset, void *to, size_t bytes)
{
    return pread(fd, to, bytes, (off_t)offset) == (ssize_t)bytes;
}

/* From the file that was mapped there. The end of a file may lie in its last page. */
static bool read_mapped(struct target *target, uint64_t address, void *to, size_t bytes)
{
    for (size_t i = 0; i < target->mapping_count; i++) {
        const struct mapping *mapping = &target->mappings[i];
        if (address < mapping->start || address >= mapping->end || !mapping->path)
            continue;
        if (target->files[i] == -1) {
            target->files[i] = open(mapping->path, O_RDONLY | O_CLOEXEC);
            if (target->files[i] < 0)
                target->files[i] = -2;
        }
        if (target->files[i] < 0)
            return false;
        memset(to, 0, bytes);
        uint64_t offset = address - mapping->start + mapping->offset;
        return pread(target->files[i], to, bytes, (off_t)offset) > 0;
    }
    return false;
}

static bool read_core(struct target *target, uint64_t address, void *to, size_t bytes)
{
    for (size_t i = 0; i < target->segment_count; i++) {
        const struct segment *segment = &target->segments[i];
        if (address >= segment->start && address + bytes <= segment->start + segment->bytes)
            return read_at(target->fd, address - segment->start + segment->offset, to, bytes);
    }
    return read_mapped(target, address, to, bytes);
}

/* NT_FILE: a count and the size of a page, so many times start, end and offset in pages, and then the
 * names. */
static void take_files(struct target *target, const char *note, size_t bytes)
{
    uint64_t head[2], entry[3];
    if (bytes < sizeof head)
        return;
    memcpy(head, note, sizeof head);
    if (head[0] > (bytes - sizeof head) / sizeof entry)
        return;
    const char *name = note + sizeof head + head[0] * sizeof entry, *end = note + bytes;
    for (uint64_t i = 0; i < head[0]; i++) {
        const char *zero = name < end ? memchr(name, 0, (size_t)(end - name)) : NULL;
        if (!zero)
            return;
        memcpy(entry, note + sizeof head + i * sizeof entry, sizeof entry);
        add_mapping(target,
                    (struct mapping){ entry[0], entry[1], entry[2] * head[1], strdup(name) });
        name = zero + 1;
    }
}

static void take_note(struct target *target, unsigned type, const char *note, size_t bytes)
{
    struct elf_prstatus status;
    if (type == NT_FILE) {
        take_files(target, note, bytes);
    } else if (type == NT_PRSTATUS && target->pid == 0 && bytes >= sizeof status) {
        memcpy(&status, note, sizeof status);
        target->pid = status.pr_pid;
        target->signal = status.pr_cursig;
    }
}

static void take_notes(struct target *target, const Elf64_Phdr *part)
{
    if (part->p_filesz > NOTES_MAX)
        return;
    char *notes = must_alloc(part->p_filesz + 1);
    if (!read_at(target->fd, part->p_offset, notes, part->p_filesz)) {
        free(notes);
        return;
    }
    Elf64_Nhdr note;
    for (uint64_t at = 0; at + sizeof note <= part->p_filesz;) {
        memcpy(&note, notes + at, sizeof note);
        uint64_t content = at + sizeof note + (note.n_namesz + UINT64_C(3)) / 4 * 4;
        uint64_t next = content + (note.n_descsz + UINT64_C(3)) / 4 * 4;
        if (next > part->p_filesz + 3 || content + note.n_descsz > part->p_filesz)
            break;
        take_note(target, note.n_type, notes + content, note.n_descsz);
        at = next;
    }
    free(notes);
}

/* How many parts there are: more than a header can say are counted in the first section's. */
static size_t count_parts(const struct target *target, const Elf64_Ehdr *header)
{
    Elf64_Shdr first;
    if (header->e_phnum != PN_XNUM)
        return header->e_phnum;
    return read_at(target->fd, header->e_shoff, &first, sizeof first) ? first.sh_info : 0;
}

void open_core(struct target *target, const char *path)
{
    Elf64_Ehdr header;
    memset(target, 0, sizeof *target);
    target->read = read_core;
    snprintf(target->name, sizeof target->name, "core %s", path);
    target->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (target->fd < 0)
        fail("%s: %s", path, strerror(errno));
    if (!read_at(target->fd, 0, &header, sizeof header) ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_type != ET_CORE)
        fail("%s is no core file", path);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(Elf64_Phdr))
        fail("%s is a core file of another kind of machine", path);
    size_t count = count_parts(target, &header);
    if (count == 0 || count > SEGMENTS_MAX)
        fail("%s is damaged: %zu segments", path, count);
    target->segments = must_alloc(count * sizeof *target->segments);
    for (size_t i = 0; i < count; i++) {
        Elf64_Phdr part;
        if (!read_at(target->fd, header.e_phoff + i * sizeof part, &part, sizeof part))
            fail("%s is cut short", path);
        if (part.p_type == PT_NOTE)
            take_notes(target, &part);
        else if (part.p_type == PT_LOAD && part.p_filesz > 0)
            target->segments[target->segment_count++] =
                (struct segment){ part.p_vaddr, part.p_filesz, part.p_offset };
    }
    if (target->mapping_count == 0)
        fail("%s does not say which files were mapped", path);
    target->files = must_alloc(target->mapping_count * sizeof *target->files);
    for (size_t i = 0; i < target->mapping_count; i++)
        target->files[i] = -1;
}
