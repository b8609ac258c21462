#include "near_memory.h"

#include <algorithm>
#include <array>
#include <bitset>
#include <functional>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include "controller.h"

namespace microduet::dram {

namespace {

constexpr uint64_t PROGRESS_LOOKUPS = 1 << 14;

using Times = std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>>;

// The channel's pins: so many bits per cycle, one thing after the other.
class ChannelBus {
  public:
    explicit ChannelBus(uint64_t bits_per_cycle) : rate_(bits_per_cycle) {}

    // The first cycle in which something can start.
    uint64_t from() const { return free_ / rate_; }

    // Sends `bits` at `cycle` at the earliest; the first cycle behind them.
    uint64_t send(uint64_t cycle, uint64_t bits) {
        free_ = std::max(free_, cycle * rate_) + bits;
        return (free_ + rate_ - 1) / rate_;
    }

  private:
    uint64_t rate_, free_ = 0;  // in bits since the start
};

// A rank's data pins while nothing but parts of sums goes over them: whenever a refresh is due they rest for tRFC.
class PartBus {
  public:
    explicit PartBus(const MdDram& parameters)
        : t_(parameters), due_(parameters.refresh == MD_REFRESH_OFF ? NEVER : parameters.refresh_phase + t_.tREFI) {}

    // Takes `cycles` from `cycle` on at the earliest; the first cycle behind them.
    uint64_t send(uint64_t cycle, uint64_t cycles) {
        free_ = std::max(free_, cycle);
        while (free_ + cycles > due_) {
            cycles -= due_ > free_ ? due_ - free_ : 0;
            free_ = std::max(free_, due_ + t_.tRFC);
            due_ += t_.tREFI;
        }
        return free_ += cycles;
    }

  private:
    const MdDram t_;
    uint64_t free_ = 0, due_;
};

// One rank with its part of the DIMM's buffer.
struct Rank {
    Rank(const MdDram& parameters, uint32_t queue) : controller(parameters), parts(parameters) {
        for (uint32_t k = 0; k < queue; ++k) places.push(0);
    }

    Controller controller;
    PartBus parts;
    Times places;               // from when on each free place of the queue is
    uint64_t instructions = 0;  // from when on the way to the chips is free
    std::vector<Command> commands;
};

// One sum: what is still to come from each rank.
struct Pool {
    std::array<uint32_t, MAX_RANKS> left{};                   // rows
    std::array<std::bitset<MAX_GROUPS>, MAX_RANKS> groups{};  // bank groups that have a part
    std::array<uint64_t, MAX_RANKS> ready{};                  // when the rank has its part
    uint32_t dimms = 0;                                       // whose parts have not been sent
};

class Reduction {
  public:
    Reduction(const MdDram& parameters, MdNear& job)
        : t_(parameters),
          map_(t_),
          job_(job),
          bus_(job.channel_bits),
          bursts_((job.bytes + t_.burst_bytes - 1) / t_.burst_bytes),
          left_(job.lookups, bursts_),
          rank_of_(job.lookups) {
        const MdDram own = rank_parameters();
        for (uint32_t k = 0; k < t_.ranks; ++k) {
            ranks_.push_back(std::make_unique<Rank>(own_phase(own, k), job.queue));
            if (job.commands) ranks_[k]->controller.log_commands(&ranks_[k]->commands);
        }
        for (uint32_t k = 0; k < job.sums; ++k) sum_places_.push(0);
        count_rows();
    }

    bool run(MdReplayProgress progress) {
        while (sums_sent_ < pools_.size()) {
            const uint64_t event = next_event();
            const uint64_t instruction = instruction_from(), sum = sum_from();
            if (std::min(instruction, sum) <= event) {
                if (sum <= instruction)
                    send_sum(sum);
                else
                    send_instruction(instruction);
                continue;
            }
            for (uint32_t k = 0; k < t_.ranks; ++k) work(k, event);
            if (!progress || complete_ < report_) continue;
            report_ = complete_ + PROGRESS_LOOKUPS;
            if (progress(complete_)) return false;
        }
        for (uint32_t k = 0; k < t_.ranks; ++k) {
            const auto& counts = ranks_[k]->controller.commands();
            std::copy(counts.begin(), counts.end(), job_.counts + COMMAND_KINDS * k);
        }
        return true;
    }

  private:
    // A rank's controller sees one rank, all of what its queue holds, and no other rank's bus.
    MdDram rank_parameters() const {
        MdDram own = t_;
        own.ranks = 1;
        own.group_buses = job_.bank_groups;
        own.window = job_.queue * bursts_;
        return own;
    }
    MdDram own_phase(MdDram own, uint32_t rank) const {
        own.refresh_phase += rank * t_.rank_phase;
        return own;
    }

    void count_rows() {
        pools_.resize(job_.lookups ? job_.pools[job_.lookups - 1] + 1 : 0);
        for (uint64_t k = 0; k < job_.lookups; ++k) {
            rank_of_[k] = static_cast<uint8_t>(map_(job_.addresses[k]).rank);
            ++pools_[job_.pools[k]].left[rank_of_[k]];
        }
        for (Pool& pool : pools_)
            for (uint32_t first = 0; first < t_.ranks; first += job_.dimm_ranks) pool.dimms += takes_part(pool, first);
    }
    uint32_t dimm_end(uint32_t first) const { return std::min(first + job_.dimm_ranks, t_.ranks); }
    bool takes_part(const Pool& pool, uint32_t first) const {
        return std::any_of(pool.left.begin() + first, pool.left.begin() + dimm_end(first),
                           [](uint32_t left) { return left > 0; });
    }

    uint64_t next_event() {
        uint64_t event = NEVER;
        for (const auto& rank : ranks_) event = std::min(event, rank->controller.next_event());
        return event;
    }

    // When the next instruction can go: the channel is free, its rank has a place, and so has its sum.
    uint64_t instruction_from() const {
        if (next_ == job_.lookups) return NEVER;
        const Times& places = ranks_[rank_of_[next_]]->places;
        const bool first = !next_ || job_.pools[next_] != job_.pools[next_ - 1];
        if (places.empty() || (first && sum_places_.empty())) return NEVER;
        return std::max({bus_.from(), places.top(), first ? sum_places_.top() : 0});
    }

    void send_instruction(uint64_t cycle) {
        const uint64_t number = next_++;
        if (!number || job_.pools[number] != job_.pools[number - 1]) sum_places_.pop();
        Rank& rank = *ranks_[rank_of_[number]];
        rank.places.pop();
        uint64_t arrival = bus_.send(cycle, job_.instruction_bits);
        rank.instructions = std::max(rank.instructions, arrival) + job_.rank_cycles;
        arrival = std::max(arrival, rank.instructions);
        for (uint32_t k = 0; k < bursts_; ++k) {
            Place place = map_(job_.addresses[number] + uint64_t{k} * t_.burst_bytes);
            place.rank = 0;  // to its own controller
            rank.controller.push(place, false, arrival, number);
        }
    }

    void work(uint32_t number, uint64_t cycle) {
        Rank& rank = *ranks_[number];
        rank.controller.advance(cycle);
        for (const Completion& completion : rank.controller.completions) end(number, completion);
        rank.controller.completions.clear();
        keep_commands(number);
    }

    // One burst of a row is at its adder.
    void end(uint32_t number, const Completion& completion) {
        uint64_t& last = job_.completion[completion.tag];
        last = std::max(last, completion.end);
        if (--left_[completion.tag]) return;
        ++complete_;
        Rank& rank = *ranks_[number];
        rank.places.push(last);
        Pool& pool = pools_[job_.pools[completion.tag]];
        pool.ready[number] = std::max(pool.ready[number], last);
        pool.groups[number].set(map_(job_.addresses[completion.tag]).group);
        if (--pool.left[number]) return;
        if (job_.bank_groups) collect(rank, pool, number);
        const uint32_t first = number - number % job_.dimm_ranks;
        if (takes_part(pool, first)) return;
        const auto begin = pool.ready.begin();
        finished_.emplace(*std::max_element(begin + first, begin + dimm_end(first)), job_.pools[completion.tag]);
    }

    // The bank groups' parts go to their rank's part of the buffer, over the rank's data bus.
    void collect(Rank& rank, Pool& pool, uint32_t number) {
        const uint64_t parts = pool.groups[number].count();
        pool.ready[number] = rank.parts.send(pool.ready[number], parts * bursts_ * t_.burst_cycles);
        job_.partial_sums += parts;
    }

    uint64_t sum_from() const {
        return finished_.empty() ? NEVER : std::max(bus_.from(), finished_.top().first);
    }

    // A DIMM's part of a sum goes to the host, over the channel's data pins.
    void send_sum(uint64_t cycle) {
        const uint32_t number = finished_.top().second;
        finished_.pop();
        const uint64_t end = bus_.send(cycle, uint64_t{bursts_} * t_.burst_cycles * job_.channel_bits);
        job_.sent[number] = std::max(job_.sent[number], end);
        ++job_.dimm_sums;
        if (--pools_[number].dimms) return;
        ++sums_sent_;
        sum_places_.push(job_.sent[number]);
    }

    void keep_commands(uint32_t number) {
        for (const Command& command : ranks_[number]->commands) {
            if (job_.command_count == job_.command_capacity) break;
            uint64_t* row = job_.commands + 4 * job_.command_count++;
            row[0] = static_cast<uint64_t>(command.kind);
            row[1] = command.cycle;
            row[2] = command.bank + number * t_.bank_groups * t_.banks_per_group;
            row[3] = command.row;
        }
        ranks_[number]->commands.clear();
    }

    using Finished = std::pair<uint64_t, uint32_t>;  // when, which sum

    const MdDram& t_;
    AddressMap map_;
    MdNear& job_;
    ChannelBus bus_;
    uint32_t bursts_;             // of a row
    std::vector<uint32_t> left_;  // bursts of each row
    std::vector<uint8_t> rank_of_;
    std::vector<std::unique_ptr<Rank>> ranks_;
    std::vector<Pool> pools_;
    Times sum_places_;
    std::priority_queue<Finished, std::vector<Finished>, std::greater<>> finished_;
    uint64_t next_ = 0, complete_ = 0, sums_sent_ = 0, report_ = PROGRESS_LOOKUPS;
};

}  // namespace

bool reduce(const MdDram& parameters, MdNear& job, MdReplayProgress progress) {
    return Reduction(parameters, job).run(progress);
}

}  // namespace microduet::dram
