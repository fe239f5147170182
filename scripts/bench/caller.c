// Calls CNI plugins as a container runtime does, many at once, and measures how long each takes. Small and in C, so that
// what is measured is the plugin and not its caller: one posix_spawn, two pipes and one wait for each, whoever made it.
//
//   caller AT_ONCE < plan > report
//
// A plan is a list of calls, each a list of strings ended by NUL: the network namespace to call from, the program, its
// standard input, its environment; an empty string ends the call. The report has one line of four strings for each, in the same
// order: start and end (CLOCK_MONOTONIC, ns), exit status, standard output; each ended by NUL.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CALLS = 20000, MAX_PLAN = 64 << 20, MAX_ENVIRONMENT = 32 };
// Less than a pipe holds, so that writing the input before the start and reading the output after the end never blocks.
enum { MAX_STREAM = 60 << 10 };

struct call {
    const char *netns, *program, *input;
    char *environment[MAX_ENVIRONMENT + 1];
    pid_t pid;
    int out, status;
    int64_t start, end;
    char *output;
};

static struct call calls[MAX_CALLS];

static _Noreturn void die(const char *what) {
    fprintf(stderr, "caller: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

// Up to and with the next NUL.
static char *next_string(char **at, char *end) {
    char *string = *at, *nul = string < end ? memchr(string, '\0', (size_t)(end - string)) : NULL;
    if (nul == NULL) {
        errno = EINVAL;
        die("the plan is cut off");
    }
    *at = nul + 1;
    return string;
}

static int read_plan(void) {
    static char plan[MAX_PLAN];
    size_t len = 0;
    for (ssize_t n; (n = read(STDIN_FILENO, plan + len, sizeof plan - len)) > 0;) len += (size_t)n;
    int count = 0;
    for (char *at = plan, *end = plan + len; at < end; count++) {
        if (count == MAX_CALLS) {
            errno = E2BIG;
            die("plan");
        }
        struct call *call = &calls[count];
        call->netns = next_string(&at, end);
        call->program = next_string(&at, end);
        call->input = next_string(&at, end);
        if (strlen(call->input) > MAX_STREAM) {
            errno = E2BIG;
            die("input");
        }
        for (int i = 0;; i++) {
            char *variable = next_string(&at, end);
            if (*variable == '\0') break;
            if (i == MAX_ENVIRONMENT) {
                errno = E2BIG;
                die("environment");
            }
            call->environment[i] = variable;
        }
    }
    return count;
}

// Children are born in the namespace their parent is in.
static void enter(const char *netns) {
    static const char *inside = "";
    if (strcmp(inside, netns) == 0) return;
    int fd = open(netns, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) != 0) die(netns);
    close(fd);
    inside = netns;
}

static void start(struct call *call) {
    int in[2], out[2];
    enter(call->netns);
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) die("pipe");
    size_t len = strlen(call->input);
    if (write(in[1], call->input, len) != (ssize_t)len) die("write");
    close(in[1]);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    char *arguments[] = {(char *)call->program, NULL};
    call->start = now();
    errno = posix_spawn(&call->pid, call->program, &actions, NULL, arguments, call->environment);
    if (errno != 0) die(call->program);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    call->out = out[0];
}

static void finish_one(int count) {
    int status;
    pid_t pid = wait(&status);
    int64_t end = now();
    if (pid < 0) die("wait");
    for (int i = 0; i < count; i++) {
        struct call *call = &calls[i];
        if (call->pid != pid || call->end != 0) continue;
        call->end = end;
        call->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        call->output = calloc(1, MAX_STREAM + 1);
        if (call->output == NULL || read(call->out, call->output, MAX_STREAM) < 0) die("read");
        close(call->out);
    }
}

int main(int argc, char **argv) {
    int at_once = argc == 2 ? atoi(argv[1]) : 0;
    if (at_once < 1) {
        fprintf(stderr, "usage: caller AT_ONCE < plan > report\n");
        return 2;
    }
    int count = read_plan(), started = 0;
    for (int ended = 0; ended < count; ended++) {
        while (started < count && started - ended < at_once) start(&calls[started++]);
        finish_one(started);
    }
    for (int i = 0; i < count; i++) {
        printf("%lld%c%lld%c%d%c%s%c", (long long)calls[i].start, 0, (long long)calls[i].end, 0, calls[i].status, 0,
               calls[i].output, 0);
    }
    return 0;
}
