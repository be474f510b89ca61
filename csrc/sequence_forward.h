// A whole sequence forward: one layer, one direction.
//
// Each team member runs all steps of its rows alone (or of its units, meeting the others after every step). Time goes in
// chunks: W_ih x of a chunk is one product, whose sums then start the chunk's steps, so a chunk's size changes no bit.
#pragma once

#include "arena.h"
#include "norm.h"
#include "pool.h"
#include "products.h"
#include "rows.h"
#include "zoneout.h"

namespace throughtime::THROUGHTIME_ISA {

template <class Cell, class T>
class SequenceForward {
public:
    static void run(const ForwardCall<T>& call) {
        // Alone where OpenMP grants fewer threads than the sequence was divided among.
        if (!run(call, call.threads)) static_cast<void>(run(call, 1));
    }

private:
    static bool run(const ForwardCall<T>& call, int threads) {
        Arena arena;
        const Schedule schedule(call.T_, call.B, call.lengths, arena);
        const double work = double(schedule.valid) * Cell::gates * double(call.H) * double(call.I + call.H);
        const Index V = vectors<T>(call.H);
        Lease lease(useful_threads(threads, work, schedule, V), threads);
        // Normalisation runs over all units of a row: one member has to have them.
        const Index group = Cell::normalizes ? V + 1 : unit_group;
        const Division division(schedule, V, group, lease.size(), arena);
        SequenceForward run(call, schedule, division, arena);
        return lease.run(
            [](void* self, int member, Team& team) { static_cast<SequenceForward*>(self)->work(member, team); }, &run);
    }

    using F = Factor<T>;
    using R = Real<T>;
    static constexpr Index W = lanes<T>;
    static constexpr Index slots = slot_count<Cell>;
    static constexpr Index unit_group = Cell::h_products[h_product_count<Cell> - 1].units;

    const ForwardCall<T>& call_;
    const Schedule& schedule_;
    const Division& division_;
    const Rows<T> rows_;
    const Zones<T> zones_;
    const Index H_, V_, width_;  // hidden units, their vectors, and the row length of the state buffers
    const RowShape<R> shape_;
    PackedWeights<T> packed_;
    F* h_[2];     // h_[s % 2]: [B, width] by position, the state before step s
    F* seen_[2];  // seen_: what the products see of it: the same memory, but where there is a mask
    R* c_;        // c_: [B, width]
    F* rh_;       // rh_: [B, width] r h, for cells with two products

    struct RowStep {
        T* y;
        T* c_seq;         // null: not wanted
        Saved<T>* saved;  // null: not wanted; [slots, lane] of unit vector 0
        T *h_n, *c_n;     // null: not the row's last step
        Index state;      // offset of the row in the state buffers
        bool clear;       // the state is replaced by zeros after this step
        const R* mask;    // mask: [H] of the row, or null
        Zone<R> zone_h, zone_c;
    };
    struct Member {
        R* block;  // block: [v1-v0, capacity, slots, lane] pre-activations of a chunk, vectors `stride` apart
        Index stride;
        F* x_room;            // x_room: [capacity, I] where x has to be widened
        const F** x_rows;     // x_rows: [capacity]
        const F** h_rows[2];  // h_rows: [count] rows of h_[0], h_[1]
        const F** rh_rows;
        RowStep* row;  // row: [count]
        Index capacity;
    };
    Member* member_;

    SequenceForward(const ForwardCall<T>& call, const Schedule& schedule, const Division& division, Arena& arena)
        : call_(call), schedule_(schedule), division_(division), rows_{call, schedule}, zones_(call, arena), H_(call.H),
          V_(vectors<T>(call.H)), width_(V_ * W), shape_(call.H) {
        packed_ = allocate_packed<Cell, T>(call.I, H_, arena);
        for (F*& h : h_) h = arena.get<F>(call.B * width_);
        for (int k = 0; k < 2; ++k) seen_[k] = call.h_mask != nullptr ? arena.get<F>(call.B * width_) : h_[k];
        c_ = Cell::has_cell ? arena.get<R>(call.B * width_) : nullptr;
        rh_ = Cell::two_products ? arena.get<F>(call.B * width_) : nullptr;
        member_ = arena.get<Member>(division.members);
        for (int m = 0; m < division.members; ++m) {
            const Share& share = division.share[m];
            Member& mine = member_[m];
            // The chunk's sums should stay in the second cache; below 64 rows W_ih would be read too often.
            constexpr Index bytes = 256 * 1024;
            Index rows = bytes / ((share.v1 - share.v0 + 1) * slots * W * Index(sizeof(R)));
            rows = rows < 64 ? 64 : rows > 192 ? 192 : rows;
            mine.capacity = rows > share.count ? rows : share.count;
            // One vector more where rows are read across: power-of-two strides would crowd a few cache sets.
            mine.stride = (mine.capacity * slots + (Cell::normalizes ? 1 : 0)) * W;
            mine.block = arena.get<R>((share.v1 - share.v0) * mine.stride);
            mine.x_room = arena.get<F>(factor_room<T>(mine.capacity * call.I));
            mine.x_rows = arena.get<const F*>(mine.capacity);
            mine.rh_rows = arena.get<const F*>(share.count);
            mine.row = arena.get<RowStep>(share.count);
            for (int k = 0; k < 2; ++k) mine.h_rows[k] = arena.get<const F*>(share.count);
            for (Index i = 0; i < share.count; ++i) {
                const Index state = share.positions[i] * width_;
                for (int k = 0; k < 2; ++k) mine.h_rows[k][i] = seen_[k] + state;
                mine.rh_rows[i] = rh_ + (Cell::two_products ? state : 0);
                mine.row[i].state = state;
            }
        }
    }

    void work(int m, Team& team) {
        const Share& share = division_.share[m];
        const Member& mine = member_[m];
        for (Index v = V_ * m / team.size(); v < V_ * (m + 1) / team.size(); ++v) pack_weights<Cell>(call_, v, packed_);
        start(share);
        team.barrier();
        for (Index first = 0, end; first < schedule_.steps; first = end) {
            Index count = 0;
            for (end = first; end < schedule_.steps; ++end) {
                const Index alive = rows_.alive(share, end);
                if (count + alive > mine.capacity) break;
                for (Index i = 0; i < alive; ++i) {
                    const Index p = share.positions[i];
                    const T* x = call_.x + rows_.time(end, p) * call_.x_t + schedule_.row[p] * call_.x_b;
                    mine.x_rows[count + i] = factors(x, mine.x_room + factor_room<T>((count + i) * call_.I), call_.I);
                }
                count += alive;
            }
            const SlotBlock<R> block{mine.block, mine.stride, share.v0};
            multiply_x<Cell>(packed_, call_.I, mine.x_rows, count, share.v0, share.v1, block);
            for (Index s = first, at = 0; s < end; ++s) {
                const Index alive = rows_.alive(share, s);
                step(s, alive, share, mine, {mine.block + at * slots * W, block.vector_stride, share.v0}, team);
                at += alive;
            }
        }
    }

    // Initial states, the final states of rows of length 0, and the zeros past a length.
    void start(const Share& share) {
        for (Index i = 0; i < share.count; ++i) {
            const Index p = share.positions[i], b = schedule_.row[p], length = schedule_.length[p];
            const bool clear = length > 0 && rows_.border(0, p);
            for (Index v = share.v0; v < share.v1; ++v) {
                const Index left = H_ - v * W, at = b * H_ + v * W;
                const Vec<T> h = call_.h0 != nullptr ? load_first(call_.h0 + at, left) : Vec<T>{};
                carry(0, clear ? Vec<T>{} : h, p * width_ + v * W, mask_of(b), v);
                if (length == 0) store_first(call_.h_n + at, h, left);
                if constexpr (Cell::has_cell) {
                    const Vec<T> c = call_.c0 != nullptr ? load_first(call_.c0 + at, left) : Vec<T>{};
                    store(c_ + p * width_ + v * W, clear ? Vec<T>{} : c);
                    if (length == 0) store_first(call_.c_n + at, c, left);
                }
                for (Index t = length; t < call_.T_; ++t) {
                    store_first(call_.y + t * call_.y_t + b * call_.y_b + v * W, Vec<T>{}, left);
                    if (Cell::has_cell && call_.c_seq != nullptr) {
                        store_first(call_.c_seq + t * call_.B * H_ + at, Vec<T>{}, left);
                    }
                }
            }
        }
    }

    const R* mask_of(Index b) const { return call_.h_mask != nullptr ? call_.h_mask + b * H_ : nullptr; }

    // Writes one vector of the state before a step of parity k, and what the products see of it.
    THROUGHTIME_INLINE void carry(Index k, Vec<T> h, Index state, const R* mask, Index v) {
        store(h_[k] + state, h);
        if (mask != nullptr) store(seen_[k] + state, rounded<T>(h * load_first(mask + v * W, H_ - v * W)));
    }

    void step(Index s, Index alive, const Share& share, const Member& mine, SlotBlock<R> block, Team& team) {
        for (Index i = 0; i < alive; ++i) {
            const Index p = share.positions[i], b = schedule_.row[p], t = rows_.time(s, p);
            const bool last = s + 1 == schedule_.length[p];
            RowStep& row = mine.row[i];
            row.y = call_.y + t * call_.y_t + b * call_.y_b;
            row.c_seq = call_.c_seq != nullptr ? call_.c_seq + (t * call_.B + b) * H_ : nullptr;
            if constexpr (Cell::normalizes) {
                row.saved = call_.saved != nullptr ? call_.saved + (s * call_.B + p) * saved_row<Cell, T>(V_) : nullptr;
            } else {
                row.saved = call_.saved != nullptr ? call_.saved + (s * V_ * call_.B + p) * slots * W : nullptr;
            }
            row.h_n = last ? call_.h_n + b * H_ : nullptr;
            row.c_n = last ? call_.c_n + b * H_ : nullptr;
            row.clear = !last && rows_.border(s + 1, p);
            row.mask = mask_of(b);
            if (zones_.on()) {
                row.zone_h = zones_.of_h(b, t);
                if constexpr (Cell::has_cell) row.zone_c = zones_.of_c(b, t);
            }
        }
        const F* const* h_rows = mine.h_rows[s % 2];
        if constexpr (Cell::two_products) {
            multiply_h<Cell, 0>(packed_, H_, h_rows, alive, share.v0, share.v1, block,
                                [&](Index v, int U, Index begin, Index end) {
                                    for (Index w = v; w < v + U; ++w) first_part(s, w, begin, end, mine, block);
                                });
            if (division_.by_units) team.barrier();
            multiply_h<Cell, 1>(packed_, H_, mine.rh_rows, alive, share.v0, share.v1, block,
                                [&](Index v, int U, Index begin, Index end) {
                                    for (Index w = v; w < v + U; ++w) last_part(s, w, begin, end, mine, block);
                                });
        } else if constexpr (Cell::normalizes) {
            multiply_h<Cell, 0>(packed_, H_, h_rows, alive, share.v0, share.v1, block, [](Index, int, Index, Index) {});
            for (Index i = 0; i < alive; ++i)
                normalized(s, mine.row[i], block.data + i * slots * W, block.vector_stride);
        } else {
            multiply_h<Cell, 0>(packed_, H_, h_rows, alive, share.v0, share.v1, block,
                                [&](Index v, int U, Index begin, Index end) {
                                    for (Index w = v; w < v + U; ++w) last_part(s, w, begin, end, mine, block);
                                });
        }
        if (division_.by_units) team.barrier();
    }

    void first_part(Index s, Index v, Index begin, Index end, const Member& mine, SlotBlock<R> block) {
        for (Index i = begin; i < end; ++i) {
            R* at = block.data + (v - block.first_vector) * block.vector_stride + i * slots * W;
            const Index state = mine.row[i].state + v * W;
            auto a = Vectors<R, slots>::from(at);
            Vec<T> rh;
            Cell::template forward_first<R>(a.v, load<F>(seen_[s % 2] + state), rh);
            a.to(at);
            store(rh_ + state, rounded<T>(rh));
        }
    }

    // The pointwise part of rows begin..end-1 in unit vector v.
    void last_part(Index s, Index v, Index begin, Index end, const Member& mine, SlotBlock<R> block) {
        if (zones_.on()) {
            last_part_of<true>(s, v, begin, end, mine, block);
        } else {
            last_part_of<false>(s, v, begin, end, mine, block);
        }
    }

    template <bool zoned>
    void last_part_of(Index s, Index v, Index begin, Index end, const Member& mine, SlotBlock<R> block) {
        const auto p = peepholes_of<Cell>(static_cast<const R*>(packed_.peephole), v);
        const F* const h_now = h_[s % 2];
        const R* at = block.data + (v - block.first_vector) * block.vector_stride + begin * slots * W;
        for (Index i = begin; i < end; ++i, at += slots * W) {
            const RowStep& row = mine.row[i];
            const Index state = row.state + v * W;
            auto a = Vectors<R, slots>::from(at);
            Vec<T> h_prev = {}, c = {}, h;
            if constexpr (Cell::wants_h_prev || zoned) h_prev = load(h_now + state);
            if constexpr (Cell::has_cell) c = load(static_cast<const R*>(c_ + state));
            [[maybe_unused]] const Vec<T> c_prev = c;
            Cell::template forward<R>(a.v, h_prev, c, h, p.v);
            if constexpr (zoned) {
                h = row.zone_h.blend(v, h_prev, h);
                if constexpr (Cell::has_cell) c = row.zone_c.blend(v, c_prev, c);
            }
            if constexpr (Cell::saves || zoned) {
                if (row.saved != nullptr) a.to(row.saved + v * call_.B * slots * W);
            }
            give(s, row, v, h, c);
        }
    }

    // The pointwise part of a row whose products, [unit vector, slot, lane] at `at`, are normalised.
    void normalized(Index s, const RowStep& row, R* at, Index stride) {
        const F* const h_now = h_[s % 2] + row.state;
        const R* const c_now = Cell::has_cell ? c_ + row.state : nullptr;
        const auto before = [&](Index v, Vec<T>& h, Vec<T>& c) {
            if constexpr (Cell::wants_h_prev) h = load(h_now + v * W);
            if constexpr (Cell::has_cell) c = load(c_now + v * W);
        };
        const auto after = [&](Index v, Vec<T> h, Vec<T> c) {
            if (zones_.on()) {
                h = row.zone_h.blend(v, load(h_now + v * W), h);
                if constexpr (Cell::has_cell) c = row.zone_c.blend(v, load(c_now + v * W), c);
            }
            give(s, row, v, h, c);
        };
        normalized_row<Cell, T>(at, stride, shape_, packed_.norm, row.saved, before, after);
    }

    // Writes one vector of a row's new state for the caller and for the next step.
    THROUGHTIME_INLINE void give(Index s, const RowStep& row, Index v, Vec<T> h, Vec<T> c) {
        const Index left = H_ - v * W, state = row.state + v * W;
        // What is carried on is what a caller is given: chunks have the bits of the whole.
        h = rounded<T>(h);
        c = rounded<T>(c);
        store_first(row.y + v * W, h, left);
        if constexpr (Cell::has_cell) {
            if (row.c_seq != nullptr) store_first(row.c_seq + v * W, c, left);
        }
        if (row.h_n != nullptr) {
            store_first(row.h_n + v * W, h, left);
            if constexpr (Cell::has_cell) store_first(row.c_n + v * W, c, left);
        }
        if (row.clear) {
            h = Vec<T>{};
            c = Vec<T>{};
        }
        carry((s + 1) % 2, h, state, row.mask, v);
        if constexpr (Cell::has_cell) store(c_ + state, c);
    }
};

}  // namespace throughtime::THROUGHTIME_ISA
