// TCP requests and answers of one byte each, one at a time over one connection: how many a second a path carries. iperf3
// has nothing like it.
//
//   pingpong serve PORT                    takes connections one after the other, until it is ended
//   pingpong ask ADDRESS PORT MILLISECONDS prints transactions per second
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// A reading of the clock costs less than a hundredth of this many transactions.
enum { BETWEEN_READINGS = 16 };

static _Noreturn void die(const char *what) {
    fprintf(stderr, "pingpong: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int tcp_socket(void) {
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) die("socket");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) die("TCP_NODELAY");
    return fd;
}

static struct sockaddr_in address_of(const char *address, const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (inet_pton(AF_INET, address, &to.sin_addr) != 1) {
        errno = EINVAL;
        die(address);
    }
    return to;
}

static void serve(const char *port) {
    int one = 1, listener = tcp_socket();
    struct sockaddr_in any = address_of("0.0.0.0", port);
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0) die("SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&any, sizeof any) < 0) die("bind");
    if (listen(listener, 4) < 0) die("listen");
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) die("accept");
        if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) < 0) die("TCP_NODELAY");
        for (char byte; read(fd, &byte, 1) == 1;)
            if (write(fd, &byte, 1) != 1) break;
        close(fd);
    }
}

static void ask(const char *address, const char *port, int64_t duration_ns) {
    int fd = tcp_socket();
    struct sockaddr_in to = address_of(address, port);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0) die("connect");
    int64_t started = now(), passed, count = 0;
    do {
        for (int n = 0; n < BETWEEN_READINGS; n++, count++) {
            char byte = 'x';
            if (write(fd, &byte, 1) != 1 || read(fd, &byte, 1) != 1) die("the other side went away");
        }
        passed = now() - started;
    } while (passed < duration_ns);
    printf("%.1f\n", (double)count * 1e9 / (double)passed);
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "serve") == 0) serve(argv[2]);
    else if (argc == 5 && strcmp(argv[1], "ask") == 0) ask(argv[2], argv[3], atoll(argv[4]) * 1000000);
    else {
        fprintf(stderr, "usage: pingpong serve PORT | pingpong ask ADDRESS PORT MILLISECONDS\n");
        return 2;
    }
    return 0;
}
