// One time step of one layer from packed weights: what streaming calls, once a step.
#pragma once

#include "arena.h"
#include "norm.h"
#include "products.h"
#include "zoneout.h"

namespace throughtime::THROUGHTIME_ISA {

template <class Cell, class T>
PackedWeights<T> pack_layer(const Inputs<T>& in, Arena& arena) {
    const auto packed = allocate_packed<Cell, T>(in.I, in.H, arena);
    for (Index v = 0; v < vectors<T>(in.H); ++v) pack_weights<Cell>(in, v, packed);
    return packed;
}

// Layout of a step's scratch for B rows: slots [V,B,slots,W], r h [B,width], zeros [width], the row pointers, and where
// factors are widened, x [B,I] and h [B,width].
template <class Cell, class T>
struct StepScratch {
    using F = Factor<T>;
    Real<T>* block;
    F *rh, *zeros, *x_room, *h_room;
    const F **x_rows, **h_rows, **rh_rows;

    StepScratch(void* memory, Index B, Index I, Index H) {
        const Index width = vectors<T>(H) * lanes<T>;
        block = static_cast<Real<T>*>(memory);
        rh = reinterpret_cast<F*>(block + width * B * slot_count<Cell>);
        zeros = rh + (Cell::two_products ? B * width : 0);
        x_rows = reinterpret_cast<const F**>(zeros + width);
        h_rows = x_rows + B;
        rh_rows = h_rows + B;
        x_room = reinterpret_cast<F*>(rh_rows + B);
        h_room = x_room + factor_room<T>(B * I);
    }
};

template <class Cell, class T>
std::size_t step_scratch(Index B, Index I, Index H) {
    const Index width = vectors<T>(H) * lanes<T>;
    const Index factors = width * ((Cell::two_products ? B : 0) + 1) + factor_room<T>(B * (I + width));
    return static_cast<std::size_t>(width * B * slot_count<Cell>) * sizeof(Real<T>) +
           static_cast<std::size_t>(factors) * sizeof(Factor<T>) + static_cast<std::size_t>(3 * B) * sizeof(const T*);
}

// The pointwise part of a step whose products are normalised, in `block`.
template <class Cell, class T>
void normalized_rows(const StepCall<T>& call, const StepScratch<Cell, T>& scratch, SlotBlock<T> block, Zone<T> zone_h,
                     Zone<T> zone_c) {
    constexpr Index W = lanes<T>, slots = slot_count<Cell>;
    const Index H = call.H;
    const RowShape<T> shape(H);
    for (Index b = 0; b < call.B; ++b) {
        const bool fresh = scratch.h_rows[b] == scratch.zeros;
        const auto h_before = [&](Index v) { return load_first(scratch.h_rows[b] + v * W, H - v * W); };
        const auto c_before = [&](Index v) { return fresh ? Vec<T>{} : load_first(call.c + b * H + v * W, H - v * W); };
        const auto before = [&](Index v, Vec<T>& h, Vec<T>& c) {
            if constexpr (Cell::wants_h_prev) h = h_before(v);
            if constexpr (Cell::has_cell) c = c_before(v);
        };
        const auto after = [&](Index v, Vec<T> h, Vec<T> c) {
            const Index at = b * H + v * W, left = H - v * W;
            if (call.keep_h > 0) h = zone_h.blend(v, h_before(v), h);
            if constexpr (Cell::has_cell) {
                if (call.keep_c > 0) c = zone_c.blend(v, c_before(v), c);
                store_first(call.c_out + at, c, left);
            }
            store_first(call.h_out + at, h, left);
        };
        normalized_row<Cell, T>(block.data + b * slots * W, block.vector_stride, shape, call.packed.norm, nullptr,
                                before, after);
    }
}

template <class Cell, class T>
void step(const StepCall<T>& call) {
    constexpr Index W = lanes<T>;
    constexpr Index slots = slot_count<Cell>;
    const Index B = call.B, H = call.H, V = vectors<T>(H), width = V * W;
    using R = Real<T>;
    const Zone<R> zone_h{{0, 0}, 0, static_cast<R>(call.keep_h)}, zone_c{{0, 0}, 0, static_cast<R>(call.keep_c)};
    const StepScratch<Cell, T> scratch(call.scratch, B, call.I, H);
    for (Index i = 0; i < width; ++i) scratch.zeros[i] = {};
    for (Index b = 0; b < B; ++b) {
        const bool fresh = call.reset != nullptr && call.reset[b] != 0;
        scratch.x_rows[b] = factors(call.x + b * call.I, scratch.x_room + factor_room<T>(b * call.I), call.I);
        scratch.h_rows[b] =
            fresh ? scratch.zeros : factors(call.h + b * H, scratch.h_room + factor_room<T>(b * width), H);
        scratch.rh_rows[b] = scratch.rh + b * width;
    }
    const SlotBlock<R> block{scratch.block, B * slots * W, 0};
    multiply_x<Cell>(call.packed, call.I, scratch.x_rows, B, 0, V, block);
    if constexpr (Cell::two_products) {
        multiply_h<Cell, 0>(
            call.packed, H, scratch.h_rows, B, 0, V, block, [&](Index v, int U, Index begin, Index end) {
                for (Index w = v; w < v + U; ++w) {
                    for (Index b = begin; b < end; ++b) {
                        R* at = block.data + w * block.vector_stride + b * slots * W;
                        auto a = Vectors<R, slots>::from(at);
                        Vec<T> rh;
                        Cell::template forward_first<R>(a.v, load_first(scratch.h_rows[b] + w * W, H - w * W), rh);
                        a.to(at);
                        store(scratch.rh + b * width + w * W, rounded<T>(rh));
                    }
                }
            });
        multiply_h<Cell, 1>(call.packed, H, scratch.rh_rows, B, 0, V, block, [](Index, int, Index, Index) {});
    } else {
        multiply_h<Cell, 0>(call.packed, H, scratch.h_rows, B, 0, V, block, [](Index, int, Index, Index) {});
    }
    // Only now, when every product has read h: h_out may be h.
    if constexpr (Cell::normalizes) {
        normalized_rows<Cell>(call, scratch, block, zone_h, zone_c);
    } else {
        for (Index v = 0; v < V; ++v) {
            const Index left = H - v * W;
            const auto p = peepholes_of<Cell>(static_cast<const R*>(call.packed.peephole), v);
            for (Index b = 0; b < B; ++b) {
                auto a = Vectors<R, slots>::from(block.data + v * block.vector_stride + b * slots * W);
                const bool fresh = scratch.h_rows[b] == scratch.zeros;
                const Index at = b * H + v * W;
                Vec<T> h_prev = {}, c = {}, h;
                if (Cell::wants_h_prev || call.keep_h > 0) h_prev = load_first(scratch.h_rows[b] + v * W, left);
                if constexpr (Cell::has_cell) c = fresh ? Vec<T>{} : load_first(call.c + at, left);
                const Vec<T> c_prev = c;
                Cell::template forward<R>(a.v, h_prev, c, h, p.v);
                h = zone_h.blend(v, h_prev, h);
                c = zone_c.blend(v, c_prev, c);
                store_first(call.h_out + at, h, left);
                if constexpr (Cell::has_cell) store_first(call.c_out + at, c, left);
            }
        }
    }
}

}  // namespace throughtime::THROUGHTIME_ISA
