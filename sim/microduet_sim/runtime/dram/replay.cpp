#include "replay.h"

#include <algorithm>
#include <functional>
#include <queue>

#include "controller.h"

namespace microduet::dram {

namespace {

constexpr uint64_t PROGRESS_TRANSACTIONS = 1 << 14;

class Replay {
  public:
    Replay(const MdDram& parameters, MdReplay& job) : t_(parameters), job_(job), controller_(parameters) {
        if (job.commands) controller_.log_commands(&commands_);
        left_.resize(job.transactions);
    }

    bool run(MdReplayProgress progress) {
        for (uint64_t k = 0; k < std::min<uint64_t>(job_.outstanding, job_.transactions); ++k) arrivals_.push(0);
        while (complete_ < job_.transactions) {
            const uint64_t event = controller_.next_event();
            if (!arrivals_.empty() && issued_ < job_.transactions && arrivals_.top() <= event) {
                begin(arrivals_.top());
                arrivals_.pop();
                continue;
            }
            controller_.advance(event);
            for (const Completion& completion : controller_.completions) end(completion);
            controller_.completions.clear();
            keep_commands();
            if (!progress || complete_ < report_) continue;
            report_ = complete_ + PROGRESS_TRANSACTIONS;
            if (progress(complete_)) return false;
        }
        job_.refreshes = controller_.refreshes();
        std::copy(controller_.commands().begin(), controller_.commands().end(), job_.counts);
        return true;
    }

  private:
    void begin(uint64_t arrival) {
        const uint64_t number = issued_++;
        const uint64_t first = job_.addresses[number] / t_.burst_bytes;
        const uint64_t end = (job_.addresses[number] + job_.bytes[number] + t_.burst_bytes - 1) / t_.burst_bytes;
        job_.arrival[number] = arrival;
        job_.completion[number] = 0;
        left_[number] = static_cast<uint32_t>(end - first);
        for (uint64_t burst = first; burst < end; ++burst) {
            const uint64_t entry = std::max(arrival, next_entry_);
            next_entry_ = entry + 1;
            controller_.push(burst * t_.burst_bytes, job_.writes && job_.writes[number], entry, number);
        }
    }

    void end(const Completion& completion) {
        uint64_t& last = job_.completion[completion.tag];
        last = std::max(last, completion.end);
        if (--left_[completion.tag]) return;
        ++complete_;
        arrivals_.push(last + 1);
    }

    void keep_commands() {
        for (const Command& command : commands_) {
            if (job_.command_count == job_.command_capacity) break;
            uint64_t* row = job_.commands + 4 * job_.command_count++;
            row[0] = static_cast<uint64_t>(command.kind);
            row[1] = command.cycle;
            row[2] = command.bank;
            row[3] = command.row;
        }
        commands_.clear();
    }

    const MdDram& t_;
    MdReplay& job_;
    Controller controller_;
    std::vector<uint32_t> left_;  // bursts
    std::vector<Command> commands_;
    std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> arrivals_;
    uint64_t issued_ = 0, complete_ = 0, next_entry_ = 0, report_ = PROGRESS_TRANSACTIONS;
};

}  // namespace

bool replay(const MdDram& parameters, MdReplay& job, MdReplayProgress progress) {
    return Replay(parameters, job).run(progress);
}

}  // namespace microduet::dram
