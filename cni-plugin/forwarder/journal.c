// Temporary name, fsync, rename, fsync of the directory: the daemon sees whole entries only. Names that start
// with a dot are unfinished. See journal.h.
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hostlink.h"

// The current boot's id, 36 characters; it changes with every boot.
static void add_boot_id(struct text *out) {
    char id[64];
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, id, sizeof id);
    if (fd >= 0) close(fd);
    while (n > 0 && id[n - 1] == '\n') n--;
    text_add_quoted(out, id, n > 0 ? (size_t)n : 0);
}

static void add_entry(struct text *out, const struct call *call) {
    text_addz(out, "{\"network\":");
    text_add_quoted(out, call->network, strlen(call->network));
    text_addz(out, ",\"containerId\":");
    text_add_quoted(out, call->container_id, strlen(call->container_id));
    text_addz(out, ",\"ifname\":");
    text_add_quoted(out, call->ifname, strlen(call->ifname));
    text_addz(out, ",\"bootId\":");
    add_boot_id(out);
    text_addf(out, ",\"bootMs\":%lld}\n", (long long)call->boot_ms);
}

// mkdir -p, 0700 for every directory it makes. Returns 0 or an errno.
static int make_directories(char *path) {
    for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash != NULL) *slash = '\0';
        int failed = mkdir(path, 0700) != 0 && errno != EEXIST ? errno : 0;
        if (slash == NULL) return failed;
        *slash = '/';
        // EROFS and EACCES may only mean that it exists above; the last mkdir or open() tells.
    }
}

static int write_whole(int dir, const char *temporary, const struct text *entry) {
    int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) return errno;
    ssize_t n = write(fd, entry->data, entry->len);
    int error = n < 0 ? errno : (size_t)n < entry->len ? ENOSPC : fsync(fd) != 0 ? errno : 0;
    close(fd);
    return error;
}

int journal_release(const char *socket_path, const struct call *call, struct text *what) {
    const char *slash = strrchr(socket_path, '/');
    text_add(what, slash == NULL ? "." : socket_path, slash == NULL ? 1 : (size_t)(slash - socket_path));
    text_addz(what, "/journal");
    text_zero(what);
    int error = make_directories(what->data);
    int dir = open(what->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0) return error != 0 ? error : errno;

    uint64_t hash = hostlink_hash(call->network, call->container_id, call->ifname);
    char temporary[96];
    snprintf(temporary, sizeof temporary, ".%016llx-%lld-%d.json", (unsigned long long)hash,
             (long long)call->boot_ms, getpid());
    const char *final = temporary + 1;

    struct text entry = {0};
    add_entry(&entry, call);
    error = write_whole(dir, temporary, &entry);
    if (error == 0 && (renameat(dir, temporary, dir, final) != 0 || fsync(dir) != 0)) error = errno;
    if (error != 0) unlinkat(dir, temporary, 0);
    close(dir);
    free(entry.data);
    return error;
}
