// The functions that Python calls. No state outside the handles, so any number of simulations may be open at once.

#include <algorithm>
#include <cstdio>
#include <exception>

#include "floor.h"
#include "simulation.h"

#define MICRODUET_API extern "C" __attribute__((visibility("default")))

namespace {

enum Outcome : int { DONE = 0, FAILED = 1, STOPPED = 2 };

constexpr size_t MESSAGE_BYTES = 512;

// Runs `body`; an exception becomes its message.
template <typename Body>
int guarded(char* message, Body body) {
    try {
        return body() ? DONE : STOPPED;
    } catch (const std::exception& error) {
        std::snprintf(message, MESSAGE_BYTES, "%s", error.what());
        return FAILED;
    }
}

}  // namespace

using microduet::Simulation;

MICRODUET_API int md_open(const MdOpen* open, Simulation** simulation, char* message) {
    return guarded(message, [&] {
        *simulation = new Simulation(*open);
        return true;
    });
}

MICRODUET_API void md_close(Simulation* simulation) { delete simulation; }

MICRODUET_API int md_load(Simulation* simulation, const uint32_t* beats, uint64_t count, MdProgress progress,
                          char* message) {
    return guarded(message, [&] { return simulation->load(beats, count, progress); });
}

MICRODUET_API int md_run(Simulation* simulation, MdRun* run, MdProgress progress, char* message) {
    return guarded(message, [&] { return simulation->run(*run, progress); });
}

MICRODUET_API int md_run_bare(Simulation* simulation, MdRun* run, char* message) {
    return guarded(message, [&] {
        simulation->run_bare(*run);
        return true;
    });
}

MICRODUET_API int md_memory_share(Simulation* simulation, MdRun* run, double* share, char* message) {
    return guarded(message, [&] {
        *share = simulation->memory_share(*run);
        return true;
    });
}

MICRODUET_API int md_access(Simulation* simulation, int write, uint32_t address, uint32_t* value, char* message) {
    return guarded(message, [&] {
        *value = simulation->access(write, address, *value);
        return true;
    });
}

MICRODUET_API int md_write_memory(Simulation* simulation, uint32_t channel, uint64_t address, const uint32_t* data,
                                  uint64_t beats, char* message) {
    return guarded(message, [&] {
        simulation->write_memory(channel, address, data, beats);
        return true;
    });
}

MICRODUET_API void md_set_stalls(Simulation* simulation, const MdStalls* stalls) { simulation->set_stalls(*stalls); }

MICRODUET_API void md_set_faults(Simulation* simulation, const MdFault* faults, uint64_t seed) {
    simulation->set_faults(faults, seed);
}

MICRODUET_API void md_open_wave(Simulation* simulation, const char* path, uint64_t first_cycle, uint64_t end_cycle) {
    simulation->open_wave(path, first_cycle, end_cycle);
}

MICRODUET_API void md_counters(const Simulation* simulation, MdCounters* counters) { simulation->counters(*counters); }

MICRODUET_API void md_record(Simulation* simulation, uint32_t* words, uint64_t cycles, uint32_t row_words) {
    simulation->record().begin(words, cycles, row_words);
}

MICRODUET_API uint64_t md_recorded(Simulation* simulation) { return simulation->record().cycles(); }

MICRODUET_API void md_watch(Simulation* simulation, int on) { simulation->watch(on); }

// What was kept so far: all of it, whose number is returned, or none if it is more than `capacity`.
MICRODUET_API uint64_t md_watched(const Simulation* simulation, MdInterval* intervals, uint64_t capacity) {
    const auto& kept = simulation->activity().intervals();
    if (kept.size() <= capacity) std::copy(kept.begin(), kept.end(), intervals);
    return kept.size();
}

MICRODUET_API uint64_t md_watched_counters(const Simulation* simulation) { return simulation->watched_counters(); }

MICRODUET_API double md_floor(double seconds) { return microduet::floor_cycles_per_second(seconds); }
