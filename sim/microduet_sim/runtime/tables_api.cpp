// Table rows and memory contents for Python, by the same functions that fill the simulated memory.

#include "tables.h"

#define MD_API extern "C" __attribute__((visibility("default")))

MD_API void md_table_rows(const MdTable* table, uint32_t width, const uint64_t* rows, uint64_t count, uint32_t columns,
                          int64_t* out) {
    const unsigned unused = 64 - width;
    for (uint64_t k = 0; k < count; ++k)
        for (uint32_t column = 0; column < columns; ++column) {
            const uint64_t bits = microduet::table_element(*table, width, rows[k], column) << unused;
            // int8 tables hold unsigned elements, the others signed ones
            *out++ = width == 8 ? static_cast<int64_t>(bits >> unused) : static_cast<int64_t>(bits) >> unused;
        }
}

MD_API void md_channel_beats(const MdTable* tables, uint32_t width, const MdPart* parts, uint32_t part_count,
                             const uint64_t* addresses, uint64_t count, uint32_t* out) {
    microduet::ChannelContents contents(width, tables);
    for (uint32_t k = 0; k < part_count; ++k) contents.add(parts[k]);
    for (uint64_t k = 0; k < count; ++k) contents.read(addresses[k], out + k * microduet::BEAT_BYTES / 4);
}
