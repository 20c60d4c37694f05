/* Prints what the header says, for a test to compare with the Rust side. Compiles as C and as C++. */
#include "toolgate_plugin.h"

#include <stdio.h>

#define SIZE(type) printf("sizeof(" #type ") %zu\n", sizeof(type))
#define OFFSET(type, member) printf("offsetof(" #type ", " #member ") %zu\n", offsetof(type, member))
#define VALUE(name) printf(#name " %lld\n", (long long)(name))

int main(void) {
    SIZE(toolgate_bytes);
    OFFSET(toolgate_bytes, data);
    OFFSET(toolgate_bytes, len);
    SIZE(toolgate_peer);
    OFFSET(toolgate_peer, size);
    OFFSET(toolgate_peer, instance);
    OFFSET(toolgate_peer, request);
    OFFSET(toolgate_peer, notify);
    OFFSET(toolgate_peer, release);
    SIZE(toolgate_complete);
    VALUE(TOOLGATE_ABI_VERSION);
    VALUE(TOOLGATE_OK);
    VALUE(TOOLGATE_ERROR);
    VALUE(TOOLGATE_E_METHOD_NOT_FOUND);
    VALUE(TOOLGATE_E_INVALID_PARAMS);
    VALUE(TOOLGATE_E_INTERNAL);
    VALUE(TOOLGATE_E_UNKNOWN_TOOL);
    VALUE(TOOLGATE_E_SETTINGS);
    VALUE(TOOLGATE_E_CANCELLED);
    return 0;
}
