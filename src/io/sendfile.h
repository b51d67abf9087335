/* Sending files, for transports that can: see sendfile.c. */
#ifndef COIL_IO_SENDFILE_H
#define COIL_IO_SENDFILE_H

#include <stdint.h>

/* One sendfile(2), without SIGPIPE: how many bytes, 0 at the end of the file, or -errno. */
int64_t coil__sendfile_some(int fd, int file, int64_t offset, int64_t bytes);

#endif
