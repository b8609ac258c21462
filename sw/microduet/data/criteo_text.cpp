// Lines of a label, whole numbers and hexadecimal categories, tabs between them, to columns: one pass, nothing allocated.

#include <cstdint>
#include <cstring>
#include <optional>

#define MD_API extern "C" __attribute__((visibility("default")))

namespace {

constexpr int DECIMAL_DIGITS = 10, HEXADECIMAL_DIGITS = 8;

// The value of 8 hexadecimal digits, all at once: a table would be read 8 times per field, which is half of the time.
std::optional<std::uint32_t> hexadecimal(const unsigned char* text) {
    static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
    constexpr std::uint64_t each = 0x0101010101010101, high = 0x80 * each;
    std::uint64_t bytes;
    std::memcpy(&bytes, text, sizeof bytes);
    // Adding 0x80 - c sets a byte's highest bit from the character c on; no byte is above 0x7f, so none carries.
    const auto from = [](std::uint64_t value, unsigned character) { return value + (0x80 - character) * each; };
    const std::uint64_t plain = bytes & ~high, lower = plain | 0x20 * each, above_at = plain << 1;  // 0x40: from '@' on
    const std::uint64_t digits = from(plain, '0') & ~from(plain, '9' + 1);
    const std::uint64_t letters = from(lower, 'a') & ~from(lower, 'f' + 1) & above_at;
    if (((digits | letters) & ~bytes & high) != high) return std::nullopt;
    std::uint64_t value = __builtin_bswap64((plain & 0x0f * each) + 9 * (plain >> 6 & each));
    value = (value | value >> 4) & 0x00ff00ff00ff00ff;
    value = (value | value >> 8) & 0x0000ffff0000ffff;
    return static_cast<std::uint32_t>(value | value >> 16);
}

// Reads fields one after the other. The byte at `end` is none of a line's, so single bytes need no look at `end`.
struct Cursor {
    const unsigned char* at;
    const unsigned char* end;

    // A branch: as a sum, `at` would wait for every byte before it.
    bool skip(unsigned char wanted) {
        if (*at != wanted) return false;
        ++at;
        return true;
    }

    // LF, CR LF, or the text's end, which a CR may precede.
    bool line_end() {
        skip('\r');
        return at == end || skip('\n');
    }

    bool label(std::uint8_t& value) {
        value = *at++ - '0';
        return value <= 1;
    }

    // At most 10 digits that make an integer of 32 bits; an empty field is 0.
    bool number(std::int32_t& value) {
        const bool negative = skip('-');
        const auto* const first = at;
        std::int64_t magnitude = 0;
        while (*at >= '0' && *at <= '9' && at - first < DECIMAL_DIGITS) magnitude = 10 * magnitude + (*at++ - '0');
        value = static_cast<std::int32_t>(negative ? -magnitude : magnitude);
        return magnitude < (std::int64_t{1} << 31) + negative && (at != first || !negative);
    }

    // 8 digits; an empty field is 0.
    bool category(std::uint32_t& value) {
        value = 0;
        if (*at < '0') return true;  // no digit: the next byte that is read must end the field
        if (end - at < HEXADECIMAL_DIGITS) return false;
        const auto found = hexadecimal(at);
        value = found.value_or(0);
        at += HEXADECIMAL_DIGITS;
        return found.has_value();
    }
};

}  // namespace

// Rows of `text` before the first bad line, all if there is none: `*whole` says so. A byte of 0 must follow the text.
// The arrays are (rows,), (rows, numbers) and (rows, categories), with rows at least size / fields + 1.
MD_API std::uint64_t md_criteo_lines(const unsigned char* text, std::uint64_t size, std::uint32_t numbers,
                                     std::uint32_t categories, std::uint8_t* label, std::int32_t* number,
                                     std::uint32_t* category, std::uint8_t* whole) {
    Cursor line{text, text + size};
    std::uint64_t rows = 0;
    *whole = 0;
    for (; line.at != line.end; ++rows) {
        if (!line.label(*label++)) return rows;
        for (std::uint32_t k = 0; k < numbers; ++k)
            if (!line.skip('\t') || !line.number(*number++)) return rows;
        for (std::uint32_t k = 0; k < categories; ++k)
            if (!line.skip('\t') || !line.category(*category++)) return rows;
        if (!line.line_end()) return rows;
    }
    *whole = 1;
    return rows;
}
