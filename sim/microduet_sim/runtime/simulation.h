// An engine with its clocks, its memory and the ends of its streams: the loop that everything runs in.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "activity.h"
#include "arguments.h"
#include "channel_port.h"
#include "clocks.h"
#include "control_master.h"
#include "load_feeder.h"
#include "model.h"
#include "packet_feeder.h"
#include "patience.h"
#include "result_collector.h"
#include "tables.h"
#include "memory_channel.h"

namespace microduet {

class Simulation {
  public:
    explicit Simulation(const MdOpen& open);

    // Whether the operation ended by itself; false if `progress` stopped it.
    bool load(const uint32_t* beats, uint64_t count, MdProgress progress);
    bool run(MdRun& run, MdProgress progress);

    // The same batch without time limits, progress and hashes, for comparison.
    void run_bare(MdRun& run);

    // The same, and the share of its time that the memory models took. Measuring is part of that share.
    double memory_share(MdRun& run);

    // Write beats through a channel's own port, past the engine, and wait until the last one is complete.
    void write_memory(uint32_t channel, uint64_t address, const uint32_t* data, uint64_t beats);

    uint32_t access(bool write, uint32_t address, uint32_t value);
    void set_stalls(const MdStalls& stalls);
    void set_faults(const MdFault* faults, uint64_t seed);
    void open_wave(const char* path, uint64_t first_cycle, uint64_t end_cycle);
    void counters(MdCounters& counters) const;
    OperandRecord& record() { return model_->record; }
    void watch(bool on) { on ? activity_.begin(clocks_.picoseconds()) : activity_.end(); }
    uint64_t watched_counters() const { return model_->pins.counters.size(); }
    const ActivityRecord& activity() const { return activity_; }

  private:
    void reset();
    void step();
    void drive(Edge edge);
    void begin(MdRun& run);
    void end(MdRun& run) const;
    bool done(const MdRun& run) const;
    bool has_users() const { return run_ && model_->pins.users.tvalid; }
    uint64_t hash_outputs() const;
    void wave();

    template <typename Done, typename Progress>
    bool advance(Done done, Progress progress, Patience patience);

    bool settle_;
    Changes changed_{true, true};
    std::unique_ptr<Model> model_;
    Clocks clocks_;
    std::vector<MdTable> tables_;
    std::vector<ChannelContents> contents_;
    std::vector<std::unique_ptr<MemoryChannel>> memories_;
    std::vector<ChannelPort> ports_;
    std::vector<char> active_;
    ResultCollector results_;
    PacketFeeder items_, users_;
    LoadFeeder load_;
    ControlMaster control_;
    ActivityRecord activity_;
    MdRun* run_ = nullptr;
    uint64_t batch_cycle_ = 0, batch_memory_cycle_ = 0;  // clocks when the batch began
    bool waving_ = false;
    uint64_t wave_first_ = 0, wave_end_ = 0;
    std::string wave_path_;
};

}  // namespace microduet
