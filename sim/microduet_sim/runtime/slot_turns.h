// How many answers have come from each slot of an engine with users.
#pragma once

#include <array>
#include <cstdint>

namespace microduet {

constexpr size_t SLOTS = 64;

using SlotTurns = std::array<uint32_t, SLOTS>;

}  // namespace microduet
