// One channel of DRAM in numbers; `ctypes` mirrors the structure in the `dram` package.
#pragma once

#include <cstdint>

extern "C" {

enum MdRefresh : uint32_t { MD_REFRESH_OFF = 0, MD_REFRESH_ALL_BANK = 1, MD_REFRESH_SINGLE_BANK = 2 };
enum MdField : uint32_t { MD_ROW = 0, MD_GROUP = 1, MD_BANK = 2, MD_COLUMN = 3, MD_RANK = 4 };
constexpr uint32_t MD_FIELDS = 5;

// Bits `from` .. `from + bits - 1` of a burst's number are bits `to` and up of a field.
struct MdSegment {
    uint32_t field, from, bits, to;
};

// Times are in cycles of the DRAM's clock, named as in the JEDEC tables.
struct MdDram {
    double tCK_ns;
    double delay_ns;   // of the front end: constant, from the port's edge to the core
    double narrow_ns;  // 0, or the time of a beat of `narrow_bytes` on a narrower bus between the front end and its port
    uint32_t ranks, bank_groups, banks_per_group, burst_bytes, burst_cycles;
    uint32_t one_command_bus;  // rows and columns share it; otherwise each have one
    uint32_t group_buses;      // each bank group has buses of its own, as where data are used inside the chips
    uint64_t bytes;
    uint32_t CL, CWL, tRCDRD, tRCDWR, tRP, tRAS, tRC, tRTP, tWR, tWTR_S, tWTR_L, tRTW;
    uint32_t tCCD_S, tCCD_L, tRRD_S, tRRD_L, tFAW, tRTRS, tRFC, tREFI, tRFCSB, tREFISB;
    uint32_t refresh, refresh_phase, rank_phase, refresh_postpone;  // each rank refreshes `rank_phase` after the one before
    uint32_t closed_page, window, age_limit, outstanding;
    uint32_t narrow_bytes;
    uint32_t segment_count;
    MdSegment segments[32];
};

}  // extern "C"
