/* What a C++ plugin throws is answered; and a request that may throw is no request. */
#include "toolgate_plugin.h"

#include <cstdio>
#include <stdexcept>

static void throws(void *, uint64_t, toolgate_bytes, toolgate_bytes, toolgate_complete, void *) {
    throw std::runtime_error("inside");
}

static void answered(void *, uint64_t id, int32_t status, toolgate_bytes payload) noexcept {
    std::printf("%llu %d %.*s\n", static_cast<unsigned long long>(id), static_cast<int>(status),
                static_cast<int>(payload.len), reinterpret_cast<const char *>(payload.data));
}

int main() {
    toolgate_peer plugin = {sizeof plugin, nullptr, &toolgate_guarded<throws>, nullptr, nullptr};
#ifdef UNGUARDED
    plugin.request = throws;
#endif
    plugin.request(nullptr, 7, {nullptr, 0}, {nullptr, 0}, answered, nullptr);
}
