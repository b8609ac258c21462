// The structures that cross the foreign-call border; `ctypes` mirrors them in simulator.py's `abi` module.
#pragma once

#include <cstdint>

#include "dram/parameters.h"

extern "C" {

// Rows of one table: mapped (`rows`), a product of two tables (`first`, `second`), or generated.
struct MdTable {
    uint64_t seed, table;
    int32_t amplitude_log2, fraction;
    double scale;
    const uint8_t* rows;
    uint64_t row_bytes;
    const MdTable *first, *second;  // row i is row i / second_rows of the first, then row i % second_rows of the second
    uint64_t second_rows;
    uint32_t first_columns, reserved;
};

// A rectangle of a table, every 2^row_step_log2-th row of it, and the place where it lies.
struct MdPart {
    uint32_t channel, table;
    uint64_t row_first, rows;
    uint32_t column_first, columns;
    uint64_t base;
    uint32_t stride_log2, row_step_log2;
    uint32_t hole_log2, hole_bits;  // zeros in a row's offset, above the lowest hole_log2 bits
    uint32_t check_beats, reserved;  // beats of a row that ends in a check word; 0: it has none
};

struct MdOpen {
    uint32_t engine_mhz, memory_mhz, width, channels;
    const MdPart* parts;
    const MdTable* tables;
    const double* latency_ns;  // per channel, of the simple memory
    const MdDram* dram;        // per channel, or null for the simple memory
    uint32_t part_count, table_count;
    uint32_t settle, reserved;  // settle: evaluate inputs before every edge, to expose combinational paths
};

// Faults of one channel. Reads count from 1; 0 is never.
struct MdFault {
    uint64_t error_on, silent_on;
    uint32_t reorder, reserved;
};

struct MdStalls {
    double items, load, results, requests, responses, control;
    uint64_t seed;
};

enum MdMode : uint32_t { MD_SATURATED = 0, MD_IDLE = 1, MD_ARRIVALS = 2 };

// Packets for one stream.
struct MdPackets {
    const uint32_t* packets;   // count x stride_beats x 16
    const uint32_t* beats;     // beats sent of each packet, or null for all
    const uint64_t* arrivals;  // engine cycles from the start of the batch
    uint64_t count;
    uint32_t stride_beats, mode;
    uint64_t* accepted_ps;  // when the first beat of each was taken
    // Of an engine with users: the slot of each packet's query, and how many answers from that slot it waits for.
    const uint32_t *slots, *turns;
    // Before one beat of one packet nothing is sent for so many cycles of the stream's clock.
    uint64_t pause_packet, pause_beat, pause_cycles;
};

struct MdRun {
    MdPackets items, users;  // users: of an engine that ranks for them
    uint64_t results;        // packets that come out
    uint32_t* tag;
    int32_t* logit;
    uint16_t* score;
    uint8_t* status;
    uint64_t *vector_ps, *finished_ps;  // of each item, of each result
    uint32_t* answers;       // all beats of the results as they are, or null: then they are an engine's, of one beat
    uint32_t* answer_beats;  // beats of each result
    uint64_t answer_capacity, answer_count;  // beats
    uint64_t* hashes;                        // per edge, or null
    uint64_t hash_capacity, hash_count;
    uint64_t patience;  // engine cycles without any progress after which the batch is given up
    uint64_t finished, engine_cycles, memory_cycles;
    double seconds;
};

struct MdCounters {
    uint64_t engine_cycles, memory_cycles;
    uint64_t* reads;     // per channel
    uint64_t* commands;  // per channel and kind of DRAM command
};

// Kinds of activity: a counter of the unit went up; beats of a stream were taken; a read of a memory channel was on its way.
enum MdActivity : uint32_t { MD_COUNTER = 0, MD_ITEMS, MD_USERS, MD_RESULTS, MD_READ, MD_ACTIVITIES };

// Cycles in a row, or one read from its address taken to its last beat taken.
struct MdInterval {
    uint64_t start_ps, end_ps;
    uint32_t kind, number;  // number: of the counter, of the channel
    uint64_t count;         // of cycles, of the read's beats
};

// Called at most ten times a second with the items finished and the engine cycles of the batch; not 0 stops the batch.
typedef int (*MdProgress)(uint64_t finished, uint64_t engine_cycles);

}  // extern "C"
