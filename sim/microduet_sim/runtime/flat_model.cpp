// The whole engine Verilated at once: the reference for the composite model.

#include "verilated_top.h"

namespace microduet {

class FlatModel final : public Model {
  public:
    FlatModel() { bind(top_.top(), pins); }
    void rise(Edge edge, Changes changed) override { top_.rise(edge, changed); }
    void settle() override { top_.settle(); }
    bool open_wave(const char* path) override { return top_.open_wave(path); }
    void close_wave() override { top_.close_wave(); }
    void dump_wave(uint64_t ps) override { top_.dump_wave(ps); }

  private:
    VerilatedTop top_;
};

std::unique_ptr<Model> make_model() { return std::make_unique<FlatModel>(); }

}  // namespace microduet
