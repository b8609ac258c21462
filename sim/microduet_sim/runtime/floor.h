#pragma once

namespace microduet {

// Cycles per second of the arrays' multiply-accumulate work alone, measured for about `seconds`.
double floor_cycles_per_second(double seconds);

}  // namespace microduet
