// Knows when an edge of the memory-side clock cannot change anything, so that it need not be evaluated.
//
// Two edges in a row that leave everything as it was prove that the memory side stands still: what it computes depends
// on its own state, on inputs and on the few signals that come from the engine side (`quiet.h`, written by the build).
// It wakes when an input or one of those signals changes.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "Vmodel___024root.h"
#include "quiet.h"

namespace microduet {

class QuietSide {
  public:
    explicit QuietSide(Vmodel___024root& root) : root_(root), copy_(sizeof root + alignof(Vmodel___024root)) {
        std::vector<std::pair<size_t, size_t>> large;
#define MICRODUET_FIND_LARGE(SIGNAL) large.emplace_back(place(&root_.SIGNAL), sizeof root_.SIGNAL);
        MICRODUET_LARGE(MICRODUET_FIND_LARGE)
        std::sort(large.begin(), large.end());
        size_t start = 0;
        for (const auto& [offset, size] : large) {
            regions_.emplace_back(start, offset - start);
            start = offset + size;
        }
        regions_.emplace_back(start, sizeof root_ - start);
    }

    // An input has changed.
    void wake() { asleep_ = false, patience_ = CALM_EDGES, unchanged_ = 0; }

    // Before an edge of the memory-side clock: whether it can be left out.
    bool asleep() {
        if (asleep_ && crossing_changed()) wake();
        return asleep_;
    }

    // Whether to watch this edge; `alone` if no other clock rises with it.
    bool watches(bool alone) {
        if (!MICRODUET_QUIET) return false;
        if (patience_ > 0) --patience_;
        if (alone && !patience_) return true;
        unchanged_ = 0;  // two watched edges have to follow each other
        return false;
    }

    void before() {
        for (const auto& [offset, size] : regions_) std::memcpy(copy() + offset, bytes() + offset, size);
    }

    void after() {
        // The edge itself has been noted as done.
        reinterpret_cast<Vmodel___024root*>(copy())->__VnbaTriggered = root_.__VnbaTriggered;
        for (const auto& [offset, size] : regions_)
            if (std::memcmp(copy() + offset, bytes() + offset, size)) {
                unchanged_ = 0;
                patience_ = RETRY_EDGES;
                return;
            }
        unchanged_ = crossing_changed() ? 1 : unchanged_ + 1;
        asleep_ = unchanged_ >= 2;
    }

  private:
    static constexpr int CALM_EDGES = 6;    // without changes before the first look
    static constexpr int RETRY_EDGES = 12;  // between looks: one costs about as much as an evaluation

    char* bytes() { return reinterpret_cast<char*>(&root_); }
    char* copy() {
        const size_t alignment = alignof(Vmodel___024root);
        const auto address = reinterpret_cast<uintptr_t>(copy_.data());
        return copy_.data() + (alignment - address % alignment) % alignment;
    }
    size_t place(void* signal) { return static_cast<size_t>(static_cast<char*>(signal) - bytes()); }

    // Whether a signal from the engine side differs from the last call's.
    bool crossing_changed() {
        bool changed = false;
#define MICRODUET_COMPARE(SIGNAL)                                                 \
    if (std::memcmp(&crossing_.SIGNAL, &root_.SIGNAL, sizeof crossing_.SIGNAL)) { \
        crossing_.SIGNAL = root_.SIGNAL;                                          \
        changed = true;                                                           \
    }
        MICRODUET_CROSSING(MICRODUET_COMPARE)
        return changed;
    }

    struct Crossing {
#define MICRODUET_KEEP(SIGNAL) decltype(Vmodel___024root::SIGNAL) SIGNAL;
        MICRODUET_CROSSING(MICRODUET_KEEP)
    };

    Vmodel___024root& root_;
    std::vector<char> copy_;
    std::vector<std::pair<size_t, size_t>> regions_;
    Crossing crossing_{};
    bool asleep_ = false;
    int patience_ = CALM_EDGES, unchanged_ = 0;
};

}  // namespace microduet
