// What a caller hands to the kernels: plain pointers, shapes and strides. No instruction set, no Python.
#pragma once

#include <cstddef>
#include <cstdint>

namespace throughtime {

using Index = std::ptrdiff_t;

// The upper half of a float32: its sign, its exponent and 7 bits of its fraction.
struct BFloat16 {
    uint16_t bits;
};

// What sums, states and gates are computed in, and what a saved gate is stored in. Gates of bfloat16 layers are saved
// whole: one near 1, which a long memory needs, would lose its distance to 1 (docs/adr/0008-bfloat16.md).
template <class T>
struct Wider {
    using type = T;
};
template <>
struct Wider<BFloat16> {
    using type = float;
};
template <class T>
using Real = typename Wider<T>::type;
template <class T>
using Saved = typename Wider<T>::type;

// Legend: T time, B batch, I input, H hidden, G gates. Strides count elements, the innermost axis is contiguous.
// Every pointer is aligned to its element and valid for the length of the call; inputs may alias each other, outputs nothing.

enum class CellId : int {
    rnn_tanh,
    rnn_relu,
    gru,
    gru_reset_before,
    lstm,
    peephole_lstm,
    previous_peephole_lstm,
    layer_norm_rnn_tanh,  // from here on: float32 and float64 only
    layer_norm_rnn_relu,
    layer_norm_gru,
    layer_norm_lstm
};
inline constexpr int cell_count = 11;
inline constexpr CellId first_layer_norm = CellId::layer_norm_rnn_tanh;

// The saved activations of a step hold whole blocks of this many units, for every instruction set and dtype.
inline constexpr Index saved_unit_multiple = 16;

// Zoneout: a unit's new value is replaced by its old one, at random with these probabilities (training), or the two are
// blended in their proportion (evaluation). The masks are a function of seed, stream, row, unit and step0 + time.
enum class ZoneoutMode : int { off, random, expected };
struct Zoneout {
    ZoneoutMode mode;
    double h, c;
    uint64_t seed;
    int64_t stream;  // layer and direction
    int64_t step0;   // the time of the first step, where a sequence comes in chunks
};

// What layer normalisation multiplies and shifts by; the shifts of the two products are their biases.
template <class T>
struct NormWeights {
    const T* weight_ln_ih;  // weight_ln_ih: [G*H]; null for cells without layer normalisation, as are all below
    const T* weight_ln_hh;  // weight_ln_hh: [G*H]
    const T* weight_ln_c;   // weight_ln_c: [H]; null for cells without c
    const T* bias_ln_c;     // bias_ln_c: [H] or null
};

template <class T>
struct Inputs {
    Index T_, B, I, H;
    const T* x;  // x: [T,B,I] strides (x_t, x_b, 1); rows past a length are never read
    Index x_t, x_b;
    const T* h0;             // h0: [B,H] initial state, null for zeros
    const T* c0;             // c0: [B,H] initial cell, null for zeros; ignored by cells without one
    const T* weight_ih;      // weight_ih: [G*H,I] gates stacked in torch's order
    const T* weight_hh;      // weight_hh: [G*H,H]
    const T* bias_ih;        // bias_ih: [G*H] or null
    const T* bias_hh;        // bias_hh: [G*H] or null
    const T* weight_ch;      // weight_ch: [3*H] peepholes i f o; null for cells without them
    const int64_t* lengths;  // lengths: [B] valid steps of a row, 0..T; null for T everywhere
    const uint8_t* reset;    // reset: [T,B] strides (reset_t, reset_b), non-zero = border before t; null for none
    Index reset_t, reset_b;
    bool reverse;
    int threads;
    const Real<T>* h_mask;  // h_mask: [B,H] what the h that enters a product is multiplied by, or null for ones
    Zoneout zoneout;
    NormWeights<T> norm;
};

template <class T>
struct ForwardCall : Inputs<T> {
    T* y;  // y: [T,B,H] strides (y_t, y_b, 1); zero past a length
    Index y_t, y_b;
    T* h_n;           // h_n: [B,H] state after the last valid step
    T* c_n;           // c_n: [B,H]; null for cells without a cell state
    Saved<T>* saved;  // saved: [T,B,saved_width()] values for the backward pass, or null
    T* c_seq;         // c_seq: [T,B,H] contiguous, c after every step, zero past a length; or null
};

// Diagnostics of one backward pass. Each pointer may be null, and costs nothing then.
struct Health {
    double* dh_square;   // dh_square: [T,B] squared norm of the whole gradient with respect to h_t
    double* dc_square;   // dc_square: [T,B] the same for c_t
    int32_t* saturated;  // saturated: [G,T,B] units whose gate lies within `margin` of an end of its range
    double margin;
    int64_t* first_bad;  // first_bad: [2,B,3] (gate, time, unit) of a row's first non-finite activation in running
                         // order, then of its first non-finite gate gradient in backward order; -1 for none
};

template <class T>
struct BackwardCall : Inputs<T> {
    const T* y;  // y: [T,B,H] what the forward pass wrote
    Index y_t, y_b;
    const Saved<T>* saved;  // saved: what the forward pass wrote, under the same instruction set
    const T* c_seq;         // c_seq: [T,B,H] what the forward pass wrote; null for cells without a cell state
    const T* dy;            // dy: [T,B,H] strides (dy_t, dy_b, 1), or null for zeros; rows past a length are never read
    Index dy_t, dy_b;
    const T* dh_n;    // dh_n: [B,H] or null
    const T* dc_n;    // dc_n: [B,H] or null
    const T* dc_seq;  // dc_seq: [T,B,H] contiguous gradient of every c_t, or null
    T* dx;            // dx: [T,B,I] strides (dx_t, dx_b, 1), zero past a length; this and all below: null = not wanted
    Index dx_t, dx_b;
    T* dh0;         // dh0: [B,H]
    T* dc0;         // dc0: [B,H]
    T* dweight_ih;  // dweight_ih: [G*H,I]
    T* dweight_hh;  // dweight_hh: [G*H,H]
    T* dbias_ih;    // dbias_ih: [G*H]
    T* dbias_hh;    // dbias_hh: [G*H]
    T* dweight_ch;  // dweight_ch: [3*H]
    T* dweight_ln_ih;
    T* dweight_ln_hh;
    T* dweight_ln_c;
    T* dbias_ln_c;
    Health health;
};

// What a forward pass saved, in the caller's order. Of the inputs: T_, B, H, lengths, reverse and threads, and for layer
// normalisation `norm` and the biases.
template <class T>
struct GatesCall : Inputs<T> {
    const Saved<T>* saved;  // saved: what the forward pass wrote, under the same instruction set
    T* gates;               // gates: [slots,T,B,H] contiguous, the slots of csrc/cells.h, zero past a length
};

// Weights as the forward kernels read them, in blocks of one vector register's units. Owner: the caller's arena.
// Products take terms: one weight, or where the instruction set multiplies pairs of bfloat16, two (csrc/vec.h).
template <class T>
struct PackedWeights {
    void* ih;           // ih: [vectors,terms of I,x gates,lane]
    void* hh[2];        // hh[p]: [vectors,terms of H,gates of product p,lane]; [1] only for cells with two products
    Real<T>* biases;    // biases: [vectors,slots,lane]
    Real<T>* peephole;  // peephole: [vectors,3,lane], null for cells without
    Real<T>* norm;      // norm: [vectors,norm_count,lane], null for cells without; see Normalized in csrc/cells.h
};

// One time step of one layer, one thread, weights packed before.
template <class T>
struct StepCall {
    PackedWeights<T> packed;
    Index I, H, B;
    const T* x;             // x: [B,I] contiguous
    const T* h;             // h: [B,H]
    const T* c;             // c: [B,H]; null for cells without a cell state
    const uint8_t* reset;   // reset: [B], non-zero = start from zeros; or null
    T* h_out;               // h_out: [B,H] may be h
    T* c_out;               // c_out: [B,H] may be c
    void* scratch;          // scratch: step_scratch bytes at a 64-byte boundary
    double keep_h, keep_c;  // the share of the old state in the new one: zoneout in evaluation
};

// The kernels of one instruction set, by CellId; null for a cell that T does not have.
template <class T>
struct Kernels {
    void (*forward[cell_count])(const ForwardCall<T>&);
    void (*backward[cell_count])(const BackwardCall<T>&);
    PackedWeights<T> (*pack[cell_count])(const Inputs<T>&, class Arena&);
    std::size_t (*step_scratch[cell_count])(Index B, Index I, Index H);
    void (*step[cell_count])(const StepCall<T>&);
    void (*gates[cell_count])(const GatesCall<T>&);
};

}  // namespace throughtime
