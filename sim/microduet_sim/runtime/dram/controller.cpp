#include "controller.h"

#include <algorithm>
#include <utility>

namespace microduet::dram {

Controller::Controller(const MdDram& parameters)
    : t_(parameters),
      map_(t_),
      bank_count_(t_.bank_groups * t_.banks_per_group),
      timing_(t_),
      queue_(t_),
      refresh_(t_),
      checker_(t_) {}

void Controller::push(uint64_t address, bool write, uint64_t arrival, uint64_t tag) {
    const Place place = map_(address);
    queue_.push({arrival, tag, place.row, place.group, place.group * t_.banks_per_group + place.bank, write});
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
        if (refresh_cycle_ == now_)
            issue_refresh();
        else if (choices_.row_cycle() == now_)
            issue_row();
        if (choices_.column.cycle == now_) issue_column();
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

// What could happen next, and when.
void Controller::plan() {
    if (planned_) return;
    planned_ = true;
    queue_.admit(now_);
    wake_ = queue_.admits_from();
    if (queue_.starves_from() > now_) wake_ = std::min(wake_, queue_.starves_from());
    refresh_cycle_ = NEVER;
    uint64_t blocked = 0;
    if (refreshing()) {
        blocked = refresh_.single_bank() ? 1ULL << refresh_.bank() : ~0ULL;
        plan_refresh(blocked);
    } else {
        wake_ = std::min(wake_, refresh_.urgent_from());
    }
    choices_ = ~blocked ? queue_.choose(now_, banks_, timing_, blocked) : Choices{};
}

// A refresh needs its banks closed.
void Controller::plan_refresh(uint64_t bank_bits) {
    uint64_t precharge = 0, activate = 0;
    bool open = false;
    for (uint32_t k = 0; k < bank_count_; ++k) {
        if (!(bank_bits >> k & 1)) continue;
        open |= banks_[k].open();
        if (banks_[k].open()) precharge = std::max(precharge, banks_[k].precharge_from());
        activate = std::max(activate, banks_[k].activate_from());
    }
    const uint64_t single = timing_.activate_from(refresh_.bank() / t_.banks_per_group);
    const uint64_t bus = !open && refresh_.single_bank() ? single : timing_.row_bus_from();
    refresh_cycle_ = std::max({now_, bus, open ? precharge : activate});
}

void Controller::issue_refresh() {
    const bool single = refresh_.single_bank();
    const uint32_t first = single ? refresh_.bank() : 0, end = single ? first + 1 : bank_count_;
    const bool open = std::any_of(banks_.begin() + first, banks_.begin() + end, [](const Bank& b) { return b.open(); });
    if (open) {
        emit(single ? CommandKind::PRECHARGE : CommandKind::PRECHARGE_ALL, now_, first, 0);
        timing_.row_command(now_);
        for (uint32_t k = first; k < end; ++k)
            if (banks_[k].open()) banks_[k].precharge(t_, now_);
        return;
    }
    emit(single ? CommandKind::REFRESH_BANK : CommandKind::REFRESH, now_, first, 0);
    if (single)
        timing_.activate(now_, first / t_.banks_per_group);
    else
        timing_.row_command(now_);
    const uint64_t done = refresh_.done(now_);
    for (uint32_t k = first; k < end; ++k) banks_[k].block(done);
    if (refresh_.due() > now_) eager_ = false;
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
    if (t_.refresh_postpone && queue_.empty() && refresh_.due() <= now_) eager_ = true;
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
        timing_.row_command(now_);
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
