// When a row of a batch is where: its time at a step, and the borders that resets draw.
#pragma once

#include "calls.h"
#include "schedule.h"
#include "vec.h"

namespace throughtime::THROUGHTIME_ISA {

template <class T>
struct Rows {
    const Inputs<T>& in;
    const Schedule& schedule;

    // A row runs its own steps 0..length-1; in reverse, step 0 is its last valid time.
    THROUGHTIME_INLINE Index time(Index step, Index position) const {
        return in.reverse ? schedule.length[position] - 1 - step : step;
    }

    // Whether the state before `step` (< length) starts anew. A border lies between times t-1 and t: running forward it
    // precedes step t, running in reverse it precedes the step at time t-1.
    THROUGHTIME_INLINE bool border(Index step, Index position) const {
        if (in.reset == nullptr) return false;
        Index t = step;
        if (in.reverse) {
            if (step == 0) return false;
            t = time(step, position) + 1;
        }
        return in.reset[t * in.reset_t + schedule.row[position] * in.reset_b] != 0;
    }

    // How many of a share's positions are alive at a step; they come first.
    THROUGHTIME_INLINE Index alive(const Share& share, Index step) const {
        Index n = share.count;
        while (n > 0 && schedule.length[share.positions[n - 1]] <= step) --n;
        return n;
    }
};

}  // namespace throughtime::THROUGHTIME_ISA
