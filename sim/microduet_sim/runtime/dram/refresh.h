// When refreshes of a rank are due, and how long one may wait.
#pragma once

#include <cstdint>

#include "command_queue.h"
#include "parameters.h"

namespace microduet::dram {

// One refresh of all banks every tREFI, or of the next bank every tREFISB. With `refresh_postpone` n, a refresh that is
// due waits up to n intervals for the end of the next work: the next request seldom comes straight after that.
class Refresh {
  public:
    Refresh(const MdDram& parameters, uint32_t rank)
        : t_(parameters),
          interval_(parameters.refresh == MD_REFRESH_SINGLE_BANK ? parameters.tREFISB : parameters.tREFI),
          due_(parameters.refresh == MD_REFRESH_OFF
                   ? NEVER
                   : parameters.refresh_phase + uint64_t{rank} * parameters.rank_phase + interval_) {}

    // From when on the next refresh comes before anything else.
    uint64_t urgent_from() const { return due_ == NEVER ? NEVER : due_ + uint64_t{t_.refresh_postpone} * interval_; }

    bool under_way(uint64_t cycle) const { return eager_ || cycle >= urgent_from(); }

    bool single_bank() const { return t_.refresh == MD_REFRESH_SINGLE_BANK; }
    uint32_t bank() const { return bank_; }

    // Work has just ended: refreshes that are due come now.
    void idle(uint64_t cycle) {
        if (t_.refresh_postpone && due_ <= cycle) eager_ = true;
    }

    // What a refresh at `cycle` blocks lasts until.
    uint64_t done(uint64_t cycle) {
        ++count_;
        due_ += interval_;
        if (due_ > cycle) eager_ = false;
        if (!single_bank()) return cycle + t_.tRFC;
        bank_ = (bank_ + 1) % (t_.bank_groups * t_.banks_per_group);
        return cycle + t_.tRFCSB;
    }
    uint64_t count() const { return count_; }

  private:
    const MdDram& t_;
    uint64_t interval_, due_, count_ = 0;
    uint32_t bank_ = 0;
    bool eager_ = false;
};

}  // namespace microduet::dram
