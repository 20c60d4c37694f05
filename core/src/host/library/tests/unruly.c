/* A plugin that does what the name of the tool says. Compiled by the tests, with -D for what a manifest can get wrong. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "toolgate_plugin.h"

#ifndef VERSION
#define VERSION TOOLGATE_ABI_VERSION
#endif
#ifndef MANIFEST
#define MANIFEST                                                                                                       \
    "{\"name\":\"unruly\",\"version\":\"1.2.3\",\"blocking\":false,\"settingsSchema\":{\"type\":\"object\","             \
    "\"properties\":{\"api_key\":{\"type\":\"string\"},\"how\":{\"type\":\"string\"}},\"additionalProperties\":false}}"
#endif
#ifndef SIZE
#define SIZE sizeof(toolgate_peer)
#endif

typedef struct instance {
    const toolgate_peer *host;
    uint64_t kept_id;
    toolgate_complete kept;
    void *kept_context;
    int cancelled;
} instance;

static toolgate_bytes text(const char *text) {
    toolgate_bytes bytes = {(const uint8_t *)text, strlen(text)};
    return bytes;
}

static int has(toolgate_bytes bytes, const char *word) {
    return memmem(bytes.data, bytes.len, word, strlen(word)) != NULL;
}

static const char *ANSWER = "{\"content\":[{\"type\":\"text\",\"text\":\"here\"}]}";

typedef struct later {
    toolgate_complete complete;
    void *context;
    uint64_t id;
} later;

static void *answer_later(void *argument) {
    later *work = argument;
    work->complete(work->context, work->id, TOOLGATE_OK, text(ANSWER));
    free(work);
    return NULL;
}

static void request(void *self, uint64_t id, toolgate_bytes method, toolgate_bytes params, toolgate_complete complete,
                    void *context) {
    instance *me = self;
    toolgate_bytes nothing = {NULL, 0};
    toolgate_bytes lie = {NULL, 1000};
#define TOOL(name) else if (has(params, "\"name\":\"" name "\""))
    if (has(method, "tools/list")) {
        complete(context, id, TOOLGATE_OK, text("{\"tools\":[{\"name\":\"answers\",\"inputSchema\":{\"type\":\"object\"}}]}"));
    } else if (has(method, "toolgate/shutdown")) {
        complete(context, id, TOOLGATE_OK, text("{}"));
    } else if (!has(method, "tools/call")) {
        complete(context, id, TOOLGATE_ERROR, text("{\"code\":-32601,\"message\":\"unknown\"}"));
    }
    TOOL("answers") complete(context, id, TOOLGATE_OK, text(ANSWER));
    TOOL("answers twice") {
        complete(context, id, TOOLGATE_OK, text(ANSWER));
        complete(context, id, TOOLGATE_OK, text("{\"content\":[]}"));
    }
    TOOL("answers another") {
        complete(context, id + 1000, TOOLGATE_OK, text("{\"content\":[]}"));
        complete(context, id, TOOLGATE_OK, text(ANSWER));
    }
    TOOL("answers with a wrong context") {
        complete(self, id, TOOLGATE_OK, text("{\"content\":[]}"));
        complete(NULL, id, TOOLGATE_OK, text("{\"content\":[]}"));
        complete(context, id, TOOLGATE_OK, text(ANSWER));
    }
    TOOL("answers later") {
        later *work = malloc(sizeof *work);
        pthread_t thread;
        work->complete = complete, work->context = context, work->id = id;
        pthread_create(&thread, NULL, answer_later, work);
        pthread_detach(thread);
    }
    TOOL("answers nothing") complete(context, id, TOOLGATE_OK, nothing);
    TOOL("answers a length without bytes") complete(context, id, TOOLGATE_OK, lie);
    TOOL("answers half") complete(context, id, TOOLGATE_OK, text("{\"content\":[{\"type\":\"te"));
    TOOL("answers a secret") complete(context, id, TOOLGATE_OK, text("{\"content\":\"s3cret\"}"));
    TOOL("answers bytes") complete(context, id, TOOLGATE_OK, text("\xff\xfe\xfd"));
    TOOL("answers a status") complete(context, id, 7, text(ANSWER));
    TOOL("fails") complete(context, id, TOOLGATE_ERROR, text("{\"code\":-32603,\"message\":\"no luck\",\"data\":{\"n\":1}}"));
    TOOL("fails without words") complete(context, id, TOOLGATE_ERROR, nothing);
    TOOL("refuses") {
        complete(context, id, TOOLGATE_ERROR,
                 text("{\"code\":-32602,\"message\":\"is odd\",\"data\":{\"path\":\"/n\"}}"));
    }
    TOOL("unknown") complete(context, id, TOOLGATE_ERROR, text("{\"code\":-32001,\"message\":\"unknown\"}"));
    TOOL("gives up") complete(context, id, TOOLGATE_ERROR, text("{\"code\":-32800,\"message\":\"cancelled\"}"));
    TOOL("huge") {
        size_t length = 8 << 20;
        char *much = malloc(length);
        memset(much, 'x', length);
        toolgate_bytes bytes = {(const uint8_t *)much, length};
        complete(context, id, TOOLGATE_OK, bytes);
        free(much);
    }
    TOOL("never") { me->kept_id = id, me->kept = complete, me->kept_context = context; }
    TOOL("blocks") {
        /* Until it is told that nobody waits. */
        while (!__atomic_load_n(&me->cancelled, __ATOMIC_ACQUIRE)) usleep(1000);
        complete(context, id, TOOLGATE_OK, text(ANSWER));
    }
    TOOL("lingers") {
        /* What is put away after the answer. */
        complete(context, id, TOOLGATE_OK, text(ANSWER));
        usleep(2000);
    }
    TOOL("stays") {
        for (;;) usleep(100000);
    }
    TOOL("was cancelled") {
        complete(context, id, TOOLGATE_OK,
                 text(me->cancelled ? "{\"content\":[{\"type\":\"text\",\"text\":\"yes\"}]}" : "{\"content\":[]}"));
    }
    TOOL("tells") {
        char progress[256];
        const uint8_t *found = memmem(params.data, params.len, "\"progressToken\":", 16);
        snprintf(progress, sizeof progress, "{\"progressToken\":%d,\"progress\":1,\"total\":2,\"message\":\"half\"}",
                 found ? atoi((const char *)found + 16) : 0);
        me->host->notify(me->host->instance, text("notifications/progress"), text(progress));
        me->host->notify(me->host->instance, text("notifications/progress"), text("{\"progressToken\":\"x\"}"));
        me->host->notify(me->host->instance, text("notifications/message"), text("{\"level\":\"notice\",\"data\":\"a\\nb\"}"));
        me->host->notify(me->host->instance, text("notifications/message"), text("{\"level\":\"alert\",\"data\":{\"n\":1}}"));
        me->host->notify(me->host->instance, text("notifications/tools/list_changed"), nothing);
        me->host->notify(me->host->instance, text("notifications/resources/updated"), text("{\"uri\":\"x:y\"}"));
        me->host->notify(me->host->instance, text("notifications/unheard/of"), nothing);
        me->host->notify(me->host->instance, text("\xff\xfe"), nothing);
        me->host->notify(me->host->instance, nothing, lie);
        me->host->notify(NULL, text("notifications/tools/list_changed"), nothing);
        complete(context, id, TOOLGATE_OK, text(ANSWER));
    }
    else if (has(params, "\"name\":\"asks ")) {
        /* The host's answer becomes the structured content. */
        toolgate_bytes asked = text(has(params, "asks ping") ? "ping" : has(params, "asks bytes") ? "\xff" : "sampling/createMessage");
        void relay(void *context, uint64_t id, int32_t status, toolgate_bytes payload);
        later *work = malloc(sizeof *work);
        work->complete = complete, work->context = context, work->id = id;
        me->host->request(me->host->instance, 1, asked, text("{}"), NULL, NULL);
        me->host->request(me->host->instance, 2, asked, text("{}"), relay, work);
    }
    else complete(context, id, TOOLGATE_ERROR, text("{\"code\":-32001,\"message\":\"unknown\"}"));
}

void relay(void *context, uint64_t id, int32_t status, toolgate_bytes payload) {
    later *work = context;
    char answer[512];
    snprintf(answer, sizeof answer, "{\"content\":[],\"structuredContent\":{\"id\":%d,\"status\":%d,\"payload\":%.*s}}",
             (int)id, (int)status, (int)payload.len, (const char *)payload.data);
    work->complete(work->context, work->id, TOOLGATE_OK, text(answer));
    free(work);
}

static void notify(void *self, toolgate_bytes method, toolgate_bytes params) {
    instance *me = self;
    (void)params;
    if (has(method, "notifications/cancelled")) __atomic_store_n(&me->cancelled, 1, __ATOMIC_RELEASE);
}

static void release(void *self) {
    instance *me = self;
    /* An answer at the last moment, and one that comes too late. */
    if (me->kept) me->kept(me->kept_context, me->kept_id, TOOLGATE_OK, text(ANSWER));
    free(me);
}

#ifndef NO_VERSION
uint32_t toolgate_plugin_abi_version(void) { return VERSION; }
#endif

#ifndef NO_MANIFEST
toolgate_bytes toolgate_plugin_manifest(void) {
#ifdef NULL_MANIFEST
    toolgate_bytes nothing = {NULL, 12};
    return nothing;
#else
    return text(MANIFEST);
#endif
}
#endif

#ifndef NO_CREATE
int32_t toolgate_plugin_create(const toolgate_peer *host, toolgate_bytes params, toolgate_peer *plugin,
                               toolgate_complete complete, void *context) {
    if (has(params, "\"how\":\"no\"")) {
        complete(context, 0, TOOLGATE_ERROR, text("{\"code\":-32603,\"message\":\"the moon is full\"}"));
        complete(context, 0, TOOLGATE_ERROR, text("{\"code\":-32603,\"message\":\"second thoughts\"}"));
        return TOOLGATE_ERROR;
    }
    if (has(params, "\"how\":\"setting\"")) {
        complete(context, 0, TOOLGATE_ERROR,
                 text("{\"code\":-32002,\"message\":\"is expired; make a new one\",\"data\":{\"path\":\"api_key\"}}"));
        return TOOLGATE_ERROR;
    }
    if (has(params, "\"how\":\"silent\"")) return TOOLGATE_ERROR;
    if (has(params, "\"how\":\"empty\"")) return TOOLGATE_OK;
    instance *me = calloc(1, sizeof *me);
    me->host = host;
    plugin->size = SIZE;
    plugin->instance = me;
    plugin->request = has(params, "\"how\":\"deaf\"") ? NULL : request;
    plugin->notify = notify;
    plugin->release = release;
    return TOOLGATE_OK;
}
#endif

#ifdef UNDEFINED
extern void nobody_defines_this(void);
void wants(void) { nobody_defines_this(); }
#endif
