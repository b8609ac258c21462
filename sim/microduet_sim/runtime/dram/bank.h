// One bank: which row is open, and from when on it takes which command.
#pragma once

#include <algorithm>
#include <cstdint>

#include "parameters.h"

namespace microduet::dram {

class Bank {
  public:
    static constexpr uint32_t CLOSED = ~0u;

    bool open() const { return row_ != CLOSED; }
    uint32_t row() const { return row_; }
    uint64_t activate_from() const { return activate_from_; }
    uint64_t precharge_from() const { return precharge_from_; }
    uint64_t column_from(bool write) const { return write ? write_from_ : read_from_; }

    void activate(const MdDram& t, uint64_t cycle, uint32_t row) {
        row_ = row;
        read_from_ = cycle + t.tRCDRD;
        write_from_ = cycle + t.tRCDWR;
        precharge_from_ = cycle + t.tRAS;
        activate_from_ = cycle + t.tRC;
    }

    void column(const MdDram& t, uint64_t cycle, bool write) {
        const uint64_t recovered = write ? cycle + t.CWL + t.burst_cycles + t.tWR : cycle + t.tRTP;
        precharge_from_ = std::max(precharge_from_, recovered);
    }

    void precharge(const MdDram& t, uint64_t cycle) {
        row_ = CLOSED;
        activate_from_ = std::max(activate_from_, cycle + t.tRP);
    }

    // Nothing before `cycle`.
    void block(uint64_t cycle) { activate_from_ = std::max(activate_from_, cycle); }

  private:
    uint32_t row_ = CLOSED;
    uint64_t activate_from_ = 0, precharge_from_ = 0, read_from_ = 0, write_from_ = 0;
};

}  // namespace microduet::dram
