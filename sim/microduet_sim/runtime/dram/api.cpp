// What Python calls of the DRAM model alone.

#include <cstdio>
#include <exception>

#include "replay.h"

#define MICRODUET_API extern "C" __attribute__((visibility("default")))

// 0 done, 1 failed (one line in `message`), 2 stopped.
MICRODUET_API int md_replay(const MdDram* parameters, MdReplay* job, MdReplayProgress progress, char* message) {
    try {
        return microduet::dram::replay(*parameters, *job, progress) ? 0 : 2;
    } catch (const std::exception& error) {
        std::snprintf(message, 512, "%s", error.what());
        return 1;
    }
}
