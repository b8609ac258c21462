// Pairs evaluated many at a time against the same pairs as Verilator compiles them, one by one, on random stimulus.
//
// SIZES is "pes, drain, bits of the chain"; Vpair_0 is the Verilated pair.

#include <memory>
#include <vector>

#include "Vpair_0.h"
#include "array_inputs.h"
#include "stall.h"
#include "verilated.h"
#include "words.h"

namespace microduet {

std::unique_ptr<PairArray> make_array_0();

template <int PES, int DRAIN, int BITS>
class ScalarPairs {
  public:
    static constexpr int WORDS = (BITS + 31) / 32;

    ScalarPairs() {
        for (int k = 0; k < PES / 2; ++k) pairs_.push_back(std::make_unique<Vpair_0>(&context_));
    }

    void step(const ArrayInputs& in) {
        const std::vector<uint32_t> old = chain_;
        for (int k = 0; k < PES / 2; ++k) {
            Vpair_0& pair = *pairs_[k];
            set_words(pair.i_x, in.x);
            pair.i_index = k;
            pair.i_address = in.address;
            pair.i_first = in.first;
            pair.i_accumulate = in.accumulate;
            pair.i_capture = in.capture;
            pair.i_shift = in.shift;
            pair.i_load = in.load;
            pair.i_load_pair = in.load_pair;
            pair.i_load_half = in.load_half;
            set_words(pair.i_chain_0, &old[(k + DRAIN) * WORDS]);
            set_words(pair.i_chain_1, &old[(k + PES / 2 + DRAIN) * WORDS]);
            pair.clk = 0;
            pair.eval();
            pair.clk = 1;
            pair.eval();
            get_words(pair.o_chain_0, &chain_[k * WORDS]);
            get_words(pair.o_chain_1, &chain_[(k + PES / 2) * WORDS]);
        }
    }
    uint32_t chain(int pe, int word) const { return chain_[pe * WORDS + word]; }

  private:
    VerilatedContext context_;
    std::vector<std::unique_ptr<Vpair_0>> pairs_;
    std::vector<uint32_t> chain_ = std::vector<uint32_t>((PES + DRAIN + 1) * WORDS);
};

// Random control, as wild as the ports allow; what is read was loaded or is zero in both.
struct Stimulus {
    Random random;
    int rows, pairs, bits;
    uint32_t x[128];  // words of the widest operand of any case

    ArrayInputs next() {
        for (int k = 0; 32 * k < bits; ++k) x[k] = static_cast<uint32_t>(random.next());
        if (bits % 32) x[bits / 32] &= (1u << bits % 32) - 1;  // Verilator relies on clear bits beyond a port
        const auto chance = [&](unsigned percent) { return static_cast<uint32_t>(random.below(100) < percent); };
        return {x,
                static_cast<uint32_t>(random.below(rows)),
                chance(10),
                chance(80),
                chance(20),
                chance(50),
                chance(40),
                static_cast<uint32_t>(random.below(pairs + 1)),
                chance(50)};
    }
};

template <int PES, int DRAIN, int BITS>
int64_t compare(uint64_t seed, int64_t cycles, int rows, int operand_bits) {
    ScalarPairs<PES, DRAIN, BITS> scalar;
    const auto lanes = make_array_0();
    Stimulus stimulus{Random(seed), rows, PES / 2, operand_bits, {}};
    for (int64_t cycle = 0; cycle < cycles; ++cycle) {
        const ArrayInputs inputs = stimulus.next();
        scalar.step(inputs);
        lanes->step(inputs);
        for (int pe = 0; pe < PES; ++pe)
            for (int word = 0; word < ScalarPairs<PES, DRAIN, BITS>::WORDS; ++word)
                if (scalar.chain(pe, word) != lanes->plane(word)[pe]) return cycle;
    }
    return -1;
}

}  // namespace microduet

// The first cycle in which a shadow register differs, or -1.
extern "C" __attribute__((visibility("default"))) int64_t compare_pairs(uint64_t seed, int64_t cycles, int rows,
                                                                        int operand_bits) {
    return microduet::compare<SIZES>(seed, cycles, rows, operand_bits);
}
