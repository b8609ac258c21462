// What banks share: command buses and data buses, and within a rank the current that activations draw.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "parameters.h"

namespace microduet::dram {

constexpr size_t MAX_RANKS = 16;
constexpr size_t MAX_GROUPS = 128;  // of all ranks together

// Groups count over all ranks. A channel has one set of buses, or each group has its own (`group_buses`).
class Timing {
  public:
    explicit Timing(const MdDram& parameters) : t_(parameters) {
        for (uint32_t group = 0; group < t_.ranks * t_.bank_groups; ++group) {
            groups_[group].rank = group / t_.bank_groups;
            groups_[group].bus = t_.group_buses ? group : 0;
        }
    }

    // The first cycle for an activation in `group`: tRRD, tFAW and the row bus.
    uint64_t activate_from(uint32_t group) const {
        const Group& own = groups_[group];
        const Rank& rank = ranks_[own.rank];
        return std::max({buses_[own.bus].row, rank.activate, own.activate, rank.activations[rank.oldest]});
    }

    uint64_t row_bus_from(uint32_t group) const { return buses_[groups_[group].bus].row; }

    // The first cycle for a row command of all banks of a rank.
    uint64_t rank_from(uint32_t rank) const {
        uint64_t from = 0;
        for (uint32_t k = 0; k < t_.bank_groups; ++k) from = std::max(from, row_bus_from(rank * t_.bank_groups + k));
        return from;
    }

    // The first cycle for a read or a write in `group`: tCCD, the turn of the data bus to another direction or to
    // another rank, the data and the column bus.
    uint64_t column_from(uint32_t group, bool write) const {
        const Group& own = groups_[group];
        const Bus& bus = buses_[own.bus];
        const uint32_t latency = write ? t_.CWL : t_.CL;
        const uint64_t free = bus.data + (bus.rank == own.rank ? 0 : t_.tRTRS);
        const uint64_t data = free > latency ? free - latency : 0;
        return std::max({bus.column, ranks_[own.rank].column[write], own.column[write], data});
    }

    void activate(uint64_t cycle, uint32_t group) {
        Group& own = groups_[group];
        Rank& rank = ranks_[own.rank];
        row_command(cycle, group);
        rank.activate = cycle + t_.tRRD_S;
        own.activate = cycle + t_.tRRD_L;
        rank.activations[rank.oldest] = cycle + t_.tFAW;
        rank.oldest = (rank.oldest + 1) % rank.activations.size();
    }

    void row_command(uint64_t cycle, uint32_t group) {
        Bus& bus = buses_[groups_[group].bus];
        bus.row = cycle + 1;
        if (t_.one_command_bus) bus.column = cycle + 1;
    }

    void rank_command(uint64_t cycle, uint32_t rank) {
        for (uint32_t k = 0; k < t_.bank_groups; ++k) row_command(cycle, rank * t_.bank_groups + k);
    }

    // The end of the data, exclusive.
    uint64_t column(uint64_t cycle, uint32_t group, bool write) {
        Group& own = groups_[group];
        Bus& bus = buses_[own.bus];
        bus.column = cycle + 1;
        if (t_.one_command_bus) bus.row = cycle + 1;
        bus.data = cycle + (write ? t_.CWL : t_.CL) + t_.burst_cycles;
        bus.rank = own.rank;
        hold(own, write, cycle + t_.tCCD_S, cycle + t_.tCCD_L);
        if (write)
            hold(own, false, bus.data + t_.tWTR_S, bus.data + t_.tWTR_L);
        else
            hold(own, true, cycle + t_.tRTW, cycle + t_.tRTW);
        return bus.data;
    }

  private:
    static constexpr size_t ACTIVATIONS = 4;  // the "four" of tFAW

    // From when on something may come; `column` of reads, then of writes.
    struct Group {
        uint64_t activate = 0;
        std::array<uint64_t, 2> column{};
        uint32_t rank = 0, bus = 0;
    };
    struct Rank {
        uint64_t activate = 0;
        std::array<uint64_t, 2> column{};
        std::array<uint64_t, ACTIVATIONS> activations{};  // from when on each of the last four no longer counts
        size_t oldest = 0;
    };
    struct Bus {
        uint64_t row = 0, column = 0, data = 0;
        uint32_t rank = 0;  // of the last data
    };

    // A group with buses of its own is held up by its own columns only.
    void hold(Group& own, bool write, uint64_t other_group, uint64_t same_group) {
        uint64_t& any = ranks_[own.rank].column[write];
        if (!t_.group_buses) any = std::max(any, other_group);
        own.column[write] = std::max(own.column[write], same_group);
    }

    const MdDram& t_;
    std::array<Group, MAX_GROUPS> groups_{};
    std::array<Rank, MAX_RANKS> ranks_{};
    std::array<Bus, MAX_GROUPS> buses_{};
};

}  // namespace microduet::dram
