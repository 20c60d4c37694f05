/* A host in few lines: starts the plugin that it is linked with, puts each line of its input to it, prints answers. */
#include "toolgate_plugin.h"

#include <stdio.h>
#include <string.h>

static toolgate_bytes lend(const char *text) { return (toolgate_bytes){(const uint8_t *)text, strlen(text)}; }

static void answered(void *context, uint64_t id, int32_t status, toolgate_bytes payload) {
    (void)context;
    printf("%llu %d %.*s\n", (unsigned long long)id, (int)status, (int)payload.len, (const char *)payload.data);
}

static void heard(void *instance, toolgate_bytes method, toolgate_bytes params) {
    (void)instance, (void)method, (void)params;
}

/* Input: the params of `create`, then lines of `method params`. */
int main(void) {
    static char line[1 << 16];
    toolgate_bytes manifest = toolgate_plugin_manifest();
    printf("%u %.*s\n", (unsigned)toolgate_plugin_abi_version(), (int)manifest.len, (const char *)manifest.data);
    if (!fgets(line, sizeof line, stdin)) return 2;
    toolgate_peer host = {sizeof host, NULL, NULL, heard, NULL}, plugin = {sizeof plugin, NULL, NULL, NULL, NULL};
    if (toolgate_plugin_create(&host, lend(line), &plugin, answered, NULL) != TOOLGATE_OK) return 0;
    for (uint64_t id = 1; fgets(line, sizeof line, stdin); id++) {
        line[strcspn(line, "\n")] = '\0';
        char *params = strchr(line, ' ');
        if (!params) return 2;
        *params++ = '\0';
        plugin.notify(plugin.instance, lend("notifications/cancelled"), lend("{\"requestId\": 0}"));
        plugin.request(plugin.instance, id, lend(line), lend(params), answered, NULL);
    }
    plugin.release(plugin.instance);
    return 0;
}
