// Signals of any width as 32-bit words, the lowest first.
#pragma once

#include <cstdint>
#include <cstring>

#include "verilated.h"

namespace microduet {

inline void get_words(CData signal, uint32_t* words) { *words = signal; }
inline void get_words(SData signal, uint32_t* words) { *words = signal; }
inline void get_words(IData signal, uint32_t* words) { *words = signal; }
inline void get_words(QData signal, uint32_t* words) { std::memcpy(words, &signal, sizeof signal); }
template <std::size_t WORDS>
void get_words(const VlWide<WORDS>& signal, uint32_t* words) {
    std::memcpy(words, signal.data(), 4 * WORDS);
}

template <typename Narrow>
void set_words(Narrow& signal, const uint32_t* words) {
    std::memcpy(&signal, words, sizeof signal);
}
template <std::size_t WORDS>
void set_words(VlWide<WORDS>& signal, const uint32_t* words) {
    std::memcpy(signal.data(), words, 4 * WORDS);
}

// Puts values of some bits one after the other.
class BitPacker {
  public:
    explicit BitPacker(uint32_t* words) : words_(words) {}

    // `value` has no bits beyond `bits`, which is at most 32.
    void put(uint32_t value, unsigned bits) {
        pending_ |= uint64_t{value} << filled_;
        filled_ += bits;
        if (filled_ < 32) return;
        *words_++ = static_cast<uint32_t>(pending_);
        pending_ >>= 32;
        filled_ -= 32;
    }
    void flush() {
        if (filled_) *words_ = static_cast<uint32_t>(pending_);
    }

  private:
    uint32_t* words_;
    uint64_t pending_ = 0;
    unsigned filled_ = 0;
};

}  // namespace microduet
