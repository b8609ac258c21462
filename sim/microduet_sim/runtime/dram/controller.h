// The controller of one channel, or of one rank: bursts in, commands to the banks, ends of data out.
#pragma once

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "address_map.h"
#include "bank.h"
#include "checker.h"
#include "command_queue.h"
#include "refresh.h"
#include "timing.h"

namespace microduet::dram {

struct Completion {
    uint64_t tag, end;  // the first cycle behind the last data
};

// Works from event to event: time in which nothing can happen costs nothing.
class Controller {
  public:
    explicit Controller(const MdDram& parameters);
    Controller(const Controller&) = delete;
    Controller& operator=(const Controller&) = delete;

    // A burst that arrives at `arrival`, which is behind every `advance` and no earlier than its predecessor's.
    void push(const Place& place, bool write, uint64_t arrival, uint64_t tag);
    void push(uint64_t address, bool write, uint64_t arrival, uint64_t tag) {
        push(map_(address), write, arrival, tag);
    }

    // Everything up to and including `cycle`.
    void advance(uint64_t cycle);

    // No burst that now waits is complete before this cycle.
    uint64_t completes_from();

    // Ends of data since the last `clear`, in the order of the column commands.
    std::vector<Completion> completions;

    bool empty() const { return queue_.empty(); }
    uint64_t refreshes() const;

    // Commands so far, by kind.
    const std::array<uint64_t, COMMAND_KINDS>& commands() const { return commands_; }
    uint64_t next_event();

    // Keep every command from now on.
    void log_commands(std::vector<Command>* log) { log_ = log; }

  private:
    void plan();
    void plan_refresh(uint32_t rank);
    std::pair<uint32_t, uint32_t> refreshed(uint32_t rank) const;
    bool any_open(uint32_t first, uint32_t end) const;
    void issue_refresh();
    void issue_column();
    void issue_row();
    void emit(CommandKind kind, uint64_t cycle, uint32_t bank, uint32_t row);

    const MdDram t_;
    AddressMap map_;
    uint32_t rank_banks_;
    std::array<Bank, MAX_BANKS> banks_{};
    Timing timing_;
    CommandQueue queue_;
    std::vector<Refresh> refreshes_;  // of each rank
    Checker checker_;
    std::vector<Command>* log_ = nullptr;
    std::array<uint64_t, COMMAND_KINDS> commands_{};

    uint64_t now_ = 0;
    bool planned_ = false;  // what follows is up to date
    Choices choices_;
    uint64_t refresh_cycle_ = NEVER;  // of the next command of a refresh under way ...
    uint32_t refresh_rank_ = 0;       // ... and its rank
    uint64_t wake_ = NEVER;           // when there is something new to choose from
};

}  // namespace microduet::dram
