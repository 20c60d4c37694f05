/*
 * A plugin in C that behaves, and that a test compiles in ways that a loader has to refuse:
 *   GREETING    what its tool `greet` answers; tells two builds apart
 *   ABI         another version of the boundary
 *   NO_VERSION  it does not say its version
 *   NO_CREATE   nothing creates an instance
 *   MANIFEST    another manifest
 *   TOOLS       a file with the characters of its answer to `tools/list`, as a list of numbers
 *   ILL         it is not well, tells how often it was asked how it is, and goes on for so many characters
 */
#include "toolgate_plugin.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#ifndef ABI
#define ABI TOOLGATE_ABI_VERSION
#endif
#ifndef GREETING
#define GREETING "hello"
#endif
#ifndef MANIFEST
#define MANIFEST "{\"name\":\"contrary\",\"version\":\"1.0.0\",\"blocking\":false}"
#endif

static toolgate_bytes lend(const char *text) {
    toolgate_bytes bytes = {(const uint8_t *)text, strlen(text)};
    return bytes;
}

toolgate_bytes toolgate_plugin_manifest(void) {
    return lend(MANIFEST);
}

#ifndef NO_VERSION
uint32_t toolgate_plugin_abi_version(void) {
    return ABI;
}
#endif

#ifndef NO_CREATE
#ifdef TOOLS
static const char tools[] = {
#include TOOLS
    , 0};
#else
static const char tools[] =
    "{\"tools\":[{\"name\":\"greet\",\"description\":\"Greet\",\"inputSchema\":{\"type\":\"object\"}}]}";
#endif

static int is(toolgate_bytes bytes, const char *text) {
    return bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

static void request(void *instance, uint64_t id, toolgate_bytes method, toolgate_bytes params,
                    toolgate_complete complete, void *context) {
    (void)instance;
    (void)params;
    if (is(method, "tools/list")) {
        complete(context, id, TOOLGATE_OK, lend(tools));
    } else if (is(method, "tools/call")) {
        complete(context, id, TOOLGATE_OK, lend("{\"content\":[{\"type\":\"text\",\"text\":\"" GREETING "\"}]}"));
    } else if (is(method, "toolgate/health")) {
#ifdef ILL
        static atomic_int asked;
        char text[ILL + 64];
        int times = atomic_fetch_add(&asked, 1) + 1;
        snprintf(text, sizeof text, "{\"status\":\"degraded\",\"reason\":\"asked %d times%0*d\"}", times, ILL, 0);
        complete(context, id, TOOLGATE_OK, lend(text));
#else
        complete(context, id, TOOLGATE_OK, lend("{\"status\":\"ready\"}"));
#endif
    } else if (is(method, "toolgate/shutdown") || is(method, "ping")) {
        complete(context, id, TOOLGATE_OK, lend("{}"));
    } else {
        complete(context, id, TOOLGATE_ERROR, lend("{\"code\":-32601,\"message\":\"unknown method\"}"));
    }
}

static void notify(void *instance, toolgate_bytes method, toolgate_bytes params) {
    (void)instance;
    (void)method;
    (void)params;
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
#endif
