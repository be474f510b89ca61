// A whole sequence backward: one layer, one direction.
//
// From the last step to the first: pointwise gradients of a step (dgates), then dh of the step before, dgates W_hh.
// Time goes in chunks; after a chunk's steps its dgates give dx, and the sums for the weights, as single products.
#pragma once

#include "arena.h"
#include "health.h"
#include "norm_backward.h"
#include "pairs.h"
#include "pool.h"
#include "products.h"
#include "slot_sums.h"
#include "weight_gradient.h"

namespace throughtime::THROUGHTIME_ISA {

template <class Cell, class T>
class SequenceBackward {
public:
    static void run(const BackwardCall<T>& call) {
        // Alone where OpenMP grants fewer threads than the sequence was divided among.
        if (!run(call, call.threads)) static_cast<void>(run(call, 1));
    }

private:
    static bool run(const BackwardCall<T>& call, int threads) {
        Arena arena;
        const Schedule schedule(call.T_, call.B, call.lengths, arena);
        const double work = 2.0 * double(schedule.valid) * Cell::gates * double(call.H) * double(call.I + call.H);
        const Index V = vectors<T>(call.H);
        Lease lease(useful_threads(threads, work, schedule, V), threads);
        // Normalisation and the norms of the diagnostics run over all units of a row: one member has to see them.
        const Index group = Cell::normalizes || wants_health(call.health) ? V + 1 : transposed_units;
        const Division division(schedule, V, group, lease.size(), arena);
        SequenceBackward run(call, schedule, division, arena);
        return lease.run(
            [](void* self, int member, Team& team) { static_cast<SequenceBackward*>(self)->work(member, team); }, &run);
    }

    using F = Factor<T>;
    using R = Real<T>;
    static constexpr Index W = lanes<T>;
    static constexpr int slots = slot_count<Cell>;
    static constexpr int transposed_units = 4;  // output vectors of dgates W at a time: 4 accumulators a row
    static constexpr Product x_product = Cell::x_product;
    static constexpr Product product0 = Cell::h_products[0], product1 = Cell::h_products[h_product_count<Cell> - 1];

    using Others = typename SumsOf<Cell, T>::type;

    using GradientX = WeightGradient<T, slots, x_product.first, x_product.count, x_product.units>;
    using Gradient0 = WeightGradient<T, slots, product0.first, product0.count, product0.units>;
    using Gradient1 = WeightGradient<T, slots, product1.first, product1.count, product1.units>;

    struct Member {
        Index* offset;                 // offset: [capacity] of the chunk's steps
        const F** rows;                // rows: [capacity] left rows of a product
        Index* mine;                   // mine: [capacity] the pairs of the member's share
        Term<F>* columns;              // packed columns of the weight gradients
        R* tile;                       // a tile of dx or dh
        R* norm;                       // scratch of a normalised row
        Index x0, x1, a0, a1, b0, b1;  // tiles of the weight gradients
    };

    const BackwardCall<T>& call_;
    const Schedule& schedule_;
    const Division& division_;
    const Rows<T> rows_;
    const Zones<T> zones_;
    const HealthNotes<typename SumsOf<Cell, T>::Plain, R> notes_;
    const Index H_, I_, V_, width_;
    const RowShape<R> shape_;
    const bool wants_ih_, wants_hh_, wants_sums_;  // dW_ih, dW_hh, and any gradient that is a sum of slots
    Index capacity_;                               // pairs of a chunk
    Term<F>* transposed_ih_;                       // [vectors(I)][terms of x count * H][lane]
    Term<F>* transposed_hh_[2];
    R* peephole_;
    R *dh_, *dc_, *drh_;  // [B, width] by position
    Pair<T>* pairs_;      // pairs_: [capacity] all of a chunk's, at offset[s] + position; each listed by one member
    T* seen_;             // [capacity, width] h_prev of a chunk's pairs as products saw it, where there is a mask
    T* rh_;               // [capacity, width] r h of a chunk's pairs, for cells with two products
    Dgates<F> dgates_;
    Dgates<Term<F>> terms_;  // dgates as the weight gradients read them: the same memory, but for terms of two
    GradientX gradient_x_;
    Gradient0 gradient_0_;
    Gradient1 gradient_1_;
    Others others_;  // gradients that are sums of slots
    Member* member_;

    SequenceBackward(const BackwardCall<T>& call, const Schedule& schedule, const Division& division, Arena& arena)
        : call_(call), schedule_(schedule), division_(division), rows_{call, schedule}, zones_(call, arena),
          notes_{call.health, call.T_, call.B, call.H}, H_(call.H), I_(call.I), V_(vectors<T>(call.H)), width_(V_ * W),
          shape_(call.H), wants_ih_(call.dweight_ih != nullptr), wants_hh_(call.dweight_hh != nullptr),
          wants_sums_(call.dbias_ih != nullptr || call.dbias_hh != nullptr || call.dweight_ch != nullptr ||
                      call.dweight_ln_ih != nullptr || call.dweight_ln_hh != nullptr || call.dweight_ln_c != nullptr ||
                      call.dbias_ln_c != nullptr) {
        // A chunk's dgates should stay in the caches from the steps to the sums; many pairs make good sums.
        constexpr Index bytes = 512 * 1024;
        Index pairs = bytes / (V_ * slots * W * Index(sizeof(F)) + 1);
        pairs = pairs < 128 ? 128 : pairs > pairs_per_block ? pairs_per_block : pairs;
        capacity_ = pairs > call.B ? pairs : call.B;
        transposed_ih_ =
            call.dx != nullptr ? arena.get<Term<F>>(vectors<T>(I_) * W * gate_terms(x_product.count)) : nullptr;
        for (int p = 0; p < h_product_count<Cell>; ++p) {
            transposed_hh_[p] = arena.get<Term<F>>(width_ * gate_terms(Cell::h_products[p].count));
        }
        peephole_ = arena.get<R>(Cell::peepholes > 0 ? width_ * 3 : 0);
        for (R** state : {&dh_, &dc_, &drh_}) *state = arena.get<R>(call.B * width_);
        pairs_ = arena.get<Pair<T>>(capacity_);
        seen_ = arena.get<T>(call.h_mask != nullptr ? capacity_ * width_ : 0);
        rh_ = arena.get<T>(Cell::two_products ? capacity_ * width_ : 0);
        // One vector more a unit vector: power-of-two strides would crowd a few cache sets.
        dgates_ = {nullptr, (capacity_ * slots + 1) * W};
        dgates_.data = arena.get<F>(V_ * dgates_.vector_stride);
        if constexpr (term_size<F> == 1) {
            terms_ = dgates_;
        } else {
            terms_ = {nullptr, (terms<F>(capacity_) * slots + 1) * W};
            terms_.data = arena.get<Term<F>>(V_ * terms_.vector_stride);
        }
        if (wants_ih_) gradient_x_.allocate(I_, V_, arena);
        if (wants_hh_) {
            gradient_0_.allocate(H_, V_, arena);
            if (Cell::two_products) gradient_1_.allocate(H_, V_, arena);
        }
        others_.allocate(call, capacity_, arena);
        member_ = arena.get<Member>(division.members);
        for (int m = 0; m < division.members; ++m) allocate(member_[m], m, arena);
    }

    void allocate(Member& mine, int m, Arena& arena) {
        mine.offset = arena.get<Index>(capacity_ + 1);
        mine.rows = arena.get<const F*>(capacity_);
        mine.mine = arena.get<Index>(capacity_);
        const auto split = [&](Index tiles, Index& t0, Index& t1) {
            t0 = tiles * m / division_.members;
            t1 = tiles * (m + 1) / division_.members;
        };
        mine.x0 = mine.x1 = mine.a0 = mine.a1 = mine.b0 = mine.b1 = 0;
        Index columns = 0;
        const auto enough = [&](Index size) { columns = size > columns ? size : columns; };
        if (wants_ih_) {
            split(gradient_x_.tiles(), mine.x0, mine.x1);
            enough(GradientX::scratch(mine.x1 - mine.x0));
        }
        if (wants_hh_) {
            split(gradient_0_.tiles(), mine.a0, mine.a1);
            enough(Gradient0::scratch(mine.a1 - mine.a0));
            if (Cell::two_products) {
                split(gradient_1_.tiles(), mine.b0, mine.b1);
                enough(Gradient1::scratch(mine.b1 - mine.b0));
            }
        }
        mine.columns = arena.get<Term<F>>(columns);
        mine.tile = arena.get<R>(tile_rows(transposed_units) * 2 * transposed_units * W);
        if constexpr (Cell::normalizes) mine.norm = Others::scratch(H_, arena);
    }

    void work(int m, Team& team) {
        const Share& share = division_.share[m];
        const Member& mine = member_[m];
        const Index v0 = V_ * m / team.size(), v1 = V_ * (m + 1) / team.size();
        pack(m, team.size(), v0, v1);
        start(share);
        team.barrier();
        for (Index end = schedule_.steps, first; end > 0; end = first) {
            Index count = 0;
            for (first = end; first > 0 && (count == 0 || count + schedule_.active[first - 1] <= capacity_); --first) {
                count += schedule_.active[first - 1];
            }
            list_pairs(first, end, share, mine, m, team.size());
            if (division_.by_units) team.barrier();
            for (Index s = end; s-- > first;) step(s, rows_.alive(share, s), share, mine, mine.offset[s - first], team);
            if (!division_.by_units && call_.dx != nullptr) {
                Index n = 0;
                for (Index s = first; s < end; ++s) {
                    const Index alive = rows_.alive(share, s);
                    for (Index i = 0; i < alive; ++i) mine.mine[n++] = mine.offset[s - first] + share.positions[i];
                }
                input_gradient(n, mine);
            }
            team.barrier();
            if (division_.by_units && call_.dx != nullptr) {
                const Index begin = count * m / team.size(), stop = count * (m + 1) / team.size();
                for (Index i = begin; i < stop; ++i) mine.mine[i - begin] = i;
                input_gradient(stop - begin, mine);
            }
            if constexpr (term_size<F> > 1) {
                if (wants_ih_ || wants_hh_) {
                    pair_up<slots>(dgates_, count, v0, v1, terms_);
                    team.barrier();
                }
            }
            weight_gradients(count, mine, v0, v1);
            team.barrier();
        }
        finish(share, v0, v1);
    }

    void pack(int m, int members, Index v0, Index v1) {
        const Index n = vectors<T>(I_);
        for (Index j = n * m / members; call_.dx != nullptr && j < n * (m + 1) / members; ++j) {
            pack_transposed<F>(call_.weight_ih, ih_blocks<Cell>().block, x_product.count, j, H_, I_,
                               transposed_ih_ + j * gate_terms(x_product.count) * W);
        }
        for (Index v = v0; v < v1; ++v) {
            for (int p = 0; p < h_product_count<Cell>; ++p) {
                const int count = Cell::h_products[p].count;
                pack_transposed<F>(call_.weight_hh, hh_blocks<Cell>(p).block, count, v, H_, H_,
                                   transposed_hh_[p] + v * gate_terms(count) * W);
            }
            if constexpr (Cell::peepholes > 0) pack_peepholes(call_.weight_ch, v, H_, peephole_ + v * 3 * W);
        }
        if (wants_ih_) gradient_x_.clear(v0, v1);
        if (wants_hh_) gradient_0_.clear(v0, v1);
        if (wants_hh_ && Cell::two_products) gradient_1_.clear(v0, v1);
        others_.start(call_, v0, v1);
    }

    void start(const Share& share) {
        for (Index i = 0; i < share.count; ++i) {
            const Index p = share.positions[i], b = schedule_.row[p];
            if (wants_health(call_.health)) notes_.clear(b);
            for (Index v = share.v0; v < share.v1; ++v) {
                const Index at = b * H_ + v * W, left = H_ - v * W, state = p * width_ + v * W;
                store(dh_ + state, call_.dh_n != nullptr ? load_first(call_.dh_n + at, left) : Vec<T>{});
                store(dc_ + state, call_.dc_n != nullptr ? load_first(call_.dc_n + at, left) : Vec<T>{});
            }
            for (Index t = schedule_.length[p]; call_.dx != nullptr && share.v0 == 0 && t < call_.T_; ++t) {
                std::memset(call_.dx + t * call_.dx_t + b * call_.dx_b, 0, static_cast<std::size_t>(I_) * sizeof(T));
            }
        }
    }

    // Rows are listed by the member that has them; where all members have all rows, each lists a part of them.
    void list_pairs(Index first, Index end, const Share& share, const Member& mine, int m, int members) {
        const Pairs<Cell, T> lister{call_, schedule_, rows_, zones_, H_, V_};
        Index at = 0;
        for (Index s = first; s < end; ++s) {
            const Index alive = rows_.alive(share, s);
            const Index i0 = division_.by_units ? alive * m / members : 0;
            const Index i1 = division_.by_units ? alive * (m + 1) / members : alive;
            mine.offset[s - first] = at;
            for (Index i = i0; i < i1; ++i) lister.list(s, share.positions[i], pairs_[at + share.positions[i]]);
            at += schedule_.active[s];
        }
    }

    void step(Index s, Index alive, const Share& share, const Member& mine, Index offset, Team& team) {
        if constexpr (Cell::normalizes) {
            for (Index i = 0; i < alive; ++i) normalized(offset + share.positions[i], mine);
        } else {
            for (Index v = share.v0; v < share.v1; ++v) {
                if (zones_.on()) {
                    wants_health(call_.health) ? pointwise<true, true>(v, alive, share, offset)
                                               : pointwise<false, true>(v, alive, share, offset);
                } else {
                    wants_health(call_.health) ? pointwise<true, false>(v, alive, share, offset)
                                               : pointwise<false, false>(v, alive, share, offset);
                }
            }
        }
        if constexpr (Cell::two_products) {
            if (division_.by_units) team.barrier();
            multiply_transposed<1, R>(alive, share, mine, offset, drh_, false);
            for (Index v = share.v0; v < share.v1; ++v) pointwise_second(v, alive, share, offset);
        }
        for (Index i = 0; wants_health(call_.health) && i < alive; ++i) {
            const Index at = offset + share.positions[i];
            const auto told = others_.told(dgates_);
            notes_.gradients(pairs_[at].time, schedule_.row[pairs_[at].position], V_,
                             told.data + at * Others::told_slots * W, told.vector_stride);
        }
        if (division_.by_units) team.barrier();
        if (s > 0 || call_.dh0 != nullptr) {
            // What is carried on is what a caller is given, as in the forward pass: hence the rounding.
            multiply_transposed<0, T>(alive, share, mine, offset, dh_, Cell::direct || zones_.on());
            for (Index i = 0; call_.reset != nullptr && i < alive; ++i) {
                const Pair<T>& pair = pairs_[offset + share.positions[i]];
                if (!pair.border) continue;
                for (Index v = share.v0; v < share.v1; ++v) store(dh_ + pair.state + v * W, Vec<T>{});
            }
        }
    }

    template <bool health, bool zoned>
    void pointwise(Index v, Index alive, const Share& share, Index offset) {
        const Index left = H_ - v * W;
        const auto p = peepholes_of<Cell>(static_cast<const R*>(peephole_), v);
        for (Index i = 0; i < alive; ++i) {
            const Index at = offset + share.positions[i];
            const Pair<T>& pair = pairs_[at];
            const Index state = pair.state + v * W;
            Vectors<R, slots> a, da{};
            if constexpr (Cell::saves || zoned) {
                a = Vectors<R, slots>::from(pair.saved + v * call_.B * slots * W);
            } else {
                a.v[0] = load_first(pair.h + v * W, left);
            }
            StepGradient<R> d{};
            d.dh = load(static_cast<const R*>(dh_ + state)) + load_or_zero(pair.dy, v, left);
            Vec<T> h_prev = {}, c_prev = {}, c = {};
            if (Cell::wants_h_prev || pair.mask != nullptr) h_prev = load_or_zero(pair.h_prev, v, left);
            if constexpr (Cell::has_cell) {
                d.dc = load(static_cast<const R*>(dc_ + state)) + load_or_zero(pair.dc_seq, v, left);
                c_prev = load_or_zero(pair.c_prev, v, left);
                c = load_first(pair.c + v * W, left);
            }
            if constexpr (zoned) {
                const Vec<T> dh = d.dh, dc = d.dc;
                const Vec<T> dh_kept = pair.zone_h.split(v, d.dh);
                Vec<T> dc_kept = {};
                if constexpr (Cell::has_cell) {
                    dc_kept = pair.zone_c.split(v, d.dc);
                    c = Cell::template new_c<R>(a.v, c_prev);
                }
                Cell::template backward<R>(a.v, h_prev, c_prev, c, p.v, d, da.v);
                d.dh_direct += dh_kept;
                d.dc += dc_kept;
                d.dh = dh;
                d.dc_whole = dc;
            } else {
                Cell::template backward<R>(a.v, h_prev, c_prev, c, p.v, d, da.v);
            }
            if constexpr (health) {
                notes_.values(pair.time, schedule_.row[pair.position], v, used_lanes<T>(v, H_), a.v, c, d);
            }
            if constexpr (Cell::has_cell) store(dc_ + state, pair.border ? Vec<T>{} : rounded<T>(d.dc));
            if constexpr (Cell::direct || zoned) store(dh_ + state, d.dh_direct);
            if (pair.mask != nullptr) {
                h_prev = rounded<T>(h_prev * load_first(pair.mask + v * W, left));
                store(seen_ + at * width_ + v * W, h_prev);
            }
            if constexpr (Cell::two_products) store(rh_ + at * width_ + v * W, a.v[0] * h_prev);
            da.to(dgates_.data + v * dgates_.vector_stride + at * slots * W);
        }
    }

    // The same of one pair of a cell that normalises.
    void normalized(Index at, const Member& mine) {
        const Pair<T>& pair = pairs_[at];
        const auto tell = [&](Index v, const Vec<T>* a, Vec<T> c, const StepGradient<R>& d) {
            if (!wants_health(call_.health)) return;
            notes_.values(pair.time, schedule_.row[pair.position], v, used_lanes<T>(v, H_), a, c, d);
        };
        others_.row(pair, at, shape_, zones_.on(), dh_ + pair.state, dc_ + pair.state, seen_ + at * width_, dgates_,
                    mine.norm, tell);
    }

    // For cells with two products: the first slot's gradient, known only after the second product's.
    void pointwise_second(Index v, Index alive, const Share& share, Index offset) {
        const Index left = H_ - v * W;
        for (Index i = 0; i < alive; ++i) {
            const Index at = offset + share.positions[i];
            const Pair<T>& pair = pairs_[at];
            const Index state = pair.state + v * W;
            Vec<T> direct = load(static_cast<const R*>(dh_ + state)), da;
            const Vec<T> r = load(pair.saved + v * call_.B * slots * W),
                         drh = load(static_cast<const R*>(drh_ + state));
            if (pair.mask == nullptr) {
                Cell::template backward_second<R>(r, load_or_zero(pair.h_prev, v, left), drh, direct, da);
            } else {
                Vec<T> seen = {};
                Cell::template backward_second<R>(r, load<T>(seen_ + at * width_ + v * W), drh, seen, da);
                direct = fma(load_first(pair.mask + v * W, left), seen, direct);
            }
            store(dh_ + state, direct);
            store(dgates_.data + v * dgates_.vector_stride + at * slots * W, da);
        }
    }

    // out: rows of the share := (add ? themselves : 0) + dgates W_hh of product P, as memory of type To holds it.
    template <int P, class To>
    void multiply_transposed(Index alive, const Share& share, const Member& mine, Index offset, R* out, bool add) {
        constexpr Product product = Cell::h_products[P];
        const Span span = gate_span(product.count);
        for (Index i = 0; i < alive; ++i) {
            mine.rows[i] = dgates_.data + ((offset + share.positions[i]) * slots + product.first) * W;
        }
        const Index K = gate_terms(product.count);
        // The mask stood between the state and this product.
        const bool masked = P == 0 && call_.h_mask != nullptr, start = add && !masked;
        by_units<transposed_units>(share.v0, share.v1, [&](auto units, Index v) {
            constexpr int U = decltype(units)::value;
            const Right<F> right{transposed_hh_[P] + v * K * W, W, K * W};
            const Tiles tiles(alive, tile_rows(U));
            for (Index tile = 0; tile < tiles.number; ++tile) {
                const Index begin = tiles.begin(tile), end = tiles.begin(tile + 1);
                // Positions of a share need not be neighbours: their distance is the same within a tile only if they
                // are, so sums go by way of the scratch.
                R* sums_at = mine.tile;
                for (Index i = begin; start && i < end; ++i) {
                    std::memcpy(sums_at + (i - begin) * U * W, out + share.positions[i] * width_ + v * W,
                                U * W * sizeof(R));
                }
                const Sums<R> sums{start ? sums_at : nullptr, U * W, W, sums_at, U * W, W};
                multiply_rows_of<F, 1, U, tile_rows(U)>(static_cast<int>(end - begin), mine.rows + begin, span, right,
                                                        sums);
                for (Index i = begin; i < end; ++i) {
                    Vectors<R, U> sum = Vectors<R, U>::from(sums_at + (i - begin) * U * W);
                    for (int u = 0; masked && u < U; ++u) {
                        const Index p = share.positions[i], at = (v + u) * W;
                        const Vec<T> mask = load_first(call_.h_mask + schedule_.row[p] * H_ + at, H_ - at);
                        const Vec<T> direct = load(static_cast<const R*>(out + p * width_ + at));
                        sum.v[u] = fma(mask, sum.v[u], add ? direct : Vec<T>{});
                    }
                    for (int u = 0; u < U; ++u) sum.v[u] = rounded<To>(sum.v[u]);
                    sum.to(out + share.positions[i] * width_ + v * W);
                }
            }
        });
    }

    // Terms of a row of dgates that `count` slots take part in.
    Index gate_terms(Index count) const { return count * terms<F>(H_); }

    // How a product with `count` slots runs through a pair's dgates: unit vector, slot, used lane.
    Span gate_span(Index count) const {
        if (H_ % W == 0) return {V_, 1, count * W, count * W, dgates_.vector_stride, 0};
        return {V_, count, W, H_ % W, dgates_.vector_stride, W};
    }

    // dx of the pairs listed in mine.mine.
    void input_gradient(Index count, const Member& mine) {
        const Span span = gate_span(x_product.count);
        for (Index i = 0; i < count; ++i) {
            mine.rows[i] = dgates_.data + (mine.mine[i] * slots + x_product.first) * W;
        }
        const Index K = gate_terms(x_product.count);
        by_units<transposed_units>(0, vectors<T>(I_), [&](auto units, Index j) {
            constexpr int U = decltype(units)::value;
            const Right<F> right{transposed_ih_ + j * K * W, W, K * W};
            const Index width = I_ - j * W < U * W ? I_ - j * W : U * W;
            const Tiles tiles(count, tile_rows(U));
            for (Index tile = 0; tile < tiles.number; ++tile) {
                const Index begin = tiles.begin(tile), end = tiles.begin(tile + 1);
                const Sums<R> sums{nullptr, 0, 0, mine.tile, U * W, W};
                multiply_rows_of<F, 1, U, tile_rows(U)>(static_cast<int>(end - begin), mine.rows + begin, span, right,
                                                        sums);
                for (Index i = begin; i < end; ++i) {
                    T* dx = pairs_[mine.mine[i]].dx + j * W;
                    const R* sum = mine.tile + (i - begin) * U * W;
                    if constexpr (is_bfloat16<T>) {
                        for (Index k = 0; k < width; k += W) store_first(dx + k, load(sum + k), width - k);
                    } else {
                        std::memcpy(dx, sum, static_cast<std::size_t>(width) * sizeof(T));
                    }
                }
            }
        });
    }

    void weight_gradients(Index count, const Member& mine, Index v0, Index v1) {
        if (wants_ih_)
            gradient_x_.add(terms_, count, mine.x0, mine.x1, mine.columns, [&](Index i) { return pairs_[i].x; });
        if (wants_hh_) {
            gradient_0_.add(terms_, count, mine.a0, mine.a1, mine.columns, [&](Index i) {
                return call_.h_mask != nullptr ? static_cast<const T*>(seen_ + i * width_) : pairs_[i].h_prev;
            });
            if constexpr (Cell::two_products) {
                gradient_1_.add(terms_, count, mine.b0, mine.b1, mine.columns,
                                [&](Index i) { return static_cast<const T*>(rh_ + i * width_); });
            }
        }
        for (Index v = v0; wants_sums_ && v < v1; ++v) others_.add(dgates_, pairs_, count, v, call_, zones_.on());
    }

    void finish(const Share& share, Index v0, Index v1) {
        for (Index i = 0; i < share.count; ++i) {
            const Index p = share.positions[i], b = schedule_.row[p];
            for (Index v = share.v0; v < share.v1; ++v) {
                const Index at = b * H_ + v * W, left = H_ - v * W, state = p * width_ + v * W;
                if (call_.dh0 != nullptr) store_first(call_.dh0 + at, load<R>(dh_ + state), left);
                if (call_.dc0 != nullptr) store_first(call_.dc0 + at, load<R>(dc_ + state), left);
            }
        }
        for (Index v = v0; v < v1; ++v) {
            if (wants_ih_) gradient_x_.unpack(ih_blocks<Cell>().block, v, H_, call_.dweight_ih);
            if (wants_hh_) gradient_0_.unpack(hh_blocks<Cell>(0).block, v, H_, call_.dweight_hh);
            if constexpr (Cell::two_products) {
                if (wants_hh_) gradient_1_.unpack(hh_blocks<Cell>(1).block, v, H_, call_.dweight_hh);
            }
            others_.write(call_, v);
        }
    }
};

}  // namespace throughtime::THROUGHTIME_ISA
