// The bursts that wait for a channel, and which of them gets the next command: first ready, then first come.
#pragma once

#include <algorithm>
#include <array>
#include <bitset>
#include <cstdint>
#include <deque>
#include <vector>

#include "bank.h"
#include "parameters.h"
#include "timing.h"

namespace microduet::dram {

constexpr uint64_t NEVER = ~0ULL;
constexpr size_t MAX_BANKS = 128;  // of all ranks together

using BankSet = std::bitset<MAX_BANKS>;

struct Burst {
    uint64_t arrival, tag;
    uint32_t row, group, bank;  // `group` and `bank` count over all ranks
    bool write;
};

// A command for one burst of the window, not before `cycle`.
struct Choice {
    uint64_t cycle = NEVER;
    size_t burst = 0;
};

struct Choices {
    Choice column, activate, precharge;

    uint64_t row_cycle() const { return std::min(activate.cycle, precharge.cycle); }
    uint64_t cycle() const { return std::min(column.cycle, row_cycle()); }
};

class CommandQueue {
  public:
    explicit CommandQueue(const MdDram& parameters) : t_(parameters) { window_.reserve(parameters.window); }

    void push(const Burst& burst) { incoming_.push_back(burst); }
    bool empty() const { return window_.empty() && incoming_.empty(); }
    const Burst& operator[](size_t number) const { return window_[number]; }

    // A burst is seen from the cycle after its arrival on, if it is among the oldest that wait.
    uint64_t admits_from() const {
        return incoming_.empty() || window_.size() >= t_.window ? NEVER : incoming_.front().arrival + 1;
    }
    void admit(uint64_t now) {
        while (admits_from() <= now) {
            window_.push_back(incoming_.front());
            incoming_.pop_front();
        }
    }

    void remove(size_t number) { window_.erase(window_.begin() + static_cast<std::ptrdiff_t>(number)); }

    bool hits(uint32_t bank, uint32_t row) const {
        return std::any_of(window_.begin(), window_.end(),
                           [&](const Burst& burst) { return burst.bank == bank && burst.row == row; });
    }

    // When the oldest burst has waited so long that its bank serves nobody else before it.
    uint64_t starves_from() const { return window_.empty() ? NEVER : window_.front().arrival + t_.age_limit + 1; }

    // The next commands from `now` on. `blocked` banks take none.
    Choices choose(uint64_t now, const std::array<Bank, MAX_BANKS>& banks, const Timing& timing,
                   const BankSet& blocked) const {
        Choices choices;
        // The bank that serves only the oldest burst, if there is one.
        const uint32_t starving = now >= starves_from() ? window_.front().bank : MAX_BANKS;
        BankSet hit, seen = blocked;
        std::array<size_t, MAX_BANKS> closing;  // bursts that want another row than the open one
        size_t closing_count = 0;
        for (size_t k = 0; k < window_.size(); ++k) {
            const Burst& burst = window_[k];
            const Bank& bank = banks[burst.bank];
            if (k && burst.bank == starving) continue;
            if (bank.row() == burst.row) {
                hit.set(burst.bank);
                if (choices.column.cycle == now || blocked[burst.bank]) continue;  // one that is ready is not overtaken
                const uint64_t ready = bank.column_from(burst.write);
                consider(choices.column, now, std::max(ready, timing.column_from(burst.group, burst.write)), k);
            } else if (!seen[burst.bank]) {
                seen.set(burst.bank);
                if (bank.open()) {
                    closing[closing_count++] = k;
                    continue;
                }
                const uint64_t ready = bank.activate_from();
                consider(choices.activate, now, std::max(ready, timing.activate_from(burst.group)), k);
            }
        }
        for (size_t n = 0; n < closing_count; ++n) {
            const Burst& burst = window_[closing[n]];
            const uint64_t ready = std::max(banks[burst.bank].precharge_from(), timing.row_bus_from(burst.group));
            if (!hit[burst.bank]) consider(choices.precharge, now, ready, closing[n]);
        }
        return choices;
    }

  private:
    static void consider(Choice& choice, uint64_t now, uint64_t ready, size_t burst) {
        const uint64_t cycle = std::max(now, ready);
        if (cycle < choice.cycle) choice = {cycle, burst};
    }

    const MdDram& t_;
    std::vector<Burst> window_;
    std::deque<Burst> incoming_;
};

}  // namespace microduet::dram
