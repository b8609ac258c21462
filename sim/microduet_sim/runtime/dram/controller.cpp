#include "controller.h"

#include <algorithm>
#include <utility>

namespace microduet::dram {

Controller::Controller(const MdDram& parameters)
    : t_(parameters),
      map_(t_),
      rank_banks_(t_.bank_groups * t_.banks_per_group),
      timing_(t_),
      queue_(t_),
      checker_(t_) {
    for (uint32_t rank = 0; rank < t_.ranks; ++rank) refreshes_.emplace_back(t_, rank);
}

void Controller::push(const Place& place, bool write, uint64_t arrival, uint64_t tag) {
    const uint32_t group = place.rank * t_.bank_groups + place.group;
    queue_.push({arrival, tag, place.row, group, group * t_.banks_per_group + place.bank, write});
    planned_ = false;
}

void Controller::advance(uint64_t cycle) {
    for (;;) {
        plan();
        const uint64_t next = std::min({choices_.cycle(), refresh_cycle_, wake_});
        if (next > cycle) return;
        planned_ = false;
        now_ = next;
        if (wake_ == now_) continue;  // look again before deciding
        const bool refresh = refresh_cycle_ == now_;
        // On one bus a refresh goes first, then a column, then a row; what lost is planned again.
        const bool column = choices_.column.cycle == now_ && !(refresh && t_.one_command_bus);
        if (refresh)
            issue_refresh();
        else if (choices_.row_cycle() == now_ && !(column && t_.one_command_bus))
            issue_row();
        if (column) issue_column();
    }
}

uint64_t Controller::next_event() {
    plan();
    return std::min({choices_.cycle(), refresh_cycle_, wake_});
}

uint64_t Controller::completes_from() {
    if (queue_.empty()) return NEVER;
    return next_event() + std::min(t_.CL, t_.CWL) + t_.burst_cycles;
}

uint64_t Controller::refreshes() const {
    uint64_t count = 0;
    for (const Refresh& refresh : refreshes_) count += refresh.count();
    return count;
}

// What could happen next, and when.
void Controller::plan() {
    if (planned_) return;
    planned_ = true;
    queue_.admit(now_);
    wake_ = queue_.admits_from();
    if (queue_.starves_from() > now_) wake_ = std::min(wake_, queue_.starves_from());
    refresh_cycle_ = NEVER;
    BankSet blocked;
    uint32_t whole_ranks = 0;
    for (uint32_t rank = 0; rank < t_.ranks; ++rank) {
        if (!refreshes_[rank].under_way(now_)) {
            wake_ = std::min(wake_, refreshes_[rank].urgent_from());
            continue;
        }
        const auto [first, end] = refreshed(rank);
        for (uint32_t k = first; k < end; ++k) blocked.set(k);
        whole_ranks += !refreshes_[rank].single_bank();
        plan_refresh(rank);
    }
    choices_ = whole_ranks < t_.ranks ? queue_.choose(now_, banks_, timing_, blocked) : Choices{};
}

// The banks of the rank's next refresh.
std::pair<uint32_t, uint32_t> Controller::refreshed(uint32_t rank) const {
    const uint32_t first = rank * rank_banks_;
    if (!refreshes_[rank].single_bank()) return {first, first + rank_banks_};
    const uint32_t bank = first + refreshes_[rank].bank();
    return {bank, bank + 1};
}

bool Controller::any_open(uint32_t first, uint32_t end) const {
    return std::any_of(banks_.begin() + first, banks_.begin() + end, [](const Bank& bank) { return bank.open(); });
}

// A refresh needs its banks closed.
void Controller::plan_refresh(uint32_t rank) {
    const auto [first, end] = refreshed(rank);
    const bool open = any_open(first, end), single = refreshes_[rank].single_bank();
    const uint32_t group = first / t_.banks_per_group;
    uint64_t cycle = now_;
    for (uint32_t k = first; k < end; ++k) {
        if (!open) cycle = std::max(cycle, banks_[k].activate_from());
        if (banks_[k].open()) cycle = std::max(cycle, banks_[k].precharge_from());
    }
    if (!single)
        cycle = std::max(cycle, timing_.rank_from(rank));
    else
        cycle = std::max(cycle, open ? timing_.row_bus_from(group) : timing_.activate_from(group));
    if (cycle >= refresh_cycle_) return;
    refresh_cycle_ = cycle;
    refresh_rank_ = rank;
}

void Controller::issue_refresh() {
    Refresh& refresh = refreshes_[refresh_rank_];
    const auto [first, end] = refreshed(refresh_rank_);
    const bool single = refresh.single_bank(), open = any_open(first, end);
    const uint32_t group = first / t_.banks_per_group;
    if (!single)
        timing_.rank_command(now_, refresh_rank_);
    else if (open)
        timing_.row_command(now_, group);
    else
        timing_.activate(now_, group);
    if (open) {
        emit(single ? CommandKind::PRECHARGE : CommandKind::PRECHARGE_ALL, now_, first, 0);
        for (uint32_t k = first; k < end; ++k)
            if (banks_[k].open()) banks_[k].precharge(t_, now_);
        return;
    }
    emit(single ? CommandKind::REFRESH_BANK : CommandKind::REFRESH, now_, first, 0);
    const uint64_t done = refresh.done(now_);
    for (uint32_t k = first; k < end; ++k) banks_[k].block(done);
}

void Controller::issue_column() {
    const Burst burst = queue_[choices_.column.burst];
    Bank& bank = banks_[burst.bank];
    const uint64_t end = timing_.column(now_, burst.group, burst.write);
    bank.column(t_, now_, burst.write);
    emit(burst.write ? CommandKind::WRITE : CommandKind::READ, now_, burst.bank, burst.row);
    completions.push_back({burst.tag, end});
    queue_.remove(choices_.column.burst);
    if (t_.closed_page && !queue_.hits(burst.bank, burst.row)) {
        const uint64_t cycle = bank.precharge_from();
        emit(CommandKind::AUTO_PRECHARGE, cycle, burst.bank, 0);
        bank.precharge(t_, cycle);
    }
    if (queue_.empty())
        for (Refresh& refresh : refreshes_) refresh.idle(now_);
}

void Controller::issue_row() {
    const auto [activate, precharge] = std::pair(choices_.activate, choices_.precharge);
    if (activate.cycle == now_ && (precharge.cycle != now_ || activate.burst < precharge.burst)) {
        const Burst& burst = queue_[activate.burst];
        emit(CommandKind::ACTIVATE, now_, burst.bank, burst.row);
        timing_.activate(now_, burst.group);
        banks_[burst.bank].activate(t_, now_, burst.row);
    } else {
        const Burst& burst = queue_[precharge.burst];
        emit(CommandKind::PRECHARGE, now_, burst.bank, 0);
        timing_.row_command(now_, burst.group);
        banks_[burst.bank].precharge(t_, now_);
    }
}

void Controller::emit(CommandKind kind, uint64_t cycle, uint32_t bank, uint32_t row) {
    const Command command{kind, cycle, bank, row};
    checker_.see(command);
    ++commands_[static_cast<size_t>(kind)];
    if (log_) log_->push_back(command);
}

}  // namespace microduet::dram
