// The cells: what a gate is and how one step's values follow from its pre-activations, forward and backward, on one
// vector of units. This is all there is to a cell; products, sequences, packing and threads are the same for all.
//
// A cell's values of one unit stand side by side in `slots`. A slot is a sum of W_ih x, W_hh h and biases, or of one of
// the two alone. Letters as in torch: r z n, i f g o, h, c; d.. is the gradient with respect to ...
#pragma once

#include "math.h"

namespace throughtime::THROUGHTIME_ISA {

// Where a gate's values end; `positive` has no upper end.
enum class Range { zero_to_one, both_signs, positive };

// The blocks of weight_ih and weight_hh (torch's gate order) that feed a slot (-1 for none), and its values' range.
struct Slot {
    int ih, hh;
    Range range;
};
inline constexpr Range in_sigmoid = Range::zero_to_one, in_tanh = Range::both_signs;

// A product with the state that feeds slots first .. first+count-1, `units` unit vectors at a time (so that
// count * units accumulators a row keep the multiply units busy).
struct Product {
    int first, count, units;
};

// What a cell's backward step gets and gives, for one vector of units.
template <class T>
struct StepGradient {
    Vec<T> dh;         // in: the whole gradient of the new h
    Vec<T> dc;         // in: gradient of the new c from later steps; out: gradient of the previous c
    Vec<T> dh_direct;  // out: the part of the gradient of the previous h that passes no weight
    Vec<T> dc_whole;   // out: the whole gradient of the new c
};

template <class T>
THROUGHTIME_INLINE Vec<T> one_minus(Vec<T> x) {
    return broadcast(T{1}) - x;
}

struct CellBase {
    static constexpr bool has_cell = false;      // carries c beside h
    static constexpr bool wants_h_prev = false;  // its pointwise part reads the previous h
    static constexpr int peepholes = 0;          // weight_ch vectors
    static constexpr bool saves = true;  // keeps its slots for the backward pass; else the cell's own h is enough
    static constexpr bool two_products = false;  // the second product's factor comes out of the first
    static constexpr bool direct = false;        // gives dh_direct
    static constexpr bool normalizes = false;    // its products are normalised before they are added up
};

template <bool relu>
struct Rnn : CellBase {
    static constexpr int gates = 1;
    static constexpr Slot slots[] = {{0, 0, relu ? Range::positive : in_tanh}};
    static constexpr Product x_product{0, 1, 4};
    static constexpr Product h_products[] = {{0, 1, 4}};
    static constexpr bool saves = false;

    // h' = tanh(a) or relu(a)
    template <class T>
    THROUGHTIME_INLINE static void forward(Vec<T>* a, Vec<T>, Vec<T>&, Vec<T>& h, const Vec<T>*) {
        if constexpr (relu) {
            const Vec<T> zero = broadcast(T{0});
            h = a[0] < zero ? zero : a[0];  // NaN stays NaN
        } else {
            h = tanh<T>(a[0]);
        }
        a[0] = h;
    }

    template <class T>
    THROUGHTIME_INLINE static void backward(const Vec<T>* a, Vec<T>, Vec<T>, Vec<T>, const Vec<T>*, StepGradient<T>& d,
                                            Vec<T>* da) {
        if constexpr (relu) {
            const Vec<T> zero = broadcast(T{0});
            da[0] = a[0] > zero ? d.dh : zero;
        } else {
            da[0] = d.dh * one_minus<T>(a[0] * a[0]);
        }
    }
};

// The reset gate acts after the product (cuDNN's and torch's GRU): W_hn h + b_hn has a slot of its own.
struct Gru : CellBase {
    enum { hn, r, z, n };
    static constexpr int gates = 3;
    static constexpr Slot slots[] = {{-1, 2, in_tanh}, {0, 0, in_sigmoid}, {1, 1, in_sigmoid}, {2, -1, in_tanh}};
    static constexpr Product x_product{r, 3, 1};
    static constexpr Product h_products[] = {{hn, 3, 1}};
    static constexpr bool wants_h_prev = true;
    static constexpr bool direct = true;

    // r = s(a_r), z = s(a_z), n = tanh(a_n + r hn), h' = (1 - z) n + z h
    template <class T>
    THROUGHTIME_INLINE static void forward(Vec<T>* a, Vec<T> h_prev, Vec<T>&, Vec<T>& h, const Vec<T>*) {
        a[r] = sigmoid<T>(a[r]);
        a[z] = sigmoid<T>(a[z]);
        a[n] = tanh<T>(fma(a[r], a[hn], a[n]));
        h = fma(one_minus<T>(a[z]), a[n], a[z] * h_prev);
    }

    template <class T>
    THROUGHTIME_INLINE static void backward(const Vec<T>* a, Vec<T> h_prev, Vec<T>, Vec<T>, const Vec<T>*,
                                            StepGradient<T>& d, Vec<T>* da) {
        // h' = (1 - z) n + z h
        const Vec<T> dn = d.dh * one_minus<T>(a[z]);
        const Vec<T> dz = d.dh * (h_prev - a[n]);
        d.dh_direct = d.dh * a[z];
        // n = tanh(a_n + r hn)
        da[n] = dn * one_minus<T>(a[n] * a[n]);
        da[hn] = da[n] * a[r];
        // r = s(a_r), z = s(a_z)
        da[r] = da[n] * a[hn] * (a[r] * one_minus<T>(a[r]));
        da[z] = dz * (a[z] * one_minus<T>(a[z]));
    }
};

// The reset gate acts before the product (the papers' GRU): n needs W_hn (r h), so a step has two products.
struct GruResetBefore : CellBase {
    enum { r, z, n };
    static constexpr int gates = 3;
    static constexpr Slot slots[] = {{0, 0, in_sigmoid}, {1, 1, in_sigmoid}, {2, 2, in_tanh}};
    static constexpr Product x_product{r, 3, 1};
    static constexpr Product h_products[] = {{r, 2, 2}, {n, 1, 4}};
    static constexpr bool wants_h_prev = true;
    static constexpr bool two_products = true;
    static constexpr bool direct = true;

    // r = s(a_r), z = s(a_z); the second product's factor is rh = r h
    template <class T>
    THROUGHTIME_INLINE static void forward_first(Vec<T>* a, Vec<T> h_prev, Vec<T>& rh) {
        a[r] = sigmoid<T>(a[r]);
        a[z] = sigmoid<T>(a[z]);
        rh = a[r] * h_prev;
    }

    // n = tanh(a_n), h' = (1 - z) n + z h
    template <class T>
    THROUGHTIME_INLINE static void forward(Vec<T>* a, Vec<T> h_prev, Vec<T>&, Vec<T>& h, const Vec<T>*) {
        a[n] = tanh<T>(a[n]);
        h = fma(one_minus<T>(a[z]), a[n], a[z] * h_prev);
    }

    // The way back takes the products in the other order: first n and z, ...
    template <class T>
    THROUGHTIME_INLINE static void backward(const Vec<T>* a, Vec<T> h_prev, Vec<T>, Vec<T>, const Vec<T>*,
                                            StepGradient<T>& d, Vec<T>* da) {
        // h' = (1 - z) n + z h, n = tanh(a_n), z = s(a_z)
        da[n] = d.dh * one_minus<T>(a[z]) * one_minus<T>(a[n] * a[n]);
        da[z] = d.dh * (h_prev - a[n]) * (a[z] * one_minus<T>(a[z]));
        d.dh_direct = d.dh * a[z];
    }

    // ... then r, once d(r h) = W_hn^T da_n is known.
    template <class T>
    THROUGHTIME_INLINE static void backward_second(Vec<T> a_r, Vec<T> h_prev, Vec<T> drh, Vec<T>& dh_direct,
                                                   Vec<T>& da_r) {
        da_r = drh * h_prev * (a_r * one_minus<T>(a_r));
        dh_direct = fma(drh, a_r, dh_direct);
    }
};

enum class Peephole { none, new_cell, previous_cell };  // which c the output gate sees; i and f see the previous one

template <Peephole peephole>
struct LstmCell : CellBase {
    enum { i, f, g, o };
    enum { p_i, p_f, p_o };
    static constexpr int gates = 4;
    static constexpr Slot slots[] = {{0, 0, in_sigmoid}, {1, 1, in_sigmoid}, {2, 2, in_tanh}, {3, 3, in_sigmoid}};
    static constexpr Product x_product{i, 4, 1};
    static constexpr Product h_products[] = {{i, 4, 1}};
    static constexpr bool has_cell = true;
    static constexpr int peepholes = peephole == Peephole::none ? 0 : 3;

    // c' = f c + i g, h' = o tanh(c')
    template <class T>
    THROUGHTIME_INLINE static void forward(Vec<T>* a, Vec<T>, Vec<T>& c, Vec<T>& h, const Vec<T>* p) {
        if constexpr (peephole != Peephole::none) {
            a[i] = fma(p[p_i], c, a[i]);
            a[f] = fma(p[p_f], c, a[f]);
        }
        if constexpr (peephole == Peephole::previous_cell) a[o] = fma(p[p_o], c, a[o]);
        a[i] = sigmoid<T>(a[i]);
        a[f] = sigmoid<T>(a[f]);
        a[g] = tanh<T>(a[g]);
        c = fma(a[f], c, a[i] * a[g]);
        if constexpr (peephole == Peephole::new_cell) a[o] = fma(p[p_o], c, a[o]);
        a[o] = sigmoid<T>(a[o]);
        h = a[o] * tanh<T>(c);
    }

    template <class T>
    THROUGHTIME_INLINE static void backward(const Vec<T>* a, Vec<T>, Vec<T> c_prev, Vec<T> c, const Vec<T>* p,
                                            StepGradient<T>& d, Vec<T>* da) {
        // h' = o tanh(c')
        const Vec<T> tanh_c = tanh<T>(c);
        da[o] = d.dh * tanh_c * (a[o] * one_minus<T>(a[o]));
        Vec<T> dc = fma(d.dh * a[o], one_minus<T>(tanh_c * tanh_c), d.dc);
        if constexpr (peephole == Peephole::new_cell) dc = fma(p[p_o], da[o], dc);  // a_o += p_o c'
        d.dc_whole = dc;
        d.dc = update_backward<T>(a, c_prev, dc, da);
        // a_i += p_i c, a_f += p_f c, and a_o += p_o c where o sees the previous cell
        if constexpr (peephole != Peephole::none) d.dc = fma(p[p_f], da[f], fma(p[p_i], da[i], d.dc));
        if constexpr (peephole == Peephole::previous_cell) d.dc = fma(p[p_o], da[o], d.dc);
    }

    // c' = f c + i g: the gradient of c, and those of i, f and g.
    template <class T>
    THROUGHTIME_INLINE static Vec<T> update_backward(const Vec<T>* a, Vec<T> c_prev, Vec<T> dc, Vec<T>* da) {
        da[i] = dc * a[g] * (a[i] * one_minus<T>(a[i]));
        da[f] = dc * c_prev * (a[f] * one_minus<T>(a[f]));
        da[g] = dc * a[i] * one_minus<T>(a[g] * a[g]);
        return dc * a[f];
    }

    // The cell's own new c, from what the forward pass saved.
    template <class T>
    THROUGHTIME_INLINE static Vec<T> new_c(const Vec<T>* a, Vec<T> c_prev) {
        return fma(a[f], c_prev, a[i] * a[g]);
    }

    // The gradient of weight_ch's three vectors in one step.
    template <class T>
    THROUGHTIME_INLINE static void peephole_gradient(const Vec<T>* da, Vec<T> c_prev, Vec<T> c, Vec<T>* dp) {
        dp[p_i] = fma(da[i], c_prev, dp[p_i]);
        dp[p_f] = fma(da[f], c_prev, dp[p_f]);
        dp[p_o] = fma(da[o], peephole == Peephole::new_cell ? c : c_prev, dp[p_o]);
    }
};

using Lstm = LstmCell<Peephole::none>;
using PeepholeLstm = LstmCell<Peephole::new_cell>;
using PreviousPeepholeLstm = LstmCell<Peephole::previous_cell>;

template <class Cell>
inline constexpr int slot_count = sizeof(Cell::slots) / sizeof(Slot);
template <class Cell>
inline constexpr int h_product_count = sizeof(Cell::h_products) / sizeof(Product);

template <int G>
struct NormSlots {
    Slot slot[2 * G];
    constexpr const Slot& operator[](int s) const { return slot[s]; }
};

// The products of x in slots 0..G-1, those of h in G..2G-1.
template <int G>
constexpr NormSlots<G> norm_slots() {
    NormSlots<G> slots{};
    for (int g = 0; g < G; ++g) {
        slots.slot[g] = {g, -1, in_tanh};
        slots.slot[G + g] = {-1, g, in_tanh};
    }
    return slots;
}

// A plain cell whose slots are sums of LN(W_ih x) and LN(W_hh h), in the place of W_ih x and W_hh h, where LN is over the
// G*H values of a row; and where the plain cell has c, h = o tanh(LN(c)). What needs a whole row is in csrc/norm.h.
template <class PlainCell>
struct Normalized : CellBase {
    using Plain = PlainCell;
    static constexpr int gates = Plain::gates;
    static constexpr int plain_slots = slot_count<Plain>;
    static constexpr NormSlots<gates> slots = norm_slots<gates>();
    static constexpr Product x_product{0, gates, Plain::x_product.units};
    static constexpr Product h_products[] = {{gates, gates, Plain::h_products[0].units}};
    static constexpr bool has_cell = Plain::has_cell;
    static constexpr bool wants_h_prev = Plain::wants_h_prev;
    static constexpr bool direct = Plain::direct;
    static constexpr bool normalizes = true;

    // A unit vector's packed gains and shifts: the gains of the slots, their shifts, and those of c.
    static constexpr int gain = 0, shift = 2 * gates, gain_c = 4 * gates, shift_c = gain_c + 1;
    static constexpr int norm_count = 4 * gates + (has_cell ? 2 : 0);
    // What a row saves beside its normalised slots: the scales of x and h, and the mean and the scale of c.
    static constexpr int scale_x = 0, scale_h = 1, mean_of_c = 2, scale_of_c = 3;
    static constexpr int row_values = has_cell ? 4 : 2;

    // The plain cell's slots, from the normalised ones and the packed gains and shifts.
    template <class T>
    THROUGHTIME_INLINE static void join(const Vec<T>* unit, const T* norm, Vec<T>* a) {
        Vec<T> part[2 * gates];
#pragma GCC unroll 8
        for (int s = 0; s < 2 * gates; ++s) {
            part[s] = fma(load(norm + (gain + s) * lanes<T>), unit[s], load(norm + (shift + s) * lanes<T>));
        }
#pragma GCC unroll 4
        for (int s = 0; s < plain_slots; ++s) {
            const int ih = Plain::slots[s].ih, hh = Plain::slots[s].hh;
            a[s] = hh < 0 ? part[ih] : ih < 0 ? part[gates + hh] : part[ih] + part[gates + hh];
        }
    }

    // From the gradients of the plain slots, those of the normalised ones, their gains left out.
    template <class T>
    THROUGHTIME_INLINE static void part(const Vec<T>* da, Vec<T>* d) {
#pragma GCC unroll 4
        for (int s = 0; s < plain_slots; ++s) {
            const int ih = Plain::slots[s].ih, hh = Plain::slots[s].hh;
            if (ih >= 0) d[ih] = da[s];
            if (hh >= 0) d[gates + hh] = da[s];
        }
    }
};

}  // namespace throughtime::THROUGHTIME_ISA
