// Sums of rows made inside a channel's memory: at its ranks, or at the bank groups in its chips.
#pragma once

#include <cstdint>

#include "checker.h"
#include "parameters.h"
#include "replay.h"

extern "C" {

struct MdNear {
    const uint64_t* addresses;  // of the rows, bytes within the channel
    const uint32_t* pools;      // the sum that each belongs to: from 0 up, one after the other
    uint64_t lookups;
    uint32_t bytes;               // of every row
    uint32_t bank_groups;         // 1: bank groups sum and send to their rank; 0: ranks sum
    uint32_t instruction_bits;    // of one row's instruction
    uint32_t channel_bits;        // that the channel's command and data pins carry per cycle
    uint32_t rank_cycles;         // that an instruction takes from the DIMM's buffer to the chips; 0: it stays there
    uint32_t queue;               // rows that a rank has been told of and has not read
    uint32_t sums;                // under way
    uint32_t dimm_ranks;          // ranks whose sums are added before they leave
    uint64_t *completion, *sent;  // of each row and each sum, in cycles of the DRAM's clock
    uint64_t* counts;             // COMMAND_KINDS of each rank
    uint64_t partial_sums;        // that went from a bank group to its rank
    uint64_t dimm_sums;           // that crossed the channel
    uint64_t* commands;           // (kind, cycle, bank, row) each, or null; banks count over all ranks
    uint64_t command_capacity, command_count;
};

}  // extern "C"

namespace microduet::dram {

// Whether it ended by itself. The host sends an instruction per row, in order, as soon as the row's rank has a place in
// its queue and the sum one among those under way. Each rank has its own buses, commands and refreshes; the channel
// carries instructions and finished sums.
bool reduce(const MdDram& parameters, MdNear& job, MdReplayProgress progress);

}  // namespace microduet::dram
