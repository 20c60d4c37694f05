/*
 * A Toolgate plugin in C: one tool, `greet`, with one argument, `name`, and one setting, `greeting`.
 *
 * Needs nothing but toolgate_plugin.h. The order below: reading JSON, the tool, what a host asks, the three exported
 * functions. README.md says how to build and try it.
 */
#include "toolgate_plugin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Reading JSON: enough to find a member of an object; what comes from a host is well formed ---- */

/* A piece of JSON text; nothing there if `data` is NULL. */
typedef toolgate_bytes json;

static const json nothing = {NULL, 0};

static const uint8_t *after_space(const uint8_t *p, const uint8_t *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r')) p++;
    return p;
}

/* Behind the string that begins at `p`; NULL if it does not end. */
static const uint8_t *after_string(const uint8_t *p, const uint8_t *end) {
    for (p++; p < end; p++) {
        if (*p == '"') return p + 1;
        if (*p == '\\' && ++p == end) return NULL;
    }
    return NULL;
}

/* Behind the value that begins at `p`; NULL if it does not end. */
static const uint8_t *after_value(const uint8_t *p, const uint8_t *end) {
    size_t depth = 0;
    while (p && p < end) {
        switch (*p) {
        case '"':
            p = after_string(p, end);
            break;
        case '{':
        case '[':
            depth++;
            p++;
            break;
        case '}':
        case ']':
            if (depth == 0) return NULL;
            depth--;
            p++;
            break;
        default: /* a number, a word, or what is between values inside of brackets */
            p++;
            while (p < end && !strchr("\"{}[], \t\n\r:", *p)) p++;
        }
        if (depth == 0) return p;
    }
    return NULL;
}

/* The value of the member `key` of an object. */
static json member(json object, const char *key) {
    const uint8_t *p = object.data, *end = p ? p + object.len : p;
    p = after_space(p, end);
    if (p == end || *p != '{') return nothing;
    do {
        const uint8_t *name = after_space(p + 1, end);
        if (name == end || *name != '"') return nothing;
        const uint8_t *name_end = after_string(name, end);
        if (!name_end) return nothing;
        p = after_space(name_end, end);
        if (p == end || *p != ':') return nothing;
        const uint8_t *value = after_space(p + 1, end), *value_end = after_value(value, end);
        if (!value_end) return nothing;
        size_t len = (size_t)(name_end - name) - 2;
        if (len == strlen(key) && memcmp(name + 1, key, len) == 0) return (json){value, (size_t)(value_end - value)};
        p = after_space(value_end, end);
    } while (p < end && *p == ',');
    return nothing;
}

/* What is between the quotes of a string, escapes as they are; nothing if it is no string. */
static json quoted(json value) {
    if (!value.data || value.len < 2 || value.data[0] != '"') return nothing;
    return (json){value.data + 1, value.len - 2};
}

static int is(toolgate_bytes bytes, const char *text) {
    return bytes.data && bytes.len == strlen(text) && memcmp(bytes.data, text, bytes.len) == 0;
}

/* ---- Answering ---- */

/* Where a request's answer goes. */
typedef struct asker {
    toolgate_complete complete;
    void *context;
    uint64_t id;
} asker;

static void answer(asker to, int32_t status, const char *payload) {
    to.complete(to.context, to.id, status, (toolgate_bytes){(const uint8_t *)payload, strlen(payload)});
}

/* A JSON-RPC error; `message` holds nothing that JSON would have to escape. */
static void fail(asker to, int code, const char *message) {
    char payload[256];
    snprintf(payload, sizeof payload, "{\"code\": %d, \"message\": \"%s\"}", code, message);
    answer(to, TOOLGATE_ERROR, payload);
}

/* ---- The tool ---- */

/* A started plugin. Requests come from many threads: nothing in here changes. */
typedef struct hello {
    char *greeting; /* as JSON has it between the quotes */
} hello;

static const char tools[] =
    "{\"tools\": [{"
    "\"name\": \"greet\", \"description\": \"Greet somebody by name.\","
    "\"inputSchema\": {\"type\": \"object\", \"properties\": {"
    "\"name\": {\"type\": \"string\", \"description\": \"Whom to greet.\"}"
    "}, \"required\": [\"name\"], \"additionalProperties\": false},"
    "\"annotations\": {\"readOnlyHint\": true, \"openWorldHint\": false}"
    "}]}";

static void greet(const hello *self, json arguments, asker to) {
    json name = quoted(member(arguments, "name"));
    if (!name.data) {
        answer(to, TOOLGATE_ERROR,
               "{\"code\": -32602, \"message\": \"a name is needed\", \"data\": {\"path\": \"/name\"}}");
        return;
    }
    /* Both are pieces of JSON strings, escaped already, and so is what they make together. */
    static const char format[] = "{\"content\": [{\"type\": \"text\", \"text\": \"%s, %.*s!\"}]}";
    size_t room = sizeof format + strlen(self->greeting) + name.len;
    char *result = name.len < 1 << 20 ? malloc(room) : NULL;
    if (!result) {
        fail(to, TOOLGATE_E_INTERNAL, "the name is too long");
        return;
    }
    snprintf(result, room, format, self->greeting, (int)name.len, (const char *)name.data);
    answer(to, TOOLGATE_OK, result);
    free(result);
}

/* ---- What a host asks and tells ---- */

static void request(void *instance, uint64_t id, toolgate_bytes method, toolgate_bytes params,
                    toolgate_complete complete, void *context) {
    asker to = {complete, context, id};
    if (is(method, "tools/call")) {
        if (is(quoted(member(params, "name")), "greet")) greet(instance, member(params, "arguments"), to);
        else fail(to, TOOLGATE_E_UNKNOWN_TOOL, "unknown tool");
    } else if (is(method, "tools/list")) answer(to, TOOLGATE_OK, tools);
    else if (is(method, "toolgate/health")) answer(to, TOOLGATE_OK, "{\"status\": \"ready\"}");
    else if (is(method, "toolgate/shutdown") || is(method, "ping")) answer(to, TOOLGATE_OK, "{}");
    else fail(to, TOOLGATE_E_METHOD_NOT_FOUND, "unknown method");
}

/* There is nothing to cancel: every request is answered before `request` returns. */
static void notify(void *instance, toolgate_bytes method, toolgate_bytes params) {
    (void)instance, (void)method, (void)params;
}

static void release(void *instance) {
    hello *self = instance;
    free(self->greeting);
    free(self);
}

/* ---- What the library exports ---- */

uint32_t toolgate_plugin_abi_version(void) { return TOOLGATE_ABI_VERSION; }

toolgate_bytes toolgate_plugin_manifest(void) {
    static const char manifest[] =
        "{\"name\": \"hello-plugin-c\", \"version\": \"0.1.0\", \"description\": \"Says hello\", \"blocking\": false,"
        "\"settingsSchema\": {\"type\": \"object\", \"properties\": {"
        "\"greeting\": {\"type\": \"string\", \"default\": \"Hello\", \"description\": \"What to say before the name.\"}"
        "}, \"additionalProperties\": false}}";
    return (toolgate_bytes){(const uint8_t *)manifest, sizeof manifest - 1};
}

int32_t toolgate_plugin_create(const toolgate_peer *host, toolgate_bytes params, toolgate_peer *plugin,
                               toolgate_complete complete, void *context) {
    (void)host; /* would be kept by a plugin that tells progress or writes to the log */
    asker to = {complete, context, 0};
    json greeting = member(member(params, "settings"), "greeting");
    if (!greeting.data) greeting = (json){(const uint8_t *)"\"Hello\"", 7};
    greeting = quoted(greeting);
    if (!greeting.data) {
        answer(to, TOOLGATE_ERROR,
               "{\"code\": -32002, \"message\": \"the greeting has to be a string\", \"data\": {\"path\": \"greeting\"}}");
        return TOOLGATE_ERROR;
    }
    hello *self = malloc(sizeof *self);
    char *copy = malloc(greeting.len + 1);
    if (!self || !copy) {
        free(self);
        free(copy);
        fail(to, TOOLGATE_E_INTERNAL, "out of memory");
        return TOOLGATE_ERROR;
    }
    memcpy(copy, greeting.data, greeting.len);
    copy[greeting.len] = '\0';
    self->greeting = copy;
    *plugin = (toolgate_peer){sizeof *plugin, self, request, notify, release};
    return TOOLGATE_OK;
}
