// Knows when an edge of the memory-side clock cannot change anything, so that it need not be evaluated.
//
// Two edges in a row that leave everything as it was prove that the memory side stands still: what it computes depends
// on its own state, on its inputs and on the few signals that come from the engine side or follow inputs within a cycle
// (`quiet.h`, written by the build). It wakes when one of those changes.
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

    // An input of the memory side has changed.
    void wake() { asleep_ = false, patience_ = CALM_EDGES, unchanged_ = 0; }

    // Another input has changed, and what follows it: whether the memory side would notice.
    bool disturbed() { return asleep_ && changed(settled_); }

    // Before an edge of the memory-side clock: whether it can be left out.
    bool asleep() {
        if (asleep_ && changed(crossing_)) wake();
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
        unchanged_ = changed(crossing_) ? 1 : unchanged_ + 1;
        asleep_ = unchanged_ >= 2;
        if (asleep_) changed(settled_);
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

#define MICRODUET_KEEP(SIGNAL) decltype(Vmodel___024root::SIGNAL) SIGNAL;
    struct Crossing {
        MICRODUET_CROSSING(MICRODUET_KEEP)
    };
    struct Settled {
        MICRODUET_SETTLED(MICRODUET_KEEP)
    };

    // Whether a signal differs from the last call's.
#define MICRODUET_COMPARE(SIGNAL)                                       \
    if (std::memcmp(&kept.SIGNAL, &root_.SIGNAL, sizeof kept.SIGNAL)) { \
        std::memcpy(&kept.SIGNAL, &root_.SIGNAL, sizeof kept.SIGNAL);   \
        different = true;                                               \
    }
    bool changed(Crossing& kept) {
        bool different = false;
        MICRODUET_CROSSING(MICRODUET_COMPARE)
        (void)kept;
        return different;
    }
    bool changed(Settled& kept) {
        bool different = false;
        MICRODUET_SETTLED(MICRODUET_COMPARE)
        (void)kept;
        return different;
    }

    Vmodel___024root& root_;
    std::vector<char> copy_;
    std::vector<std::pair<size_t, size_t>> regions_;
    Crossing crossing_{};
    Settled settled_{};
    bool asleep_ = false;
    int patience_ = CALM_EDGES, unchanged_ = 0;
};

}  // namespace microduet
