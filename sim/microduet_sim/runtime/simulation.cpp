#include "simulation.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "dram/front_end.h"
#include "simple_memory.h"

namespace microduet {

using SteadyClock = std::chrono::steady_clock;

constexpr int RESET_CYCLES = 8;
constexpr int STEPS_PER_CHECK = 2048;  // edges between two looks at the clock on the wall
constexpr std::chrono::milliseconds PROGRESS_INTERVAL{100};

static std::unique_ptr<MemoryChannel> make_memory(const MdOpen& open, uint32_t channel,
                                                  ChannelContents& contents) {
    if (open.dram) return std::make_unique<dram::FrontEnd>(open.dram[channel], contents, open.memory_mhz);
    return std::make_unique<SimpleMemory>(contents, open.latency_ns[channel], open.memory_mhz);
}

Simulation::Simulation(const MdOpen& open)
    : settle_(open.settle),
      model_(make_model()),
      clocks_(open.engine_mhz, open.memory_mhz),
      tables_(open.tables, open.tables + open.table_count),
      contents_(open.channels, ChannelContents(open.width, tables_.data())),
      results_(model_->pins),
      items_(model_->pins.items, results_.turns()),
      users_(model_->pins.users, results_.turns()),
      load_(model_->pins.load),
      control_(model_->pins.control),
      activity_(model_->pins) {
    if (model_->pins.channels.size() != open.channels)
        throw std::runtime_error("the library has " + std::to_string(model_->pins.channels.size()) +
                                 " memory channels, the configuration " + std::to_string(open.channels));
    for (uint32_t k = 0; k < open.part_count; ++k) contents_.at(open.parts[k].channel).add(open.parts[k]);
    ports_.reserve(open.channels);
    for (uint32_t k = 0; k < open.channels; ++k) {
        memories_.push_back(make_memory(open, k, contents_[k]));
        ports_.emplace_back(model_->pins.channels[k], *memories_[k], static_cast<int>(k));
    }
    active_.resize(open.channels);
    reset();
}

void Simulation::reset() {
    *model_->pins.rst = *model_->pins.mem_rst = 1;
    changed_ = {true, true};
    while (clocks_.engine_cycles < RESET_CYCLES) step();
    *model_->pins.rst = *model_->pins.mem_rst = 0;
    changed_ = {true, true};
    while (clocks_.engine_cycles < 2 * RESET_CYCLES) step();
}

void Simulation::step() {
    // Some answers of the control registers follow their inputs within the cycle.
    if (settle_ || control_.busy()) model_->settle();
    const Edge edge = clocks_.advance();
    if (edge.engine) {
        if (run_) results_.sample();
        if (has_users()) users_.sample();
        load_.sample();
        control_.sample();
    }
    if (edge.memory) {
        if (run_) items_.sample();
        for (size_t k = 0; k < ports_.size(); ++k)
            if ((active_[k] = ports_[k].sample(clocks_.memory_cycles))) ports_[k].keep();
    }
    if (activity_.on()) activity_.sample(edge);
    model_->rise(edge, std::exchange(changed_, Changes{control_.busy(), false}));
    if (activity_.on()) activity_.keep(edge, clocks_.picoseconds());
    drive(edge);
    if (waving_) wave();
}

// The inputs for the next edges.
void Simulation::drive(Edge edge) {
    const uint64_t ps = clocks_.picoseconds();
    if (edge.engine) {
        if (run_) changed_.engine |= results_.drive(ps);
        if (has_users()) {
            users_.drive(ps, clocks_.engine_cycles - batch_cycle_, results_.finished());
            changed_.engine |= users_.changed();
        }
        load_.drive();
        changed_.engine |= load_.changed() || control_.busy();
        control_.drive();
    }
    if (edge.memory) {
        for (size_t k = 0; k < ports_.size(); ++k)
            if (active_[k]) changed_.memory |= ports_[k].drive(clocks_.memory_cycles);
        if (run_) {
            results_.watch_vectors(ps);
            items_.drive(ps, clocks_.engine_cycles - batch_cycle_, results_.finished());
            changed_.memory |= items_.changed();
        }
    }
}

template <typename Done, typename Progress>
bool Simulation::advance(Done done, Progress progress, Patience patience) {
    auto next = SteadyClock::now() + PROGRESS_INTERVAL;
    for (uint64_t steps = 1; !done(); ++steps) {
        step();
        if (run_ && run_->hashes && run_->hash_count < run_->hash_capacity)
            run_->hashes[run_->hash_count++] = hash_outputs();
        if (steps % STEPS_PER_CHECK) continue;
        if (patience.lost(results_.finished() + items_.accepted() + users_.accepted() + load_.taken(), clocks_.engine_cycles))
            throw std::runtime_error("nothing moved for " + std::to_string(patience.cycles()) + " engine cycles: " +
                                     std::to_string(items_.accepted()) + " items accepted, " +
                                     std::to_string(results_.finished()) + " results out");
        if (SteadyClock::now() < next) continue;
        next = SteadyClock::now() + PROGRESS_INTERVAL;
        if (progress()) return false;
    }
    return true;
}

bool Simulation::load(const uint32_t* beats, uint64_t count, MdProgress progress) {
    load_.begin(beats, count);
    const auto report = [&] { return progress ? progress(load_.taken(), clocks_.engine_cycles) : 0; };
    if (!advance([&] { return load_.done(); }, report, Patience(100000))) return false;
    // The last word passes the loader's registers.
    const uint64_t end = clocks_.engine_cycles + 16;
    return advance([&] { return clocks_.engine_cycles >= end; }, report, Patience(100000));
}

void Simulation::begin(MdRun& run) {
    run_ = &run;
    run.hash_count = 0;
    batch_cycle_ = clocks_.engine_cycles;
    batch_memory_cycle_ = clocks_.memory_cycles;
    items_.begin(run.items);
    users_.begin(run.users);
    results_.begin(run);
}

void Simulation::end(MdRun& run) const {
    run.finished = results_.finished();
    run.engine_cycles = clocks_.engine_cycles - batch_cycle_;
    run.memory_cycles = clocks_.memory_cycles - batch_memory_cycle_;
}

// A user packet that no result waits for is sent all the same.
bool Simulation::done(const MdRun& run) const {
    return results_.finished() == run.results && (!has_users() || users_.done());
}

bool Simulation::run(MdRun& run, MdProgress progress) {
    begin(run);
    const auto start = SteadyClock::now();
    const auto report = [&] {
        return progress ? progress(results_.finished(), clocks_.engine_cycles - batch_cycle_) : 0;
    };
    const bool ended = advance([&] { return done(run); }, report, Patience(run.patience));
    run.seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
    end(run);
    run_ = nullptr;
    return ended;
}

void Simulation::run_bare(MdRun& run) {
    begin(run);
    const auto start = SteadyClock::now();
    while (!done(run)) step();
    run.seconds = std::chrono::duration<double>(SteadyClock::now() - start).count();
    end(run);
    run_ = nullptr;
}

void Simulation::write_memory(uint32_t channel, uint64_t address, const uint32_t* data, uint64_t beats) {
    constexpr uint64_t BURST = 16;  // beats of an AXI write of the card's ports
    MemoryChannel& memory = *memories_.at(channel);
    for (uint64_t sent = 0; sent < beats || memory.writes_under_way(clocks_.memory_cycles); step()) {
        if (sent == beats || !memory.write_ready()) continue;
        const uint64_t count = std::min(beats - sent, BURST - address / BEAT_BYTES % BURST);
        memory.write(address, data + 8 * sent, static_cast<uint32_t>(count), clocks_.memory_cycles);
        ports_[channel].wake();
        sent += count;
        address += BEAT_BYTES * count;
    }
}

double Simulation::memory_share(MdRun& run) {
    const auto watch = [&](bool on) {
        uint64_t ticks = 0;
        for (ChannelPort& port : ports_) {
            port.stopwatch.set(on);
            ticks += port.stopwatch.ticks();
        }
        return ticks;
    };
    const uint64_t before = watch(true);
    Stopwatch whole;
    whole.set(true);
    whole.measure([&] { run_bare(run); });
    return static_cast<double>(watch(false) - before) / static_cast<double>(whole.ticks());
}

uint32_t Simulation::access(bool write, uint32_t address, uint32_t value) {
    control_.begin(write, address, value);
    const uint64_t end = clocks_.engine_cycles + 100000;
    while (control_.busy()) {
        step();
        if (clocks_.engine_cycles > end) throw std::runtime_error("the control port does not answer");
    }
    if (control_.response()) throw std::runtime_error("the control port answers with an error");
    return control_.value();
}

void Simulation::set_stalls(const MdStalls& stalls) {
    Random seeds(stalls.seed);
    items_.set_stall(Stall(stalls.items, seeds.next()));
    users_.set_stall(Stall(stalls.items, ~stalls.seed));
    load_.set_stall(Stall(stalls.load, seeds.next()));
    results_.set_stall(Stall(stalls.results, seeds.next()));
    control_.set_stall(Stall(stalls.control, seeds.next()));
    for (ChannelPort& port : ports_) {
        const uint64_t requests = seeds.next(), responses = seeds.next();
        port.set_stalls(Stall(stalls.requests, requests), Stall(stalls.responses, responses));
    }
}

void Simulation::set_faults(const MdFault* faults, uint64_t seed) {
    for (size_t k = 0; k < memories_.size(); ++k) {
        ports_[k].set_fault(faults[k]);
        memories_[k]->set_reorder(faults[k].reorder, seed + k);
    }
}

void Simulation::counters(MdCounters& counters) const {
    counters.engine_cycles = clocks_.engine_cycles;
    counters.memory_cycles = clocks_.memory_cycles;
    for (size_t k = 0; k < ports_.size(); ++k) {
        counters.reads[k] = ports_[k].reads;
        memories_[k]->count_commands(counters.commands + k * dram::COMMAND_KINDS);
    }
}

void Simulation::open_wave(const char* path, uint64_t first_cycle, uint64_t end_cycle) {
    waving_ = true;
    wave_path_ = path;
    wave_first_ = clocks_.engine_cycles + first_cycle;
    wave_end_ = clocks_.engine_cycles + end_cycle;
}

void Simulation::wave() {
    if (clocks_.engine_cycles < wave_first_) return;
    if (!wave_path_.empty()) {
        if (!model_->open_wave(wave_path_.c_str())) {
            waving_ = false;
            throw std::runtime_error("cannot write waves to " + wave_path_);
        }
        wave_path_.clear();
    }
    model_->dump_wave(clocks_.picoseconds());
    if (clocks_.engine_cycles < wave_end_) return;
    model_->close_wave();
    waving_ = false;
}

}  // namespace microduet
