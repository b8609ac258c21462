// The floor of the simulation's speed: the multiply-accumulate work of the arrays and nothing else.
//
// One thread and AVX2: int16 vpmaddwd over rows of weights as large as the configuration's, with the same lanes, one
// row of every PE per cycle, and accumulators of 32 bits, or of 64 where the configuration's are wider than 32.

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "floor.h"
#include "ports.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace microduet {

namespace {

#ifdef __AVX2__

// PES processing elements of LANES operands of 16 bits; weights of BYTES bytes per operand; WIDE accumulators.
template <int PES, int LANES, int BYTES, int ROWS, bool WIDE>
class FloorArray {
  public:
    FloorArray() : weights_(static_cast<size_t>(ROWS) * ROW_BYTES + 64), sums_(static_cast<size_t>(GROUPS) * 2) {
        uint32_t state = 1;
        for (uint8_t& byte : weights_) byte = static_cast<uint8_t>((state = state * 1664525 + 1013904223) >> 24);
    }

    void step(uint64_t cycle) {
        const uint8_t* row = weights_.data() + (cycle % ROWS) * ROW_BYTES;
        __m256i x[STEPS];
        for (int k = 0; k < STEPS; ++k) x[k] = _mm256_set1_epi32(static_cast<int>(cycle * 2654435761u + k * 40503u));
        for (int g = 0; g < GROUPS; ++g) step_group(row + static_cast<size_t>(g) * STEPS * 16 * BYTES, x, &sums_[2 * g]);
    }

    int64_t sum() const { return _mm256_extract_epi64(sums_[0], 0) + _mm256_extract_epi64(sums_[1], 0); }

  private:
    // Eight PEs side by side, two operands at a time: no addition across a register is ever needed.
    static constexpr int GROUPS = (PES + 7) / 8, STEPS = (LANES + 1) / 2;
    static constexpr size_t ROW_BYTES = static_cast<size_t>(GROUPS) * STEPS * 16 * BYTES;

    static __m256i load(const uint8_t* place) {
        if constexpr (BYTES == 1) return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(place)));
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(place));
    }

    static void step_group(const uint8_t* row, const __m256i* x, __m256i* sums) {
        __m256i low = sums[0], high = sums[1];
        for (int k = 0; k < STEPS; ++k) {
            const __m256i products = _mm256_madd_epi16(load(row + static_cast<size_t>(k) * 16 * BYTES), x[k]);
            if constexpr (WIDE) {
                low = _mm256_add_epi64(low, _mm256_cvtepi32_epi64(_mm256_castsi256_si128(products)));
                high = _mm256_add_epi64(high, _mm256_cvtepi32_epi64(_mm256_extracti128_si256(products, 1)));
            } else {
                low = _mm256_add_epi32(low, products);
            }
        }
        sums[0] = low;
        sums[1] = high;
    }

    std::vector<uint8_t> weights_;
    std::vector<__m256i> sums_;
};

#else

// Without AVX2 the floor is what the compiler makes of the same loop.
template <int PES, int LANES, int BYTES, int ROWS, bool WIDE>
class FloorArray {
  public:
    FloorArray() : weights_(static_cast<size_t>(ROWS) * LANES * PES, 3), sums_(PES) {}
    void step(uint64_t cycle) {
        const int16_t* row = weights_.data() + (cycle % ROWS) * LANES * PES;
        for (int lane = 0; lane < LANES; ++lane)
            for (int pe = 0; pe < PES; ++pe) sums_[pe] += int32_t{row[lane * PES + pe]} * static_cast<int16_t>(cycle + lane);
    }
    int64_t sum() const { return sums_[0]; }

  private:
    std::vector<int16_t> weights_;
    std::vector<int64_t> sums_;
};

#endif

class Floor {
  public:
    void step(uint64_t cycle) {
#define MICRODUET_STEP_FLOOR(NAME, PES, LANES, BYTES, ROWS, WIDE) NAME##_->step(cycle);
        MICRODUET_FLOORS(MICRODUET_STEP_FLOOR)
        (void)cycle;
    }
    int64_t sum() const {
        int64_t total = 0;
#define MICRODUET_SUM_FLOOR(NAME, PES, LANES, BYTES, ROWS, WIDE) total += NAME##_->sum();
        MICRODUET_FLOORS(MICRODUET_SUM_FLOOR)
        return total;
    }

  private:
#define MICRODUET_HOLD_FLOOR(NAME, PES, LANES, BYTES, ROWS, WIDE)  \
    std::unique_ptr<FloorArray<PES, LANES, BYTES, ROWS, WIDE>> NAME##_ = \
        std::make_unique<FloorArray<PES, LANES, BYTES, ROWS, WIDE>>();
    MICRODUET_FLOORS(MICRODUET_HOLD_FLOOR)
};

}  // namespace

double floor_cycles_per_second(double seconds) {
    using SteadyClock = std::chrono::steady_clock;
    Floor floor;
    uint64_t cycles = 0;
    const auto start = SteadyClock::now();
    double spent = 0;
    while (spent < seconds) {
        for (int k = 0; k < 4096; ++k) floor.step(cycles++);
        spent = std::chrono::duration<double>(SteadyClock::now() - start).count();
    }
    volatile int64_t result = floor.sum();  // the work must not be optimised away
    (void)result;
    return static_cast<double>(cycles) / spent;
}

}  // namespace microduet
