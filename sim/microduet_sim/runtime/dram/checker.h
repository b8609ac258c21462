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
    uint32_t bank, row;  // banks count over all ranks; the first one of a command to all of a rank
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
            case CommandKind::PRECHARGE: row_bus(bus()); precharge(banks_[command.bank]); break;
            case CommandKind::PRECHARGE_ALL: all_banks([this](BankHistory& bank) { precharge(bank); }); break;
            case CommandKind::AUTO_PRECHARGE: precharge(banks_[command.bank]); break;
            case CommandKind::REFRESH: all_banks([this](BankHistory& bank) { refresh(bank, t_.tRFC); }); break;
            case CommandKind::REFRESH_BANK: refresh_bank(); break;
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
    struct RankHistory {
        std::array<uint64_t, 4> activates{};
        uint64_t count = 0, activate = 0, read = 0, write = 0;
    };
    struct BusHistory {
        uint64_t row = 0, column = 0, data_end = 0;
        uint32_t data_rank = 0;
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

    uint32_t group_number() const { return now_.bank / t_.banks_per_group; }
    uint32_t rank_number() const { return group_number() / t_.bank_groups; }
    GroupHistory& group() { return groups_[group_number()]; }
    RankHistory& rank() { return ranks_[rank_number()]; }
    BusHistory& bus() { return buses_[t_.group_buses ? group_number() : 0]; }

    void row_bus(BusHistory& bus) const {
        after(bus.row, 1, "the row command bus");
        if (t_.one_command_bus) after(bus.column, 1, "the command bus");
        bus.row = now_.cycle + 1;
    }
    // A command to all banks of a rank.
    void rank_bus() {
        if (!t_.group_buses) return row_bus(bus());
        const uint32_t first = rank_number() * t_.bank_groups;
        for (uint32_t k = first; k < first + t_.bank_groups; ++k) row_bus(buses_[k]);
    }

    void activate() {
        row_bus(bus());
        BankHistory& bank = banks_[now_.bank];
        require(!bank.open, "the rule that an open bank is not activated");
        after(bank.activate, t_.tRC, "tRC");
        after(bank.precharge, t_.tRP, "tRP");
        after(bank.refresh, bank.refresh_time, "tRFC");
        spaced();
        bank.open = true;
        bank.row = now_.row;
        bank.activate = now_.cycle + 1;
    }

    // An activation, or what draws as much, against those before it in its rank.
    void spaced() {
        RankHistory& own = rank();
        after(own.activate, t_.tRRD_S, "tRRD_S");
        after(group().activate, t_.tRRD_L, "tRRD_L");
        after(own.activates[own.count % 4], t_.tFAW, "tFAW");
        group().activate = own.activate = own.activates[own.count++ % 4] = now_.cycle + 1;
    }

    void column(bool write) {
        BankHistory& bank = banks_[now_.bank];
        require(bank.open && bank.row == now_.row, "the rule that a row is open");
        after(bank.activate, write ? t_.tRCDWR : t_.tRCDRD, "tRCD");
        column_bus(write);
        column_spaced(write);
        (write ? bank.write : bank.read) = now_.cycle + 1;
    }

    void column_bus(bool write) {
        BusHistory& own = bus();
        after(own.column, 1, "the column command bus");
        if (t_.one_command_bus) after(own.row, 1, "the command bus");
        const uint64_t data = now_.cycle + (write ? t_.CWL : t_.CL);
        require(data >= own.data_end, "the data bus");
        require(!own.data_end || own.data_rank == rank_number() || data >= own.data_end + t_.tRTRS, "tRTRS");
        own.column = now_.cycle + 1;
        own.data_end = data + t_.burst_cycles;
        own.data_rank = rank_number();
    }

    // Against the columns before it in its rank; where groups have buses of their own, in its group.
    void column_spaced(bool write) {
        RankHistory& any = rank();
        GroupHistory& same = group();
        const uint64_t written = t_.CWL + t_.burst_cycles;
        after(write ? same.write : same.read, t_.tCCD_L, "tCCD_L");
        if (write) after(same.read, t_.tRTW, "tRTW");
        if (!write) after(same.write, written + t_.tWTR_L, "tWTR_L");
        if (!t_.group_buses) {
            after(write ? any.write : any.read, t_.tCCD_S, "tCCD_S");
            if (write) after(any.read, t_.tRTW, "tRTW");
            if (!write) after(any.write, written + t_.tWTR_S, "tWTR_S");
        }
        (write ? same.write : same.read) = (write ? any.write : any.read) = now_.cycle + 1;
    }

    void precharge(BankHistory& bank) const {
        if (!bank.open) return;
        after(bank.activate, t_.tRAS, "tRAS");
        after(bank.read, t_.tRTP, "tRTP");
        after(bank.write, t_.CWL + t_.burst_cycles + t_.tWR, "tWR");
        bank.open = false;
        bank.precharge = now_.cycle + 1;
    }

    void refresh(BankHistory& bank, uint32_t time) const {
        require(!bank.open, "the rule that refreshed banks are closed");
        after(bank.precharge, t_.tRP, "tRP");
        after(bank.activate, t_.tRC, "tRC");
        after(bank.refresh, bank.refresh_time, "tRFC");
        bank.refresh = now_.cycle + 1;
        bank.refresh_time = time;
    }

    template <typename Each>
    void all_banks(Each each) {
        rank_bus();
        const uint32_t banks = t_.bank_groups * t_.banks_per_group, first = rank_number() * banks;
        for (uint32_t k = first; k < first + banks; ++k) each(banks_[k]);
    }
    // It draws current as an activation does.
    void refresh_bank() {
        row_bus(bus());
        refresh(banks_[now_.bank], t_.tRFCSB);
        spaced();
    }

    const MdDram& t_;
    Command now_{};
    std::array<BankHistory, MAX_BANKS> banks_{};
    std::array<GroupHistory, MAX_BANKS> groups_{};
    std::array<RankHistory, MAX_RANKS> ranks_{};
    std::array<BusHistory, MAX_BANKS> buses_{};
};

}  // namespace microduet::dram
