// The Verilated EngineCore and, for each array, its pairs: Verilator's own evaluation, many pairs at a time.
//
// Every signal between them is a register, so the order within a cycle is free as long as each reads the old outputs
// of the others.

#include <array>
#include <cstring>
#include <vector>

#include "array_inputs.h"
#include "verilated_top.h"
#include "words.h"

namespace microduet {

#define MICRODUET_DECLARE_ARRAY(NAME, PES, DRAIN, BITS) std::unique_ptr<PairArray> make_##NAME();
MICRODUET_ARRAYS(MICRODUET_DECLARE_ARRAY)

template <typename Signal>
constexpr std::size_t words_of = (sizeof(Signal) + 3) / 4;

// The shadow registers of PEs 0 .. DRAIN - 1, side by side; whether they differ from before.
template <int PES, int DRAIN, int BITS, typename Tail>
bool set_tail(const PairArray& array, Tail& tail) {
    constexpr int WORDS = (BITS + 31) / 32;
    std::array<uint32_t, words_of<Tail> + 1> packed{};
    BitPacker packer(packed.data());
    for (int pe = 0; pe < DRAIN; ++pe)
        for (int k = 0; k < WORDS; ++k) {
            const int bits = k == WORDS - 1 ? BITS - 32 * k : 32;
            packer.put(pe < PES ? array.plane(k)[pe] : 0, static_cast<unsigned>(bits));
        }
    packer.flush();
    if (!std::memcmp(&tail, packed.data(), sizeof tail)) return false;
    set_words(tail, packed.data());
    return true;
}

class CompositeModel final : public Model {
  public:
    CompositeModel() {
        bind(verilated_.top(), pins);
#define MICRODUET_MAKE_ARRAY(NAME, PES, DRAIN, BITS) arrays_.push_back(make_##NAME());
        MICRODUET_ARRAYS(MICRODUET_MAKE_ARRAY)
    }

    void rise(Edge edge, Changes changed) override {
        if (edge.engine) changed.engine |= step_arrays();
        verilated_.rise(edge, changed);
    }
    void settle() override { verilated_.settle(); }
    bool open_wave(const char* path) override { return verilated_.open_wave(path); }
    void close_wave() override { verilated_.close_wave(); }
    void dump_wave(uint64_t ps) override { verilated_.dump_wave(ps); }

  private:
    // Whether what they tell the core has changed.
    bool step_arrays() {
        Vmodel& top = verilated_.top();
        bool changed = false;
        const bool recording = record.on();
        auto array = arrays_.begin();
#define MICRODUET_STEP_ARRAY(NAME, PES, DRAIN, BITS)                                                   \
    {                                                                                                  \
        changed |= set_tail<PES, DRAIN, BITS>(**array, MICRODUET_PIN(NAME, tail));                     \
        std::array<uint32_t, words_of<decltype(MICRODUET_PIN(NAME, x))>> x;                            \
        get_words(MICRODUET_PIN(NAME, x), x.data());                                                   \
        if (recording)                                                                                 \
            record.add(MICRODUET_PIN(NAME, accumulate), MICRODUET_PIN(NAME, address), x.data(), x.size()); \
        (*array++)->step({x.data(), MICRODUET_PIN(NAME, address), MICRODUET_PIN(NAME, first),          \
                          MICRODUET_PIN(NAME, accumulate), MICRODUET_PIN(NAME, capture),               \
                          MICRODUET_PIN(NAME, shift), MICRODUET_PIN(NAME, load),                       \
                          MICRODUET_PIN(NAME, load_pair), MICRODUET_PIN(NAME, load_half)});            \
    }
        MICRODUET_ARRAYS(MICRODUET_STEP_ARRAY)
        if (recording) record.end_cycle();
        (void)top;
        (void)array;
        return changed;
    }

    VerilatedTop verilated_;
    std::vector<std::unique_ptr<PairArray>> arrays_;
};

std::unique_ptr<Model> make_model() { return std::make_unique<CompositeModel>(); }

}  // namespace microduet
