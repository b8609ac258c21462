// What lies at an address of a memory channel.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "arguments.h"
#include "generated_rows.h"

namespace microduet {

constexpr int BEAT_BYTES = 32;

// One element of a table, as the bits that the memory holds.
inline uint64_t table_element(const MdTable& table, unsigned width, uint64_t row, uint64_t column) {
    if (table.rows) {
        uint64_t value = 0;
        std::memcpy(&value, table.rows + row * table.row_bytes + column * (width / 8), width / 8);
        return value;
    }
    const int32_t hash = generated_hash(table.seed, table.table, row, column);
    if (width == 8) return static_cast<uint64_t>(generated_int8(hash, table.scale, table.amplitude_log2));
    return static_cast<uint64_t>(generated_fixed(hash, table.fraction, table.amplitude_log2, static_cast<int>(width)));
}

// The parts of one channel, by address. What no part covers reads as zeros.
class ChannelContents {
  public:
    ChannelContents(unsigned width, const MdTable* tables) : width_(width), tables_(tables) {}

    void add(const MdPart& part) {
        const auto after = [](const MdPart& a, const MdPart& b) { return a.base < b.base; };
        parts_.insert(std::upper_bound(parts_.begin(), parts_.end(), part, after), part);
    }

    // One beat of 32 bytes.
    void read(uint64_t address, uint32_t* beat) const {
        std::memset(beat, 0, BEAT_BYTES);
        const auto above = [](uint64_t a, const MdPart& part) { return a < part.base; };
        const auto next = std::upper_bound(parts_.begin(), parts_.end(), address, above);
        if (next == parts_.begin()) return;
        const MdPart& part = next[-1];
        const uint64_t row = (address - part.base) >> part.stride_log2;
        if (row >= part.rows) return;
        const uint64_t offset = (address - part.base) & ((1ULL << part.stride_log2) - 1);
        const unsigned bytes = width_ / 8;
        const uint64_t first = offset / bytes, elements = BEAT_BYTES / bytes;
        const uint64_t end = std::min<uint64_t>(first + elements, part.columns);
        auto* out = reinterpret_cast<uint8_t*>(beat);
        for (uint64_t k = first; k < end; ++k, out += bytes) {
            const uint64_t value =
                table_element(tables_[part.table], width_, part.row_first + row, part.column_first + k);
            std::memcpy(out, &value, bytes);
        }
    }

  private:
    unsigned width_;
    const MdTable* tables_;
    std::vector<MdPart> parts_;
};

}  // namespace microduet
