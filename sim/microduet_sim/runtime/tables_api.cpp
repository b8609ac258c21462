// Table rows for Python, by the same functions that fill the simulated memory.

#include "tables.h"

extern "C" __attribute__((visibility("default"))) void md_table_rows(const MdTable* table, uint32_t width,
                                                                       const uint64_t* rows, uint64_t count,
                                                                       uint32_t columns, int64_t* out) {
    const unsigned unused = 64 - width;
    for (uint64_t k = 0; k < count; ++k)
        for (uint32_t column = 0; column < columns; ++column) {
            const uint64_t bits = microduet::table_element(*table, width, rows[k], column) << unused;
            // int8 tables hold unsigned elements, the others signed ones
            *out++ = width == 8 ? static_cast<int64_t>(bits >> unused) : static_cast<int64_t>(bits) >> unused;
        }
}
