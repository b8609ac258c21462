// Where in the channel a burst lies.
#pragma once

#include <cstdint>

#include "parameters.h"

namespace microduet::dram {

struct Place {
    uint32_t rank, row, group, bank, column;
};

class AddressMap {
  public:
    explicit AddressMap(const MdDram& parameters) : parameters_(parameters) {}

    Place operator()(uint64_t address) const {
        const uint64_t burst = address / parameters_.burst_bytes;
        uint32_t fields[MD_FIELDS] = {};
        for (uint32_t k = 0; k < parameters_.segment_count; ++k) {
            const MdSegment& segment = parameters_.segments[k];
            const uint64_t bits = burst >> segment.from & ((1ULL << segment.bits) - 1);
            fields[segment.field] |= static_cast<uint32_t>(bits << segment.to);
        }
        return {fields[MD_RANK], fields[MD_ROW], fields[MD_GROUP], fields[MD_BANK], fields[MD_COLUMN]};
    }

  private:
    const MdDram& parameters_;
};

}  // namespace microduet::dram
