// Replays a trace on one channel, without a front end.
#pragma once

#include <cstdint>
#include <vector>

#include "checker.h"
#include "parameters.h"

extern "C" {

struct MdReplay {
    const uint64_t* addresses;  // bytes
    const uint32_t* bytes;
    const uint8_t* writes;  // or null: reads only
    uint64_t transactions;
    uint32_t outstanding, reserved;
    uint64_t *arrival, *completion;  // in cycles of the DRAM's clock
    uint64_t refreshes;
    uint64_t counts[microduet::dram::COMMAND_KINDS];  // commands by kind
    uint64_t* commands;  // (kind, cycle, bank, row) each, or null
    uint64_t command_capacity, command_count;
};

// Called now and then with the transactions that are complete; not 0 stops the replay.
typedef int (*MdReplayProgress)(uint64_t complete);

}  // extern "C"

namespace microduet::dram {

// Whether the replay ended by itself. Closed loop: each of `outstanding` slots holds one transaction, its next one
// arrives one cycle after that is complete. The bursts of a transaction enter in the order of their addresses, at most
// one burst per cycle.
bool replay(const MdDram& parameters, MdReplay& job, MdReplayProgress progress);

}  // namespace microduet::dram
