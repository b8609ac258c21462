#include "activity.h"

namespace microduet {

static bool taken(const StreamPins& pins) { return pins.tvalid && *pins.tvalid && *pins.tready; }

void ActivityRecord::begin(uint64_t ps) {
    on_ = true;
    engine_ps_ = memory_ps_ = ps;
    intervals_.clear();
    counted_.clear();
    for (const uint64_t* counter : pins_.counters) counted_.push_back(*counter);
    channels_.assign(pins_.channels.size(), {});
    for (auto& last : last_) last.clear();
    last_[MD_COUNTER].resize(counted_.size());
    for (MdActivity kind : {MD_ITEMS, MD_USERS, MD_RESULTS}) last_[kind].resize(1);
}

void ActivityRecord::end() {
    on_ = false;
    intervals_.clear();
    intervals_.shrink_to_fit();
    channels_.clear();
}

void ActivityRecord::sample(Edge edge) {
    if (edge.engine) {
        users_ = taken(pins_.users);
        results_ = taken(pins_.results);
    }
    if (!edge.memory) return;
    items_ = taken(pins_.items);
    for (size_t k = 0; k < channels_.size(); ++k) sample_channel(k);
}

void ActivityRecord::sample_channel(size_t number) {
    const ChannelPins& pins = pins_.channels[number];
    Channel& channel = channels_[number];
    channel.asked = *pins.arvalid && *pins.arready;
    channel.asked_id = *pins.arid;
    channel.beats = *pins.arlen + 1u;
    channel.answered = *pins.rvalid && *pins.rready && *pins.rlast;
    channel.answered_id = *pins.rid;
}

void ActivityRecord::keep(Edge edge, uint64_t ps) {
    if (edge.engine) {
        if (users_) add_cycle(MD_USERS, 0, engine_ps_, ps);
        if (results_) add_cycle(MD_RESULTS, 0, engine_ps_, ps);
        for (size_t k = 0; k < counted_.size(); ++k) {
            const uint64_t now = *pins_.counters[k];
            if (now == counted_[k] + 1) add_cycle(MD_COUNTER, static_cast<uint32_t>(k), engine_ps_, ps);
            counted_[k] = now;
        }
        engine_ps_ = ps;
    }
    if (!edge.memory) return;
    if (items_) add_cycle(MD_ITEMS, 0, memory_ps_, ps);
    for (size_t k = 0; k < channels_.size(); ++k) keep_channel(k, ps);
    memory_ps_ = ps;
}

// A read that was on its way before the record began is left out.
void ActivityRecord::keep_channel(size_t number, uint64_t ps) {
    Channel& channel = channels_[number];
    if (channel.asked) channel.reads[channel.asked_id].push_back({ps, channel.beats});
    auto& reads = channel.reads[channel.answered_id];
    if (!channel.answered || reads.empty()) return;
    const Read read = reads.front();
    reads.pop_front();
    intervals_.push_back({read.start_ps, ps, MD_READ, static_cast<uint32_t>(number), read.beats});
}

void ActivityRecord::add_cycle(uint32_t kind, uint32_t number, uint64_t start_ps, uint64_t end_ps) {
    size_t& last = last_[kind][number];
    if (last && intervals_[last - 1].end_ps == start_ps) {
        intervals_[last - 1].end_ps = end_ps;
        ++intervals_[last - 1].count;
        return;
    }
    intervals_.push_back({start_ps, end_ps, kind, number, 1});
    last = intervals_.size();
}

}  // namespace microduet
