/*
 * A plugin in C whose tools take from everybody what they can get:
 *   sleep     block a thread for this many "ms"
 *   babble    tell, for this many "ms" and without a pause: lines, lines that are none, and changes
 *   hang_up   close the connection to the server and live on
 *   greet     answer at once
 */
#define _GNU_SOURCE
#include "toolgate_plugin.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static toolgate_peer host;

static toolgate_bytes lend(const char *text) {
    toolgate_bytes bytes = {(const uint8_t *)text, strlen(text)};
    return bytes;
}

static int has(toolgate_bytes bytes, const char *word) {
    return memmem(bytes.data, bytes.len, word, strlen(word)) != NULL;
}

/* The number behind "ms": in flat JSON. */
static long milliseconds(toolgate_bytes params) {
    const char *found = memmem(params.data, params.len, "\"ms\":", 5);
    return found ? atol(found + 5) : 0;
}

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static void tell(const char *method, const char *params) {
    host.notify(host.instance, lend(method), lend(params));
}

static void babble(long span) {
    for (long end = now() + span; now() < end;) {
        tell("notifications/message", "{\"level\":\"info\",\"data\":\"a line that nobody asked for\"}");
        tell("notifications/message", "{\"level\":7}");
        tell("notifications/progress", "{\"progressToken\":\"none\"}");
        tell("notifications/resources/updated", "{\"uri\":\"x:y\"}");
        tell("notifications/unheard/of", "{}");
    }
}

static const char tools[] =
    "{\"tools\":["
    "{\"name\":\"sleep\",\"description\":\"Sleep\",\"inputSchema\":{\"type\":\"object\"}},"
    "{\"name\":\"babble\",\"description\":\"Babble\",\"inputSchema\":{\"type\":\"object\"}},"
    "{\"name\":\"hang_up\",\"description\":\"Hang up\",\"inputSchema\":{\"type\":\"object\"}},"
    "{\"name\":\"greet\",\"description\":\"Greet\",\"inputSchema\":{\"type\":\"object\"}}]}";

static void request(void *instance, uint64_t id, toolgate_bytes method, toolgate_bytes params,
                    toolgate_complete complete, void *context) {
    (void)instance;
    if (has(method, "tools/list")) {
        complete(context, id, TOOLGATE_OK, lend(tools));
        return;
    }
    if (has(method, "toolgate/health")) {
        complete(context, id, TOOLGATE_OK, lend("{\"status\":\"ready\"}"));
        return;
    }
    if (!has(method, "tools/call")) {
        complete(context, id, TOOLGATE_OK, lend("{}"));
        return;
    }
    if (has(params, "\"name\":\"sleep\"")) {
        usleep((useconds_t)milliseconds(params) * 1000);
    } else if (has(params, "\"name\":\"babble\"")) {
        babble(milliseconds(params));
    } else if (has(params, "\"name\":\"hang_up\"")) {
        for (int fd = 3; fd < 16; fd++) shutdown(fd, SHUT_RDWR);
        for (;;) pause();
    }
    complete(context, id, TOOLGATE_OK, lend("{\"content\":[{\"type\":\"text\",\"text\":\"hello\"}]}"));
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
    return lend("{\"name\":\"crowd\",\"version\":\"1.0.0\"}");
}

int32_t toolgate_plugin_create(const toolgate_peer *given, toolgate_bytes params, toolgate_peer *plugin,
                               toolgate_complete complete, void *context) {
    (void)params;
    (void)complete;
    (void)context;
    host = *given;
    plugin->size = sizeof(toolgate_peer);
    plugin->instance = NULL;
    plugin->request = request;
    plugin->notify = notify;
    plugin->release = NULL;
    return TOOLGATE_OK;
}
