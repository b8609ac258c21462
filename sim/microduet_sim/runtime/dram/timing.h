// What the banks of a channel share: the two command buses, the data bus and the current that activations draw.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "parameters.h"

namespace microduet::dram {

class Timing {
  public:
    explicit Timing(const MdDram& parameters) : t_(parameters) {}

    // The first cycle for an activation in `group`: tRRD, tFAW and the row bus.
    uint64_t activate_from(uint32_t group) const {
        return std::max({row_bus_, any_activate_, group_activate_[group], activations_[oldest_]});
    }

    uint64_t row_bus_from() const { return row_bus_; }

    // The first cycle for a read or a write in `group`: tCCD, the turn of the data bus, the data and the column bus.
    uint64_t column_from(uint32_t group, bool write) const {
        const Ready& ready = write ? write_ : read_;
        const uint32_t latency = write ? t_.CWL : t_.CL;
        const uint64_t data = data_bus_ > latency ? data_bus_ - latency : 0;
        return std::max({column_bus_, ready.any, ready.group[group], data});
    }

    void activate(uint64_t cycle, uint32_t group) {
        row_bus_ = cycle + 1;
        any_activate_ = cycle + t_.tRRD_S;
        group_activate_[group] = cycle + t_.tRRD_L;
        activations_[oldest_] = cycle + t_.tFAW;
        oldest_ = (oldest_ + 1) % activations_.size();
    }

    void row_command(uint64_t cycle) { row_bus_ = cycle + 1; }

    // The end of the data, exclusive.
    uint64_t column(uint64_t cycle, uint32_t group, bool write) {
        column_bus_ = cycle + 1;
        data_bus_ = cycle + (write ? t_.CWL : t_.CL) + t_.burst_cycles;
        if (write) {
            write_.after(cycle + t_.tCCD_S, group, cycle + t_.tCCD_L);
            read_.after(data_bus_ + t_.tWTR_S, group, data_bus_ + t_.tWTR_L);
        } else {
            read_.after(cycle + t_.tCCD_S, group, cycle + t_.tCCD_L);
            write_.after(cycle + t_.tRTW, group, cycle + t_.tRTW);
        }
        return data_bus_;
    }

  private:
    static constexpr size_t ACTIVATIONS = 4;  // the "four" of tFAW
    static constexpr size_t MAX_GROUPS = 64;

    struct Ready {
        uint64_t any = 0;
        std::array<uint64_t, MAX_GROUPS> group{};

        void after(uint64_t cycle, uint32_t same, uint64_t same_cycle) {
            any = std::max(any, cycle);
            group[same] = std::max(group[same], same_cycle);
        }
    };

    const MdDram& t_;
    uint64_t row_bus_ = 0, column_bus_ = 0, data_bus_ = 0, any_activate_ = 0;
    std::array<uint64_t, MAX_GROUPS> group_activate_{};
    std::array<uint64_t, ACTIVATIONS> activations_{};  // from when on each of the last four no longer counts
    size_t oldest_ = 0;
    Ready read_, write_;
};

}  // namespace microduet::dram
