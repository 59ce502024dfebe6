/* Makes the n-th call of one function fail for files under one directory. Preloaded into the daemon by crash.py.
 *
 *   FAULT_DIRECTORY  files under this absolute path count, all others pass
 *   FAULT            "FUNCTION N ERRNO once|on|torn", such as "pwrite 3 28 on": ENOSPC from the third pwrite on; torn: the n-th
 *                    pwrite writes half of it, those after it fail; empty: only counts
 *   FAULT_READ_ONLY  a path: while there is a file, whatever would change a file fails with EROFS, as on a disk that became read-only
 *   FAULT_SLOW       a path: while there is a file, each sync takes FAULT_SLOW_MS milliseconds more,
 *                    ten seconds at most
 *   FAULT_COUNTS     a file that holds the number of calls so far by function, as 64-bit numbers in the order of NAMES, and
 *                    behind them the number of calls that failed; it outlives a kill
 *   FAULT_JOURNAL    a file that takes every change of a file in order, and every sync, so that a loss of power can be played:
 *                    kind, length of the path, offset, length, the path, the bytes
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OPEN, WRITE, PWRITE, WRITEV, FSYNC, FTRUNCATE, RENAME, UNLINK, FUNCTIONS };
static const char *const NAMES[FUNCTIONS] = {"open", "write", "pwrite", "writev", "fsync", "ftruncate", "rename", "unlink"};

static const char *directory, *read_only, *slow;
static long slow_ms;
static size_t directory_length;
static int function = -1, number, stays, is_torn;
static unsigned long nth;
static int journal = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static uint64_t lone[FUNCTIONS + 1], *counts = lone;

#define REAL(name) ((__typeof__(&name))real(#name))
static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(void) {
    directory = getenv("FAULT_DIRECTORY");
    read_only = getenv("FAULT_READ_ONLY");
    slow = getenv("FAULT_SLOW");
    const char *milliseconds = getenv("FAULT_SLOW_MS");
    slow_ms = milliseconds ? strtol(milliseconds, NULL, 10) : 0;
    if (slow_ms < 0 || slow_ms > 10000) slow_ms = 10000;
    directory_length = directory ? strlen(directory) : 0;
    const char *fault = getenv("FAULT"), *path = getenv("FAULT_COUNTS");
    char name[16], kind[8];
    if (fault && sscanf(fault, "%15s %lu %d %7s", name, &nth, &number, kind) == 4) {
        for (int k = 0; k < FUNCTIONS; k++)
            if (!strcmp(name, NAMES[k])) function = k;
        is_torn = !strcmp(kind, "torn");
        stays = is_torn || !strcmp(kind, "on");
    }
    int fd = path ? REAL(open)(path, O_RDWR | O_CREAT, 0600) : -1;
    if (fd >= 0 && !REAL(ftruncate)(fd, sizeof lone)) {
        void *shared = mmap(NULL, sizeof lone, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (shared != MAP_FAILED) counts = shared;
    }
    if (fd >= 0) close(fd);
    path = getenv("FAULT_JOURNAL");
    if (path) journal = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int is_ours(const char *path) {
    return directory_length && path && !strncmp(path, directory, directory_length) && (path[directory_length] == '/' || !path[directory_length]);
}

/* The path of an open file; 0 when it is none of ours. */
static int path_of(int fd, char *path) {
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int before = errno;
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    errno = before;
    if (length < 0) return 0;
    path[length] = 0;
    return is_ours(path);
}

static int is_fd_ours(int fd) {
    char path[PATH_MAX];
    return path_of(fd, path);
}

enum { WRITTEN = 1, SYNCED, CUT, REMOVED };

static void note(uint32_t kind, const char *path, uint64_t at, const void *bytes, uint64_t length) {
    struct { uint32_t kind, path; uint64_t at, length; } head = {kind, strlen(path), at, length};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)bytes, bytes ? length : 0}};
    int before = errno;
    if (REAL(writev)(journal, parts, 3) < 0) abort();
    errno = before;
}

/* Does an operation on a file and takes it into the journal when it is done, one after another. */
#define NOTED(type, fd, kind, operation, offset, bytes, length) \
    char path[PATH_MAX]; \
    if (journal < 0 || !path_of(fd, path)) return operation; \
    pthread_mutex_lock(&order); \
    type done = operation; \
    if (done >= 0) note(kind, path, offset, bytes, length); \
    pthread_mutex_unlock(&order); \
    return done;

/* What fails() says of a write of which half is to be done. */
enum { TORN = 2 };

/* Counts a call; true, with errno set, when it is to fail. */
static int fails(int called) {
    uint64_t call = __atomic_add_fetch(&counts[called], 1, __ATOMIC_SEQ_CST);
    if (read_only && called != FSYNC && !access(read_only, F_OK)) {
        __atomic_add_fetch(&counts[FUNCTIONS], 1, __ATOMIC_SEQ_CST);
        errno = EROFS;
        return 1;
    }
    if (called != function || call < nth || (call > nth && !stays)) return 0;
    __atomic_add_fetch(&counts[FUNCTIONS], 1, __ATOMIC_SEQ_CST);
    errno = number;
    return is_torn && call == nth ? TORN : 1;
}

static void wait_while_slow(void) {
    if (!slow || access(slow, F_OK)) return;
    struct timespec left = {slow_ms / 1000, slow_ms % 1000 * 1000000};
    while (nanosleep(&left, &left) && errno == EINTR) {}
}

/* An open that only reads is none of a read-only disk's business. */
static int fails_open(int flags) {
    if (read_only && (flags & O_ACCMODE) == O_RDONLY && !(flags & O_CREAT) && function < 0) return 0;
    return fails(OPEN);
}

#define MODE(flags, last) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list a; va_start(a, last); mode = va_arg(a, mode_t); va_end(a); }

int open(const char *path, int flags, ...) {
    MODE(flags, flags)
    return is_ours(path) && fails_open(flags) ? -1 : REAL(open)(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE(flags, flags)
    return is_ours(path) && fails_open(flags) ? -1 : REAL(open64)(path, flags, mode);
}
int openat(int at, const char *path, int flags, ...) {
    MODE(flags, flags)
    return is_ours(path) && fails_open(flags) ? -1 : REAL(openat)(at, path, flags, mode);
}
int openat64(int at, const char *path, int flags, ...) {
    MODE(flags, flags)
    return is_ours(path) && fails_open(flags) ? -1 : REAL(openat64)(at, path, flags, mode);
}
ssize_t write(int fd, const void *bytes, size_t n) {
    if (is_fd_ours(fd) && fails(WRITE)) return -1;
    NOTED(ssize_t, fd, WRITTEN, REAL(write)(fd, bytes, n), lseek(fd, 0, SEEK_CUR) - done, bytes, done)
}
ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at) {
    int failing = is_fd_ours(fd) ? fails(PWRITE) : 0;
    if (failing == 1) return -1;
    if (failing == TORN) n = (n + 1) / 2;
    NOTED(ssize_t, fd, WRITTEN, REAL(pwrite64)(fd, bytes, n, at), at, bytes, done)
}
ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at) { return pwrite64(fd, bytes, n, at); }
ssize_t writev(int fd, const struct iovec *parts, int n) { return is_fd_ours(fd) && fails(WRITEV) ? -1 : REAL(writev)(fd, parts, n); }
int fsync(int fd) {
    if (is_fd_ours(fd)) {
        if (fails(FSYNC)) return -1;
        wait_while_slow();
    }
    NOTED(int, fd, SYNCED, REAL(fsync)(fd), 0, NULL, 0)
}
int fdatasync(int fd) { return fsync(fd); }
int ftruncate64(int fd, off64_t n) {
    if (is_fd_ours(fd) && fails(FTRUNCATE)) return -1;
    NOTED(int, fd, CUT, REAL(ftruncate64)(fd, n), n, NULL, 0)
}
int ftruncate(int fd, off_t n) { return ftruncate64(fd, n); }
int rename(const char *from, const char *to) { return is_ours(to) && fails(RENAME) ? -1 : REAL(rename)(from, to); }
int unlink(const char *path) {
    if (is_ours(path) && fails(UNLINK)) return -1;
    if (journal < 0 || !is_ours(path)) return REAL(unlink)(path);
    pthread_mutex_lock(&order);
    int done = REAL(unlink)(path);
    if (!done) note(REMOVED, path, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return done;
}
int unlinkat(int at, const char *path, int flags) { return is_ours(path) && fails(UNLINK) ? -1 : REAL(unlinkat)(at, path, flags); }
