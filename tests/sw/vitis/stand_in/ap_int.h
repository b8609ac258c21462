// As much of HLS's integers as the movers use: a fixed number of bytes.
#pragma once
#include <array>

template <int BITS> struct ap_uint {
  std::array<unsigned char, (BITS + 7) / 8> bytes{};
  ap_uint() = default;
  ap_uint(int value) { bytes.fill(value < 0 ? 0xFF : 0); bytes[0] = static_cast<unsigned char>(value); }
  explicit operator bool() const { return bytes[0] & 1; }
};
