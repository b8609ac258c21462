// The check word of a row: the CRC-16 (0x1021) of its place and of all bytes before it, as microduet_hw's row_check has it.
#pragma once

#include <cstdint>

namespace microduet {

class RowCheck {
  public:
    RowCheck(uint64_t address, uint32_t channel) {
        for (int k = 0; k < 4; ++k) add(static_cast<uint8_t>(address / 32 >> 8 * k));
        add(static_cast<uint8_t>(channel));
    }

    void add(uint8_t byte) {
        word_ ^= static_cast<uint16_t>(byte << 8);
        for (int k = 0; k < 8; ++k) word_ = static_cast<uint16_t>(word_ << 1 ^ (word_ & 0x8000 ? 0x1021 : 0));
    }

    void add(const uint8_t* bytes, int count) {
        for (int k = 0; k < count; ++k) add(bytes[k]);
    }

    // Two bytes, the higher one first.
    void write(uint8_t* bytes) const {
        bytes[0] = static_cast<uint8_t>(word_ >> 8);
        bytes[1] = static_cast<uint8_t>(word_);
    }

  private:
    uint16_t word_ = 0xFFFF;
};

}  // namespace microduet
