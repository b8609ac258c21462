// What Python calls of the DRAM model alone.

#include <cstdio>
#include <exception>

#include "front_end.h"
#include "near_memory.h"
#include "replay.h"
#include "tables.h"

#define MICRODUET_API extern "C" __attribute__((visibility("default")))

namespace {

// A channel whose contents are only what was written.
struct Channel {
    Channel(const MdDram& parameters, double port_mhz) : front_end(parameters, contents, port_mhz) {}

    microduet::ChannelContents contents{16, nullptr};
    microduet::dram::FrontEnd front_end;
};

}  // namespace

MICRODUET_API Channel* md_channel_open(const MdDram* parameters, double port_mhz) {
    return new Channel(*parameters, port_mhz);
}

MICRODUET_API void md_channel_close(Channel* channel) { delete channel; }

MICRODUET_API int md_channel_ready(Channel* channel) { return channel->front_end.ready(); }

MICRODUET_API void md_channel_read(Channel* channel, uint64_t address, uint32_t beats, uint8_t id, uint64_t cycle) {
    channel->front_end.accept({address, beats, id}, cycle);
}

MICRODUET_API void md_channel_write(Channel* channel, uint64_t address, const uint32_t* data, uint32_t beats,
                                    uint64_t cycle) {
    channel->front_end.write(address, data, beats, cycle);
}

MICRODUET_API uint64_t md_channel_writes(Channel* channel, uint64_t cycle) {
    return channel->front_end.writes_under_way(cycle);
}

// Contents alone, in no time.
MICRODUET_API void md_channel_put(Channel* channel, uint64_t address, const uint32_t* beat) {
    channel->contents.write(address, beat);
}

// The beat on offer at the edge of `cycle`, if there is one: 8 words of data, then ID and last.
MICRODUET_API int md_channel_offer(Channel* channel, uint64_t cycle, uint32_t* beat) {
    const microduet::ReadBeat* offered = channel->front_end.offer(cycle);
    if (!offered) return 0;
    std::memcpy(beat, offered->data, sizeof offered->data);
    beat[8] = offered->id;
    beat[9] = offered->last;
    return 1;
}

MICRODUET_API void md_channel_take(Channel* channel) { channel->front_end.take(); }

namespace {

// 0 done, 1 failed (one line in `message`), 2 stopped.
template <typename Work>
int outcome(Work work, char* message) {
    try {
        return work() ? 0 : 2;
    } catch (const std::exception& error) {
        std::snprintf(message, 512, "%s", error.what());
        return 1;
    }
}

}  // namespace

MICRODUET_API int md_replay(const MdDram* parameters, MdReplay* job, MdReplayProgress progress, char* message) {
    return outcome([&] { return microduet::dram::replay(*parameters, *job, progress); }, message);
}

MICRODUET_API int md_reduce(const MdDram* parameters, MdNear* job, MdReplayProgress progress, char* message) {
    return outcome([&] { return microduet::dram::reduce(*parameters, *job, progress); }, message);
}
