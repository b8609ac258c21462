// Holds every command against the timing rules, by the history of commands alone: it shares nothing with the scheduler.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "command_queue.h"
#include "parameters.h"

namespace microduet::dram {

enum class CommandKind : uint8_t {
    ACTIVATE,
    READ,
    WRITE,
    PRECHARGE,
    PRECHARGE_ALL,
    AUTO_PRECHARGE,  // takes no bus: it is part of the read or write before it
    REFRESH,
    REFRESH_BANK
};

constexpr size_t COMMAND_KINDS = 8;

inline const char* name(CommandKind kind) {
    static constexpr const char* NAMES[] = {"ACT", "RD", "WR", "PRE", "PREA", "AP", "REFAB", "REFSB"};
    return NAMES[static_cast<int>(kind)];
}

struct Command {
    CommandKind kind;
    uint64_t cycle;
    uint32_t bank, row;
};

class Checker {
  public:
    explicit Checker(const MdDram& parameters) : t_(parameters) {}

    // Throws std::logic_error, naming the rule, if `command` breaks one.
    void see(const Command& command) {
        now_ = command;
        switch (command.kind) {
            case CommandKind::ACTIVATE: activate(); break;
            case CommandKind::READ: column(false); break;
            case CommandKind::WRITE: column(true); break;
            case CommandKind::PRECHARGE: row_bus(); precharge(banks_[command.bank]); break;
            case CommandKind::PRECHARGE_ALL: row_bus(); precharge_all(); break;
            case CommandKind::AUTO_PRECHARGE: precharge(banks_[command.bank]); break;
            case CommandKind::REFRESH: row_bus(); refresh_all(); break;
            case CommandKind::REFRESH_BANK: row_bus(); refresh_bank(); break;
        }
    }

  private:
    // Cycles are kept plus one, so that 0 is "never yet".
    struct BankHistory {
        uint64_t activate = 0, read = 0, write = 0, precharge = 0, refresh = 0;
        uint32_t row = 0, refresh_time = 0;
        bool open = false;
    };
    struct GroupHistory {
        uint64_t activate = 0, read = 0, write = 0;
    };

    void require(bool rule, const char* text) const {
        if (rule) return;
        throw std::logic_error(std::string("DRAM timing: ") + name(now_.kind) + " of bank " +
                               std::to_string(now_.bank) + " at cycle " + std::to_string(now_.cycle) + " breaks " +
                               text);
    }
    void after(uint64_t past, uint64_t gap, const char* rule) const {
        require(!past || now_.cycle + 1 >= past + gap, rule);
    }

    void row_bus() {
        after(row_bus_, 1, "the row command bus");
        row_bus_ = now_.cycle + 1;
    }

    void activate() {
        row_bus();
        BankHistory& bank = banks_[now_.bank];
        GroupHistory& group = groups_[now_.bank / t_.banks_per_group];
        require(!bank.open, "the rule that an open bank is not activated");
        after(bank.activate, t_.tRC, "tRC");
        after(bank.precharge, t_.tRP, "tRP");
        after(bank.refresh, bank.refresh_time, "tRFC");
        spaced(group);
        bank.open = true;
        bank.row = now_.row;
        bank.activate = now_.cycle + 1;
    }

    // An activation, or what draws as much, against those before it.
    void spaced(GroupHistory& group) {
        after(last_activate_, t_.tRRD_S, "tRRD_S");
        after(group.activate, t_.tRRD_L, "tRRD_L");
        after(activates_[count_ % 4], t_.tFAW, "tFAW");
        group.activate = last_activate_ = activates_[count_++ % 4] = now_.cycle + 1;
    }

    void column(bool write) {
        BankHistory& bank = banks_[now_.bank];
        GroupHistory& group = groups_[now_.bank / t_.banks_per_group];
        require(bank.open && bank.row == now_.row, "the rule that a row is open");
        after(column_bus_, 1, "the column command bus");
        after(bank.activate, write ? t_.tRCDWR : t_.tRCDRD, "tRCD");
        after(write ? last_write_ : last_read_, t_.tCCD_S, "tCCD_S");
        after(write ? group.write : group.read, t_.tCCD_L, "tCCD_L");
        const uint64_t data = now_.cycle + (write ? t_.CWL : t_.CL);
        require(data >= data_end_, "the data bus");
        if (write) {
            after(last_read_, t_.tRTW, "tRTW");
        } else {
            after(last_write_, t_.CWL + t_.burst_cycles + t_.tWTR_S, "tWTR_S");
            after(group.write, t_.CWL + t_.burst_cycles + t_.tWTR_L, "tWTR_L");
        }
        data_end_ = data + t_.burst_cycles;
        column_bus_ = now_.cycle + 1;
        (write ? bank.write : bank.read) = now_.cycle + 1;
        (write ? group.write : group.read) = now_.cycle + 1;
        (write ? last_write_ : last_read_) = now_.cycle + 1;
    }

    void precharge(BankHistory& bank) const {
        if (!bank.open) return;
        after(bank.activate, t_.tRAS, "tRAS");
        after(bank.read, t_.tRTP, "tRTP");
        after(bank.write, t_.CWL + t_.burst_cycles + t_.tWR, "tWR");
        bank.open = false;
        bank.precharge = now_.cycle + 1;
    }
    void precharge_all() {
        for (BankHistory& bank : banks_) precharge(bank);
    }

    void refresh(BankHistory& bank, uint32_t time) const {
        require(!bank.open, "the rule that refreshed banks are closed");
        after(bank.precharge, t_.tRP, "tRP");
        after(bank.activate, t_.tRC, "tRC");
        after(bank.refresh, bank.refresh_time, "tRFC");
        bank.refresh = now_.cycle + 1;
        bank.refresh_time = time;
    }
    void refresh_all() {
        for (BankHistory& bank : banks_) refresh(bank, t_.tRFC);
    }
    // It draws current as an activation does.
    void refresh_bank() {
        GroupHistory& group = groups_[now_.bank / t_.banks_per_group];
        refresh(banks_[now_.bank], t_.tRFCSB);
        spaced(group);
    }

    const MdDram& t_;
    Command now_{};
    std::array<BankHistory, MAX_BANKS> banks_{};
    std::array<GroupHistory, MAX_BANKS> groups_{};
    std::array<uint64_t, 4> activates_{};
    uint64_t count_ = 0, row_bus_ = 0, column_bus_ = 0, last_activate_ = 0, last_read_ = 0, last_write_ = 0,
             data_end_ = 0;
};

}  // namespace microduet::dram
