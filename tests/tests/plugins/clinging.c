/*
 * A plugin in C whose one tool clings to life: it ends the thread that watches the server, starts a child if it may,
 * answers with its own number and the child's, and stays in the call for good.
 */
#define _GNU_SOURCE
#include "toolgate_plugin.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static toolgate_bytes lend(const char *text) {
    toolgate_bytes bytes = {(const uint8_t *)text, strlen(text)};
    return bytes;
}

static int is(toolgate_bytes bytes, const char *text) {
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static void end_thread(int number) {
    (void)number;
    syscall(SYS_exit, 0);
}

static void end_other_threads(void) {
    struct sigaction action = {.sa_handler = end_thread};
    sigaction(SIGUSR1, &action, NULL);
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *entry;
    while (tasks && (entry = readdir(tasks))) {
        int thread = atoi(entry->d_name);
        if (thread && thread != getpid() && thread != syscall(SYS_gettid)) {
            syscall(SYS_tgkill, getpid(), thread, SIGUSR1);
        }
    }
}

static void cling(uint64_t id, toolgate_complete complete, void *context) {
    char answer[200];
    prctl(PR_SET_PDEATHSIG, 0);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, 0);
        setsid();
        for (int descriptor = 0; descriptor < 256; descriptor++) close(descriptor);
        /* A grandchild, whose parent is no more. */
        if (fork()) _exit(0);
        for (;;) pause();
    }
    if (child > 0) waitpid(child, NULL, 0);
    end_other_threads();
    snprintf(answer, sizeof answer, "{\"content\":[{\"type\":\"text\",\"text\":\"%d\"}]}", getpid());
    complete(context, id, TOOLGATE_OK, lend(answer));
    for (;;) pause();
}

static void request(void *instance, uint64_t id, toolgate_bytes method, toolgate_bytes params,
                    toolgate_complete complete, void *context) {
    (void)instance;
    (void)params;
    if (is(method, "tools/list")) {
        complete(context, id, TOOLGATE_OK,
                 lend("{\"tools\":[{\"name\":\"cling\",\"description\":\"Cling\",\"inputSchema\":{\"type\":\"object\"}}]}"));
    } else if (is(method, "tools/call")) {
        cling(id, complete, context);
    } else {
        complete(context, id, TOOLGATE_OK, lend(is(method, "toolgate/health") ? "{\"status\":\"ready\"}" : "{}"));
    }
}

static void notify(void *instance, toolgate_bytes method, toolgate_bytes params) {
    (void)instance;
    (void)method;
    (void)params;
}

uint32_t toolgate_plugin_abi_version(void) {
    return TOOLGATE_ABI_VERSION;
}

toolgate_bytes toolgate_plugin_manifest(void) {
    return lend("{\"name\":\"clinging\",\"version\":\"1.0.0\",\"blocking\":true}");
}

int32_t toolgate_plugin_create(const toolgate_peer *host, toolgate_bytes params, toolgate_peer *plugin,
                               toolgate_complete complete, void *context) {
    (void)host;
    (void)params;
    (void)complete;
    (void)context;
    plugin->size = sizeof(toolgate_peer);
    plugin->instance = NULL;
    plugin->request = request;
    plugin->notify = notify;
    plugin->release = NULL;
    return TOOLGATE_OK;
}
