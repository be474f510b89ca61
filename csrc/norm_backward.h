// The pointwise part of a backward step of the cells that normalise their products, one row at a time.
#pragma once

#include "health.h"
#include "slot_sums.h"

namespace throughtime::THROUGHTIME_ISA {

// Gradient of what was normalised: with u = (a - mean) scale and n values in all, da = scale (du - mean of du - u mean
// of (du u)).
template <class T>
struct NormGradient {
    Vec<T> sum{}, product{};  // of du, and of du u

    THROUGHTIME_INLINE void add(Vec<T> du, Vec<T> u) {
        sum += du;
        product = fma(du, u, product);
    }
    // From sums to means.
    THROUGHTIME_INLINE void divide(T n) {
        sum = broadcast(sum_of_lanes(sum) / n);
        product = broadcast(sum_of_lanes(product) / n);
    }
    THROUGHTIME_INLINE Vec<T> through(Vec<T> du, Vec<T> u, T scale) const {
        return broadcast(scale) * (du - sum - u * product);
    }
};

// In the place of SlotSums for these cells: it keeps the gradients before the normalisation, and sums them up.
template <class Cell, class T>
class NormBackward {
public:
    using Sums = NormSums<Cell, T>;
    static constexpr int kept = Sums::kept, told_slots = kept;

    void allocate(const Inputs<T>& in, Index capacity, Arena& arena) {
        const Index V = vectors<T>(in.H);
        norm_ = arena.get<T>(V * Cell::norm_count * W);
        // One vector more a unit vector, as in dgates.
        kept_ = {nullptr, (capacity * kept + 1) * W};
        kept_.data = arena.get<T>(V * kept_.vector_stride);
        sums_.allocate(V, arena);
    }

    // What one thread needs for a row.
    static T* scratch(Index H, Arena& arena) { return arena.get<T>(vectors<T>(H) * scratch_width * W); }

    void start(const Inputs<T>& in, Index v0, Index v1) const {
        for (Index v = v0; v < v1; ++v) pack_norm<Cell>(in, v, norm_ + v * Cell::norm_count * W);
        sums_.start(v0, v1);
    }

    // The gradients of the gates, those of the plain cell: told_slots a pair.
    Dgates<T> told(Dgates<T>) const { return kept_; }

    // Unit vector v of a chunk's n pairs.
    void add(Dgates<T>, const Pair<T>* pairs, Index n, Index v, const Inputs<T>&, bool) const {
        sums_.add(kept_.data + v * kept_.vector_stride, pairs, n, v);
    }
    void write(const BackwardCall<T>& call, Index v) const { sums_.write(call, v); }

    // Pair `at` of a chunk. dh, dc: its row of the gradients of the state, replaced by what passes to the state before
    // without a weight. seen: the row for what the product saw of h, where there is a mask. tell(v, a, c, d) is told of
    // every unit vector's values.
    template <class Tell>
    void row(const Pair<T>& pair, Index at, const RowShape<T>& shape, bool zoned, T* dh, T* dc, T* seen,
             Dgates<T> dgates, T* scratch, Tell tell) const {
        const Index V = shape.V;
        const T n = static_cast<T>(Cell::gates * shape.H);
        const T* const values = pair.saved + V * slots * W;
        T* const keep = kept_.data + at * kept * W;
        NormGradient<T> of_x, of_h, of_c;
        for (Index v = 0; v < V; ++v) {
            const Index left = shape.H - v * W;
            const T* const norm = norm_ + v * Cell::norm_count * W;
            const auto unit = Vectors<T, slots>::from(pair.saved + v * slots * W);
            Vectors<T, Cell::plain_slots> a, da{};
            Cell::template join<T>(unit.v, norm, a.v);
            Vec<T> h_prev = {}, c_prev = {}, h;
            if (Cell::wants_h_prev || pair.mask != nullptr) h_prev = load_or_zero(pair.h_prev, v, left);
            if constexpr (Cell::has_cell) c_prev = load_or_zero(pair.c_prev, v, left);
            Vec<T> c = c_prev;
            Plain::template forward<T>(a.v, h_prev, c, h, nullptr);
            StepGradient<T> d{};
            d.dh = load<T>(dh + v * W) + load_or_zero(pair.dy, v, left);
            const Vec<T> whole = d.dh;
            d.dh_direct = Vec<T>{};
            const Vec<T> dh_kept = zoned ? pair.zone_h.split(v, d.dh) : Vec<T>{};
            if constexpr (Cell::has_cell) {
                // h' = o tanh(LN(c'))
                const Vec<T> unit_c = (c - broadcast(values[Cell::mean_of_c])) * broadcast(values[Cell::scale_of_c]);
                const Vec<T> gain = load(norm + Cell::gain_c * W);
                const Vec<T> t = tanh<T>(fma(gain, unit_c, load(norm + Cell::shift_c * W))), o = a.v[Plain::o];
                const Vec<T> dn = d.dh * o * one_minus<T>(t * t);
                of_c.add(dn * gain, unit_c);
                T* const room = scratch + v * scratch_width * W;
                a.to(room);
                store(room + 4 * W, unit_c);
                store(room + 5 * W, whole);
                T* const out = keep + v * kept_.vector_stride;
                store(out + Plain::o * W, d.dh * t * (o * one_minus<T>(o)));
                store(out + Cell::plain_slots * W, dn);
                store(out + (Cell::plain_slots + 1) * W, dn * unit_c);
            } else {
                Plain::template backward<T>(a.v, h_prev, c_prev, c, nullptr, d, da.v);
                d.dh = whole;
                tell(v, a.v, c, d);
                keep_slots(da, unit, norm, keep + v * kept_.vector_stride, of_x, of_h);
            }
            if (Cell::direct || zoned) store(dh + v * W, d.dh_direct + dh_kept);
            if (pair.mask != nullptr) store(seen + v * W, h_prev * load_first(pair.mask + v * W, left));
        }
        if constexpr (Cell::has_cell) {
            of_c.divide(static_cast<T>(shape.H));
            for (Index v = 0; v < V; ++v) {
                cell_part(pair, v, shape, zoned, dc, of_c, values[Cell::scale_of_c], scratch + v * scratch_width * W,
                          keep + v * kept_.vector_stride, of_x, of_h, tell);
            }
        }
        of_x.divide(n);
        of_h.divide(n);
        const T scale_x = values[Cell::scale_x], scale_h = values[Cell::scale_h];
        for (Index v = 0; v < V; ++v) {
            const auto unit = Vectors<T, slots>::from(pair.saved + v * slots * W);
            const auto gain = Vectors<T, slots>::from(norm_ + (v * Cell::norm_count + Cell::gain) * W);
            const auto da = Vectors<T, Cell::plain_slots>::from(keep + v * kept_.vector_stride);
            Vectors<T, slots> d;
            Cell::template part<T>(da.v, d.v);
#pragma GCC unroll 8
            for (int s = 0; s < slots; ++s) {
                d.v[s] = s < Cell::gates ? of_x.through(d.v[s] * gain.v[s], unit.v[s], scale_x)
                                         : of_h.through(d.v[s] * gain.v[s], unit.v[s], scale_h);
            }
            d.to(dgates.data + v * dgates.vector_stride + at * slots * W);
        }
    }

private:
    using Plain = typename Cell::Plain;
    static constexpr Index W = lanes<T>;
    static constexpr int slots = slot_count<Cell>;
    static constexpr Index scratch_width = Cell::has_cell ? 6 : 0;  // gates, LN(c) without its gain, dh

    // Keeps the gradients of a unit vector's plain slots, and adds to the sums of their normalised parts.
    THROUGHTIME_INLINE void keep_slots(const Vectors<T, Cell::plain_slots>& da, const Vectors<T, slots>& unit,
                                       const T* norm, T* keep, NormGradient<T>& of_x, NormGradient<T>& of_h) const {
        da.to(keep);
        const auto gain = Vectors<T, slots>::from(norm + Cell::gain * W);
        Vec<T> d[slots];
        Cell::template part<T>(da.v, d);
#pragma GCC unroll 8
        for (int s = 0; s < slots; ++s) (s < Cell::gates ? of_x : of_h).add(d[s] * gain.v[s], unit.v[s]);
    }

    // From the gradient of LN(c') to those of c, i, f and g.
    template <class Tell>
    THROUGHTIME_INLINE void cell_part(const Pair<T>& pair, Index v, const RowShape<T>& shape, bool zoned, T* dc,
                                      const NormGradient<T>& of_c, T scale, const T* room, T* keep,
                                      NormGradient<T>& of_x, NormGradient<T>& of_h, Tell tell) const {
        const Index left = shape.H - v * W;
        const T* const norm = norm_ + v * Cell::norm_count * W;
        const auto unit = Vectors<T, slots>::from(pair.saved + v * slots * W);
        const auto a = Vectors<T, Cell::plain_slots>::from(room);
        const Vec<T> unit_c = load<T>(room + 4 * W), c_prev = load_or_zero(pair.c_prev, v, left);
        const Vec<T> dn = load<T>(keep + Cell::plain_slots * W);
        StepGradient<T> d{};
        d.dh = load<T>(room + 5 * W);
        d.dc = load<T>(dc + v * W) + load_or_zero(pair.dc_seq, v, left);
        d.dc_whole = d.dc;
        const Vec<T> dc_kept = zoned ? pair.zone_c.split(v, d.dc) : Vec<T>{};
        const Vec<T> through_h = of_c.through(dn * load(norm + Cell::gain_c * W), unit_c, scale);
        const Vec<T> own = d.dc + shape.used(v, through_h);
        if (!zoned) d.dc_whole = own;
        Vectors<T, Cell::plain_slots> da;
        da.v[Plain::o] = load<T>(keep + Plain::o * W);
        d.dc = Plain::template update_backward<T>(a.v, c_prev, own, da.v) + dc_kept;
        store(dc + v * W, pair.border ? Vec<T>{} : d.dc);
        Vec<T> c = c_prev;
        c = Plain::template new_c<T>(a.v, c);
        tell(v, a.v, c, d);
        keep_slots(da, unit, norm, keep, of_x, of_h);
    }

    T* norm_ = nullptr;  // packed gains and shifts
    Dgates<T> kept_{};   // gradients before the normalisation, for the sums: kept_
                         // vectors a pair
    Sums sums_;
};

// What sums up the gradients beside the weights', and the cell whose gates diagnostics name.
template <class Cell, class T>
struct SumsOf {
    using type = SlotSums<Cell, T>;
    using Plain = Cell;
};
template <class PlainCell, class T>
struct SumsOf<Normalized<PlainCell>, T> {
    using type = NormBackward<Normalized<PlainCell>, T>;
    using Plain = PlainCell;
};

}  // namespace throughtime::THROUGHTIME_ISA
