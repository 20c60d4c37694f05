/*
 * The boundary between Toolgate and a plugin library, version 1.
 *
 * A plugin library exports three functions (at the end of this file). What crosses is MCP: a method name and its
 * params as JSON (UTF-8), and a result or an error as JSON. Both ways have one shape, `toolgate_peer`: the host asks
 * the plugin (`tools/list`, `tools/call`, ...), and the plugin may tell or ask the host (progress, log, ...).
 *
 * Rules
 *  - Memory stays with who made it. Every `toolgate_bytes` is lent for the duration of the call that carries it; who
 *    wants to keep it makes a copy. Nothing is freed by the other side.
 *  - A request is answered by calling `complete` exactly once with the request's `id`: before `request` returns, or
 *    later, from any thread. A second answer, or one to an unknown id, is dropped and logged.
 *  - `request` and `notify` may be called from any thread, several at a time. A plugin whose `request` may take long
 *    leaves `blocking` at true in its manifest and is given threads to block; one that says `"blocking": false` must
 *    return at once and complete later.
 *  - After `release` returns, the released side is not called again, and completes nothing more.
 *  - No exception and no panic may leave a function. In C++ the pointers are `noexcept`: what throws does not compile
 *    into them; `toolgate_guarded` (at the end) makes an error of what a request throws.
 *
 * Methods the host asks:  tools/list, tools/call, toolgate/health, toolgate/shutdown
 * What the host tells:    notifications/cancelled {"requestId": id}
 * What the plugin tells:  notifications/progress, notifications/message, notifications/tools/list_changed,
 *                         notifications/resources/updated
 * What the plugin asks:   ping. Later versions of the host may know more.
 * A method that a side does not know is answered with the error -32601; a notification that it does not know is
 * ignored. plugins/abi/README.md has the JSON of each, and what may change within a version.
 */
#ifndef TOOLGATE_PLUGIN_H
#define TOOLGATE_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define TOOLGATE_EXPORT __declspec(dllexport)
#else
#define TOOLGATE_EXPORT __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
#define TOOLGATE_NOEXCEPT noexcept
extern "C" {
#else
#define TOOLGATE_NOEXCEPT
#endif

/* What `toolgate_plugin_abi_version` returns. A host refuses a plugin of another version. */
#define TOOLGATE_ABI_VERSION 1u

/* Status of an answer: the payload is the result, or a JSON-RPC error object {"code", "message", "data"}. */
#define TOOLGATE_OK 0
#define TOOLGATE_ERROR 1

/* Error codes beside those of JSON-RPC 2.0. */
#define TOOLGATE_E_METHOD_NOT_FOUND (-32601)
#define TOOLGATE_E_INVALID_PARAMS (-32602) /* data.path: a JSON Pointer (RFC 6901) into the arguments */
#define TOOLGATE_E_INTERNAL (-32603)
#define TOOLGATE_E_UNKNOWN_TOOL (-32001)
#define TOOLGATE_E_SETTINGS (-32002) /* from create; data.path: the setting in dotted form, such as "api.key" */
#define TOOLGATE_E_CANCELLED (-32800)

/* Bytes that are lent. `data` may be NULL when `len` is 0. */
typedef struct toolgate_bytes {
    const uint8_t *data;
    size_t len;
} toolgate_bytes;

/* Answers the request `id`. `context` is what came with the request. */
typedef void (*toolgate_complete)(void *context, uint64_t id, int32_t status, toolgate_bytes payload) TOOLGATE_NOEXCEPT;

/* One side as the other sees it. */
typedef struct toolgate_peer {
    /* sizeof(toolgate_peer) as its maker knows it: members that a later version adds come at the end. */
    size_t size;
    /* Given back in every call. */
    void *instance;
    /* Asks. `id` is unique among the requests that are under way. */
    void (*request)(void *instance, uint64_t id, toolgate_bytes method, toolgate_bytes params,
                    toolgate_complete complete, void *context) TOOLGATE_NOEXCEPT;
    /* Tells; there is no answer. */
    void (*notify)(void *instance, toolgate_bytes method, toolgate_bytes params) TOOLGATE_NOEXCEPT;
    /* The other side is done with this one. May be NULL. */
    void (*release)(void *instance) TOOLGATE_NOEXCEPT;
} toolgate_peer;

/* ---- What a plugin library exports ---- */

/* TOOLGATE_ABI_VERSION. */
TOOLGATE_EXPORT uint32_t toolgate_plugin_abi_version(void) TOOLGATE_NOEXCEPT;

/*
 * Who the plugin is, as JSON that stays valid while the library is loaded:
 * {"name", "version", "description", "kit", "blocking", "settingsSchema"}; `name` and `version` must be there.
 */
TOOLGATE_EXPORT toolgate_bytes toolgate_plugin_manifest(void) TOOLGATE_NOEXCEPT;

/*
 * Starts an instance. `host` stays valid until the instance is released. `params` is
 * {"plugin": name in the configuration, "stateDir": folder, "settings": {...}, "host": {"name", "version"}}.
 * On success: fills `plugin` (whose `size` holds how much room there is) and returns TOOLGATE_OK. Otherwise calls
 * `complete` once, with the id 0, TOOLGATE_ERROR and the error, and returns TOOLGATE_ERROR.
 */
TOOLGATE_EXPORT int32_t toolgate_plugin_create(const toolgate_peer *host, toolgate_bytes params, toolgate_peer *plugin,
                                               toolgate_complete complete, void *context) TOOLGATE_NOEXCEPT;

#ifdef __cplusplus
}
#endif

/* `&toolgate_guarded<f>` is `f` as a `toolgate_peer.request`: what `f` throws is answered with the error -32603. */
#if defined(__cpp_exceptions) && __cplusplus >= 201703L
template <void (*f)(void *, uint64_t, toolgate_bytes, toolgate_bytes, toolgate_complete, void *)>
void toolgate_guarded(void *instance, uint64_t id, toolgate_bytes method, toolgate_bytes params,
                      toolgate_complete complete, void *context) noexcept {
    try {
        f(instance, id, method, params, complete, context);
    } catch (...) {
        static const char error[] = "{\"code\": -32603, \"message\": \"the plugin threw an exception\"}";
        complete(context, id, TOOLGATE_ERROR, {reinterpret_cast<const uint8_t *>(error), sizeof error - 1});
    }
}
#endif
#endif
