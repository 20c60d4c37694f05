/* A plugin that does what it is asked to, however bad: {"name": "what", "arg": "with what"}. Used by the tests. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "toolgate_plugin.h"

extern char **environ;
static const toolgate_peer *host;
static _Thread_local volatile int depth;

static toolgate_bytes bytes(const char *text) {
    toolgate_bytes lent = {(const uint8_t *)text, strlen(text)};
    return lent;
}

/* The string member `key` of flat JSON, into `to`; empty if it is not there. */
static void member(toolgate_bytes json, const char *key, char *to, size_t room) {
    char quoted[64];
    to[0] = 0;
    snprintf(quoted, sizeof quoted, "\"%s\":\"", key);
    const char *found = memmem(json.data, json.len, quoted, strlen(quoted));
    if (!found) return;
    found += strlen(quoted);
    const char *end = memchr(found, '"', (const char *)json.data + json.len - found);
    if (!end || (size_t)(end - found) >= room) return;
    memcpy(to, found, end - found);
    to[end - found] = 0;
}

static int overflow(int n) {
    volatile char room[4096];
    room[0] = (char)n;
    depth = n;
    return overflow(n + 1) + room[0];
}

static int status(long result) { return result < 0 ? errno : 0; }

static int try_connect(int port) {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    if (s < 0) return errno;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int result = status(connect(s, (struct sockaddr *)&to, sizeof to));
    close(s);
    return result;
}

static int try_exec(const char *path) {
    char *argv[] = {(char *)path, NULL};
    pid_t pid;
    int failed = posix_spawn(&pid, path, NULL, NULL, argv, environ);
    if (failed) return failed;
    int how;
    waitpid(pid, &how, 0);
    return WIFEXITED(how) ? WEXITSTATUS(how) : 255;
}

static int count_files(void) {
    int count = 0;
    while (open("/dev/null", O_RDONLY) >= 0) count++;
    return count;
}

static int count_allocated_mebibytes(void) {
    int count = 0;
    while (count < 4096 && malloc(1 << 20)) count++;
    return count;
}

static int count_threads(void) {
    char line[256];
    int count = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file)) sscanf(line, "Threads: %d", &count);
    if (file) fclose(file);
    return count;
}

static int try_open(const char *path, int flags) {
    int fd = open(path, flags, 0600);
    int result = status(fd);
    if (fd >= 0) close(fd);
    return result;
}

static void end_thread(int signal) { (void)signal; syscall(SYS_exit, 0); }

static int end_first_thread(void) {
    struct sigaction action = {.sa_handler = end_thread};
    sigaction(SIGUSR2, &action, NULL);
    return status(syscall(SYS_tgkill, getpid(), getpid(), SIGUSR2));
}

static void *reserve_and_use(void *given) {
    (void)given;
    for (;;) {
        char *more = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (more == MAP_FAILED) for (;;) pause();
        memset(more, 1, 1 << 20);
    }
    return NULL;
}

static void *sleep_for_ever(void *given) { (void)given; for (;;) pause(); return NULL; }

/* Spins for most of the time, and rests a little. */
static void *spin_and_rest(void *given) {
    (void)given;
    for (;;) {
        struct timespec from, now;
        clock_gettime(CLOCK_MONOTONIC, &from);
        do clock_gettime(CLOCK_MONOTONIC, &now);
        while ((now.tv_sec - from.tv_sec) * 1000 + (now.tv_nsec - from.tv_nsec) / 1000000 < 250);
        usleep(120000);
    }
    return NULL;
}

/* Page tables: every two mebibytes of so many gibibytes are read. */
static void touch_widely(long gibibytes) {
    size_t size = (size_t)gibibytes << 30;
    volatile char *wide = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (wide == MAP_FAILED) abort();
    madvise((void *)wide, size, MADV_NOHUGEPAGE);
    for (size_t at = 0; at < size; at += 2 << 20) (void)wide[at];
}

static int in_background(void *(*work)(void *), size_t stack) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (stack) pthread_attr_setstacksize(&attributes, stack);
    int failed = pthread_create(&thread, &attributes, work, NULL);
    pthread_attr_destroy(&attributes);
    return failed;
}

struct later {
    uint64_t id;
    toolgate_complete complete;
    void *context;
};

static void *answer_later(void *given) {
    struct later *later = given;
    later->complete(later->context, later->id, TOOLGATE_OK, bytes("{\"later\":true}"));
    free(later);
    return NULL;
}

static void *flood(void *given) {
    (void)given;
    for (;;) host->notify(host->instance, bytes("notifications/message"), bytes("{\"level\":\"info\",\"data\":\"again and again\"}"));
    return NULL;
}

static void request(void *instance, uint64_t id, toolgate_bytes method, toolgate_bytes params,
                    toolgate_complete complete, void *context) {
    char name[64], arg[1024], answer[256];
    (void)instance;
    if (method.len != 10 || memcmp(method.data, "tools/call", 10) != 0) {
        complete(context, id, TOOLGATE_OK, bytes("{}"));
        return;
    }
    member(params, "name", name, sizeof name);
    member(params, "arg", arg, sizeof arg);
    int number = atoi(arg), result = -1;
#define IS(what) (strcmp(name, what) == 0)
    if (IS("echo")) { complete(context, id, TOOLGATE_OK, params); return; }
    if (IS("segv")) *(volatile int *)8 = 1;
    if (IS("abort")) abort();
    if (IS("overflow")) overflow(0);
    if (IS("exit")) exit(number);
    if (IS("leak")) for (;;) { char *more = malloc(1 << 20); if (!more) abort(); memset(more, 1, 1 << 20); }
    if (IS("mmap")) for (int i = 0;; i++) {
        char *more = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
        if (more == MAP_FAILED) for (;;) pause();
        memset(more, 1, 1 << 20);
    }
    if (IS("block")) for (;;) pause();
    if (IS("spin")) for (;;) depth++;
    if (IS("never")) return;
    if (IS("twice")) { complete(context, id, TOOLGATE_OK, bytes("{\"n\":1}")); complete(context, id, TOOLGATE_OK, bytes("{\"n\":2}")); return; }
    if (IS("stranger")) { complete(context, id + 1000000, TOOLGATE_OK, bytes("{}")); complete(context, id, TOOLGATE_OK, bytes("{}")); return; }
    if (IS("huge")) {
        size_t size = (size_t)number << 20;
        uint8_t *large = malloc(size);
        if (!large) abort();
        memset(large, 'x', size);
        toolgate_bytes lent = {large, size};
        complete(context, id, TOOLGATE_OK, lent);
        free(large);
        return;
    }
    if (IS("bad-error")) { complete(context, id, TOOLGATE_ERROR, bytes("{")); return; }
    if (IS("bad-status")) { complete(context, id, 7, params); return; }
    if (IS("sleep")) { usleep(number * 1000); result = 0; }
    if (IS("say")) { fprintf(stderr, "%s\n", arg); result = 0; }
    if (IS("flood")) {
        pthread_t thread;
        for (int i = 0; i < number; i++) {
            if (pthread_create(&thread, NULL, flood, NULL)) abort();
            pthread_detach(thread);
        }
        result = 0;
    }
    if (IS("noise")) { for (int fd = 3; fd < 16; fd++) { ssize_t n = write(fd, "\xff\xff\xff\xff noise", 10); (void)n; } for (;;) pause(); }
    if (IS("hang-up")) { for (int fd = 3; fd < 16; fd++) { shutdown(fd, SHUT_RDWR); close(fd); } for (;;) pause(); }
    if (IS("tell")) { host->notify(host->instance, bytes("notifications/message"), bytes("{\"level\":\"info\",\"data\":\"hi\"}")); result = 0; }
    if (IS("print")) { for (int i = 0; i < number; i++) fprintf(stdout, "line %d\n", i); fflush(stdout); result = 0; }
    if (IS("later")) {
        struct later *later = malloc(sizeof *later);
        pthread_t thread;
        *later = (struct later){id, complete, context};
        if (pthread_create(&thread, NULL, answer_later, later)) abort();
        pthread_detach(thread);
        return;
    }
    if (IS("pid")) result = getpid();
    if (IS("threads")) result = count_threads();
    if (IS("environment")) { result = 0; while (environ[result]) result++; }
    if (IS("read")) result = try_open(arg, O_RDONLY);
    if (IS("list")) result = try_open(arg, O_RDONLY | O_DIRECTORY);
    if (IS("write")) result = try_open(arg, O_WRONLY | O_CREAT);
    if (IS("chmod")) result = status(chmod(arg, 0777));
    if (IS("connect")) result = try_connect(number);
    if (IS("socket")) result = status(socket(number / 100, number % 100, 0));
    if (IS("pair")) { int pair[2]; result = status(socketpair(AF_UNIX, number, 0, pair)); }
    if (IS("exec")) result = try_exec(arg);
    if (IS("fork")) { pid_t pid = fork(); if (pid == 0) { for (;;) pause(); } result = pid < 0 ? errno : pid; }
    if (IS("kill")) result = status(kill(number, 0));
    if (IS("kill-child")) { pid_t pid = fork(); if (pid == 0) for (;;) pause(); result = status(kill(pid, SIGKILL)); waitpid(pid, NULL, 0); }
    if (IS("raise")) { signal(SIGUSR1, SIG_IGN); result = raise(SIGUSR1); }
    if (IS("setsid")) result = status(setsid());
    if (IS("memfd")) result = status(memfd_create("x", 0));
    if (IS("shared")) result = mmap(NULL, 4096, PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
    if (IS("syscall")) result = status(syscall(number, 0, 0, 0, 0, 0, 0));
    if (IS("files")) result = count_files();
    if (IS("memory")) result = count_allocated_mebibytes();
    if (IS("page-tables")) { touch_widely(number); for (;;) pause(); }
    if (IS("first-thread")) { in_background(reserve_and_use, 0); end_first_thread(); for (;;) pause(); }
    if (IS("many-threads")) { while (number-- > 0 && in_background(sleep_for_ever, 16384) == 0) {} for (;;) pause(); }
    if (IS("many-processes")) { while (number-- > 0) if (fork() == 0) for (;;) pause(); for (;;) pause(); }
    if (IS("child-memory")) { if (fork() == 0) reserve_and_use(NULL); for (;;) pause(); }
    if (IS("spin-and-rest")) result = in_background(spin_and_rest, 0) ? -1 : getpid();
    if (IS("inotify")) result = status(inotify_init1(0));
    if (IS("parent-death")) result = status(prctl(PR_SET_PDEATHSIG, 0));
    if (IS("large-file")) {
        signal(SIGXFSZ, SIG_IGN);
        int fd = open(arg, O_RDWR | O_CREAT, 0600);
        result = fd < 0 ? errno : status(ftruncate(fd, (off_t)2 << 30));
        close(fd);
        unlink(arg);
    }
    snprintf(answer, sizeof answer, "%d", result);
    complete(context, id, TOOLGATE_OK, bytes(answer));
}

static void notify(void *instance, toolgate_bytes method, toolgate_bytes params) {
    (void)instance, (void)method, (void)params;
}

uint32_t toolgate_plugin_abi_version(void) { return TOOLGATE_ABI_VERSION; }

toolgate_bytes toolgate_plugin_manifest(void) {
    return bytes("{\"name\":\"misbehaving\",\"version\":\"1\",\"blocking\":" BLOCKING "}");
}

int32_t toolgate_plugin_create(const toolgate_peer *given, toolgate_bytes params, toolgate_peer *plugin,
                               toolgate_complete complete, void *context) {
    char start[64], once[1024];
    member(params, "start", start, sizeof start);
    member(params, "once", once, sizeof once);
    if (strcmp(start, "refuse") == 0) {
        complete(context, 0, TOOLGATE_ERROR, bytes("{\"code\":-32002,\"message\":\"no such place\",\"data\":{\"path\":\"a.b\"}}"));
        return TOOLGATE_ERROR;
    }
    if (strcmp(start, "crash") == 0) *(volatile int *)8 = 1;
    if (strcmp(start, "hang") == 0) for (;;) pause();
    /* Starts once: the file says that it has. */
    if (once[0]) {
        int fd = open(once, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (fd < 0) *(volatile int *)8 = 1;
        close(fd);
    }
    host = given;
    plugin->size = sizeof *plugin;
    plugin->request = request;
    plugin->notify = notify;
    return TOOLGATE_OK;
}
