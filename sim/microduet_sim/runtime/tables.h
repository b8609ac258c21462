// What lies at an address of a memory channel.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "arguments.h"
#include "generated_rows.h"
#include "row_check.h"

namespace microduet {

constexpr int BEAT_BYTES = 32;

// One element of a table, as the bits that the memory holds.
inline uint64_t table_element(const MdTable& table, unsigned width, uint64_t row, uint64_t column) {
    if (table.rows) {
        uint64_t value = 0;
        std::memcpy(&value, table.rows + row * table.row_bytes + column * (width / 8), width / 8);
        return value;
    }
    if (table.first) {
        if (column < table.first_columns) return table_element(*table.first, width, row / table.second_rows, column);
        return table_element(*table.second, width, row % table.second_rows, column - table.first_columns);
    }
    const int32_t hash = generated_hash(table.seed, table.table, row, column);
    if (width == 8) return static_cast<uint64_t>(generated_int8(hash, table.scale, table.amplitude_log2));
    return static_cast<uint64_t>(generated_fixed(hash, table.fraction, table.amplitude_log2, static_cast<int>(width)));
}

// The parts of one channel, by address; with holes, one part's rows may lie between another's. What no part covers
// reads as zeros; what was written reads as it was written.
class ChannelContents {
  public:
    ChannelContents(unsigned width, const MdTable* tables) : width_(width), tables_(tables) {}

    void add(const MdPart& part) {
        const auto after = [](const MdPart& a, const Placed& b) { return a.base < b.part.base; };
        parts_.insert(std::upper_bound(parts_.begin(), parts_.end(), part, after), Placed{part, 0});
        uint64_t reach = 0;
        for (Placed& placed : parts_) placed.reach = reach = std::max(reach, end(placed.part));
    }

    // One beat of 32 bytes, from an address that is a multiple of it.
    void read(uint64_t address, uint32_t* beat) const {
        if (!written_.empty()) {
            const auto found = written_.find(address / BEAT_BYTES);
            if (found != written_.end()) {
                std::memcpy(beat, found->second.data(), BEAT_BYTES);
                return;
            }
        }
        std::memset(beat, 0, BEAT_BYTES);
        const auto above = [](uint64_t a, const Placed& placed) { return a < placed.part.base; };
        auto next = std::upper_bound(parts_.begin(), parts_.end(), address, above);
        // As a rule the last part that begins before the address; further back only where parts lie between others.
        while (next != parts_.begin() && (--next)->reach > address)
            if (fill(next->part, address - next->part.base, beat)) return;
    }

    // How many of a beat's bytes belong to a row.
    uint32_t bytes(uint64_t address) const {
        uint32_t beat[BEAT_BYTES / 4];
        for (auto next = parts_.rbegin(); next != parts_.rend(); ++next)
            if (next->part.base <= address && fill(next->part, address - next->part.base, beat)) {
                const uint64_t checked = uint64_t{next->part.check_beats} * BEAT_BYTES;
                const uint64_t row = checked ? checked : uint64_t{next->part.columns} * width_ / 8;
                const uint64_t offset = address & ((1ULL << next->part.stride_log2) - 1);
                return static_cast<uint32_t>(std::min<uint64_t>(BEAT_BYTES, row > offset ? row - offset : 0));
            }
        return BEAT_BYTES;
    }

    void write(uint64_t address, const uint32_t* beat) {
        std::memcpy(written_[address / BEAT_BYTES].data(), beat, BEAT_BYTES);
    }

  private:
    struct Placed {
        MdPart part;
        uint64_t reach;  // the end of whichever reaches furthest, of this part and those before it
    };

    static uint64_t end(const MdPart& part) {
        const uint64_t linear = (part.rows << part.stride_log2) - 1;
        const uint64_t above = linear >> part.hole_log2;
        return part.base + (above << (part.hole_log2 + part.hole_bits)) + (linear - (above << part.hole_log2)) + 1;
    }

    // The beat at a distance from the part's base, if the part has it.
    bool fill(const MdPart& part, uint64_t distance, uint32_t* beat) const {
        const uint64_t above = distance >> part.hole_log2, low = distance - (above << part.hole_log2);
        if (above & ((1ULL << part.hole_bits) - 1)) return false;
        const uint64_t linear = ((above >> part.hole_bits) << part.hole_log2) + low, row = linear >> part.stride_log2;
        if (row >= part.rows) return false;
        const uint64_t number = part.row_first + (row << part.row_step_log2);
        const uint64_t offset = linear & ((1ULL << part.stride_log2) - 1);
        const unsigned bytes = width_ / 8;
        const uint64_t first = offset / bytes, elements = BEAT_BYTES / bytes;
        const uint64_t end = std::min<uint64_t>(first + elements, part.columns);
        auto* out = reinterpret_cast<uint8_t*>(beat);
        for (uint64_t k = first; k < end; ++k, out += bytes) {
            const uint64_t value = table_element(tables_[part.table], width_, number, part.column_first + k);
            std::memcpy(out, &value, bytes);
        }
        if (part.check_beats && offset / BEAT_BYTES == part.check_beats - 1) check(part, distance - offset, beat);
        return true;
    }

    // Put the check word of the row at a distance from the part's base into its last beat.
    void check(const MdPart& part, uint64_t distance, uint32_t* last) const {
        RowCheck word(part.base + distance, part.channel);
        for (uint32_t k = 0; k + 1 < part.check_beats; ++k) {
            std::array<uint32_t, BEAT_BYTES / 4> beat{};
            fill(part, distance + uint64_t{k} * BEAT_BYTES, beat.data());
            word.add(reinterpret_cast<const uint8_t*>(beat.data()), BEAT_BYTES);
        }
        auto* bytes = reinterpret_cast<uint8_t*>(last);
        word.add(bytes, BEAT_BYTES - 2);
        word.write(bytes + BEAT_BYTES - 2);
    }

    unsigned width_;
    const MdTable* tables_;
    std::vector<Placed> parts_;
    std::unordered_map<uint64_t, std::array<uint32_t, BEAT_BYTES / 4>> written_;
};

}  // namespace microduet
