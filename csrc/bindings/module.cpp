// The extension module: addresses, shapes and strides in, kernels run without the GIL. Checks that need only shapes and
// types are Python's (throughtime/kernels/native.py); checks that need values are here.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>
#include <string>
#include <type_traits>

#include "dispatch.h"
#include "masks.h"
#include "pool.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace throughtime {
namespace {

using Address = std::uintptr_t;

template <class T>
T* at(Address address) {
    return reinterpret_cast<T*>(address);
}

CellId cell_id(int cell) {
    if (cell < 0 || cell >= cell_count) {
        throw std::invalid_argument("cell: expected 0 to " + std::to_string(cell_count - 1) + ", got " +
                                    std::to_string(cell));
    }
    return static_cast<CellId>(cell);
}

// Calls body with a zero of the C++ type that a dtype code stands for.
template <class Body>
auto with_dtype(int dtype, Body body) {
    if (dtype == 0) return body(float{});
    if (dtype == 1) return body(double{});
    if (dtype == 2) return body(BFloat16{});
    throw std::invalid_argument("dtype: expected 0 (float32), 1 (float64) or 2 (bfloat16), got " +
                                std::to_string(dtype));
}

struct InputAddresses {
    Index T, B, I, H;
    Address x;
    Index x_t, x_b;
    Address h0, c0, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch, lengths, reset;
    Index reset_t, reset_b;
    bool reverse;
    int threads;
    Address h_mask;
    Zoneout zoneout;
};

// What stands in `variation`: (h_mask, zoneout mode, its probabilities for h and c, seed, stream, step0), or None.
struct Variation {
    Address h_mask = 0;
    Zoneout zoneout{};

    explicit Variation(const nb::object& given) {
        if (given.is_none()) return;
        const auto read = nb::cast<nb::tuple>(given);
        if (read.size() != 7) {
            throw std::invalid_argument("variation: expected 7 numbers, got " + std::to_string(read.size()));
        }
        const int mode = nb::cast<int>(read[1]);
        if (mode < 0 || mode > 2) {
            throw std::invalid_argument("variation: expected zoneout 0 (off), 1 (random) or 2 (expected), got " +
                                        std::to_string(mode));
        }
        h_mask = nb::cast<Address>(read[0]);
        zoneout = {static_cast<ZoneoutMode>(mode), nb::cast<double>(read[2]),  nb::cast<double>(read[3]),
                   nb::cast<uint64_t>(read[4]),    nb::cast<int64_t>(read[5]), nb::cast<int64_t>(read[6])};
    }
};

// The numbers in `norm`, `count` of them; zeros for None.
struct Norm {
    Address at[10] = {};

    Norm(const nb::object& given, CellId cell, std::size_t count) {
        const bool wanted = cell >= first_layer_norm;
        if (given.is_none() == wanted) {
            throw std::invalid_argument(std::string("norm: expected ") + (wanted ? "one" : "none") + " for cell " +
                                        std::to_string(static_cast<int>(cell)) + ", got " + (wanted ? "none" : "one"));
        }
        if (!wanted) return;
        const auto read = nb::cast<nb::tuple>(given);
        if (read.size() != count) {
            throw std::invalid_argument("norm: expected " + std::to_string(count) + " numbers, got " +
                                        std::to_string(read.size()));
        }
        for (std::size_t i = 0; i < count; ++i) at[i] = nb::cast<Address>(read[i]);
        if (at[0] == 0 || at[1] == 0 || (cell_shape(cell).has_cell && at[2] == 0)) {
            throw std::invalid_argument("norm: expected the gains of both products and of c, got none");
        }
    }

    template <class T>
    NormWeights<T> weights() const {
        return {throughtime::at<const T>(at[0]), throughtime::at<const T>(at[1]), throughtime::at<const T>(at[2]),
                throughtime::at<const T>(at[3])};
    }
};

// The kernels of T that have the cell.
template <class T>
const Kernels<T>& kernels_of(CellId cell, Index H) {
    const Kernels<T>& found = kernels<T>(H);
    if (found.forward[static_cast<int>(cell)] == nullptr) {
        throw std::invalid_argument("cell: expected float32 or float64 for layer normalisation, got bfloat16");
    }
    return found;
}

template <class T>
void fill(Inputs<T>& in, const InputAddresses& a) {
    in.T_ = a.T;
    in.B = a.B;
    in.I = a.I;
    in.H = a.H;
    in.x = at<const T>(a.x);
    in.x_t = a.x_t;
    in.x_b = a.x_b;
    in.h0 = at<const T>(a.h0);
    in.c0 = at<const T>(a.c0);
    in.weight_ih = at<const T>(a.weight_ih);
    in.weight_hh = at<const T>(a.weight_hh);
    in.bias_ih = at<const T>(a.bias_ih);
    in.bias_hh = at<const T>(a.bias_hh);
    in.weight_ch = at<const T>(a.weight_ch);
    in.lengths = at<const int64_t>(a.lengths);
    in.reset = at<const uint8_t>(a.reset);
    in.reset_t = a.reset_t;
    in.reset_b = a.reset_b;
    in.reverse = a.reverse;
    in.threads = a.threads;
    in.h_mask = at<const Real<T>>(a.h_mask);
    in.zoneout = a.zoneout;
}

void sequence_forward(int cell, int dtype, Index T, Index B, Index I, Index H, Address x, Index x_t, Index x_b,
                      Address h0, Address c0, Address weight_ih, Address weight_hh, Address bias_ih, Address bias_hh,
                      Address weight_ch, Address lengths, Address reset, Index reset_t, Index reset_b, bool reverse,
                      int threads, Address y, Index y_t, Index y_b, Address h_n, Address c_n, Address saved,
                      Address c_seq, const nb::object& variation, const nb::object& norm) {
    const CellId id = cell_id(cell);
    const Variation varied(variation);
    const Norm normed(norm, id, 4);
    const InputAddresses inputs{
        T,       B,       I,         H,       x,     x_t,     x_b,     h0,      c0,      weight_ih,     weight_hh,
        bias_ih, bias_hh, weight_ch, lengths, reset, reset_t, reset_b, reverse, threads, varied.h_mask, varied.zoneout};
    with_dtype(dtype, [&](auto zero) {
        using Number = decltype(zero);
        ForwardCall<Number> call{};
        fill(call, inputs);
        call.norm = normed.weights<Number>();
        call.y = at<Number>(y);
        call.y_t = y_t;
        call.y_b = y_b;
        call.h_n = at<Number>(h_n);
        call.c_n = at<Number>(c_n);
        call.saved = at<Saved<Number>>(saved);
        call.c_seq = at<Number>(c_seq);
        const auto run = kernels_of<Number>(id, H).forward[cell];
        const nb::gil_scoped_release released;
        run(call);
    });
}

void sequence_backward(int cell, int dtype, Index T, Index B, Index I, Index H, Address x, Index x_t, Index x_b,
                       Address h0, Address c0, Address weight_ih, Address weight_hh, Address weight_ch, Address lengths,
                       Address reset, Index reset_t, Index reset_b, bool reverse, int threads, Address y, Index y_t,
                       Index y_b, Address saved, Address c_seq, Address dy, Index dy_t, Index dy_b, Address dh_n,
                       Address dc_n, Address dc_seq, Address dx, Index dx_t, Index dx_b, Address dh0, Address dc0,
                       Address dweight_ih, Address dweight_hh, Address dbias_ih, Address dbias_hh, Address dweight_ch,
                       Address dh_square, Address dc_square, Address saturated, double margin, Address first_bad,
                       const nb::object& variation, const nb::object& norm) {
    const CellId id = cell_id(cell);
    const Variation varied(variation);
    const Norm normed(norm, id, 10);
    const InputAddresses inputs{T,
                                B,
                                I,
                                H,
                                x,
                                x_t,
                                x_b,
                                h0,
                                c0,
                                weight_ih,
                                weight_hh,
                                normed.at[4],
                                normed.at[5],
                                weight_ch,
                                lengths,
                                reset,
                                reset_t,
                                reset_b,
                                reverse,
                                threads,
                                varied.h_mask,
                                varied.zoneout};
    with_dtype(dtype, [&](auto zero) {
        using Number = decltype(zero);
        BackwardCall<Number> call{};
        fill(call, inputs);
        call.norm = normed.weights<Number>();
        call.y = at<const Number>(y);
        call.y_t = y_t;
        call.y_b = y_b;
        call.saved = at<const Saved<Number>>(saved);
        call.c_seq = at<const Number>(c_seq);
        call.dy = at<const Number>(dy);
        call.dy_t = dy_t;
        call.dy_b = dy_b;
        call.dh_n = at<const Number>(dh_n);
        call.dc_n = at<const Number>(dc_n);
        call.dc_seq = at<const Number>(dc_seq);
        call.dx = at<Number>(dx);
        call.dx_t = dx_t;
        call.dx_b = dx_b;
        call.dh0 = at<Number>(dh0);
        call.dc0 = at<Number>(dc0);
        call.dweight_ih = at<Number>(dweight_ih);
        call.dweight_hh = at<Number>(dweight_hh);
        call.dbias_ih = at<Number>(dbias_ih);
        call.dbias_hh = at<Number>(dbias_hh);
        call.dweight_ch = at<Number>(dweight_ch);
        call.dweight_ln_ih = at<Number>(normed.at[6]);
        call.dweight_ln_hh = at<Number>(normed.at[7]);
        call.dweight_ln_c = at<Number>(normed.at[8]);
        call.dbias_ln_c = at<Number>(normed.at[9]);
        call.health = {at<double>(dh_square), at<double>(dc_square), at<int32_t>(saturated), margin,
                       at<int64_t>(first_bad)};
        const auto run = kernels_of<Number>(id, H).backward[cell];
        const nb::gil_scoped_release released;
        run(call);
    });
}

void saved_gates(int cell, int dtype, Index T, Index B, Index H, Address saved, Address lengths, bool reverse,
                 int threads, Address gates, const nb::object& norm) {
    const CellId id = cell_id(cell);
    const Norm normed(norm, id, 6);
    if (!cell_shape(id).saves) {
        throw std::invalid_argument("saved_gates: expected a cell that saves gates, got cell " + std::to_string(cell));
    }
    with_dtype(dtype, [&](auto zero) {
        using Number = decltype(zero);
        GatesCall<Number> call{};
        call.T_ = T;
        call.B = B;
        call.H = H;
        call.lengths = at<const int64_t>(lengths);
        call.reverse = reverse;
        call.threads = threads;
        call.norm = normed.weights<Number>();
        call.bias_ih = at<const Number>(normed.at[4]);
        call.bias_hh = at<const Number>(normed.at[5]);
        call.saved = at<const Saved<Number>>(saved);
        call.gates = at<Number>(gates);
        const auto run = kernels_of<Number>(id, H).gates[cell];
        const nb::gil_scoped_release released;
        run(call);
    });
}

void drop_mask(uint64_t seed, int64_t stream, int kind, double p, Index rows, Index columns, int dtype, Address mask) {
    if (kind < 0 || kind > static_cast<int>(MaskKind::zoneout_c)) {
        throw std::invalid_argument("drop_mask: expected a kind from 0 to 3, got " + std::to_string(kind));
    }
    if (dtype != 0 && dtype != 1) {
        throw std::invalid_argument("drop_mask: expected dtype 0 (float32) or 1 (float64), got " +
                                    std::to_string(dtype));
    }
    with_dtype(dtype, [&](auto zero) {
        using R = Real<decltype(zero)>;
        fill_mask(seed, stream, static_cast<MaskKind>(kind), p, rows, columns, at<R>(mask));
    });
}

// A Stepper of any dtype behind one Python class.
class AnyStepper {
public:
    // layers: tuples (I, H, weight_ih, weight_hh, bias_ih, bias_hh, weight_ch), addresses 0 where there is none; with layer
    // normalisation (..., weight_ln_ih, weight_ln_hh, weight_ln_c, bias_ln_c) after them.
    AnyStepper(int cell, int dtype, const nb::list& layers, double keep_h, double keep_c) : dtype_(dtype) {
        const CellId id = cell_id(cell);
        const std::size_t size = id < first_layer_norm ? 7 : 11;
        with_dtype(dtype, [&](auto zero) {
            using Number = decltype(zero);
            std::vector<Inputs<Number>> inputs;
            for (nb::handle item : layers) {
                const auto layer = nb::cast<nb::tuple>(item);
                if (layer.size() != size) {
                    throw std::invalid_argument("Stepper: expected layers of " + std::to_string(size) +
                                                " numbers, got " + std::to_string(layer.size()));
                }
                const auto address = [&](int i) { return nb::cast<Address>(layer[i]); };
                Inputs<Number> in{};
                in.I = nb::cast<Index>(layer[0]);
                in.H = nb::cast<Index>(layer[1]);
                in.weight_ih = at<const Number>(address(2));
                in.weight_hh = at<const Number>(address(3));
                in.bias_ih = at<const Number>(address(4));
                in.bias_hh = at<const Number>(address(5));
                in.weight_ch = at<const Number>(address(6));
                if (size > 7) {
                    const auto norm = Norm(nb::make_tuple(layer[7], layer[8], layer[9], layer[10]), id, 4);
                    in.norm = norm.weights<Number>();
                }
                kernels_of<Number>(id, in.H);
                inputs.push_back(in);
            }
            pick<Number>() = std::make_unique<Stepper<Number>>(id, inputs, keep_h, keep_c);
        });
    }

    void step(Address x, Address h, Address c, Address h_out, Address c_out, Index B, Address reset) {
        // Microseconds of work: releasing the GIL would cost a good part of them.
        with_dtype(dtype_, [&](auto zero) {
            using Number = decltype(zero);
            pick<Number>()->step(at<const Number>(x), at<const Number>(h), at<const Number>(c), at<Number>(h_out),
                                 at<Number>(c_out), B, at<const uint8_t>(reset));
        });
    }

private:
    template <class T>
    std::unique_ptr<Stepper<T>>& pick() {
        if constexpr (std::is_same_v<T, float>) {
            return float32_;
        } else if constexpr (std::is_same_v<T, double>) {
            return float64_;
        } else {
            return bfloat16_;
        }
    }

    int dtype_;
    std::unique_ptr<Stepper<float>> float32_;
    std::unique_ptr<Stepper<double>> float64_;
    std::unique_ptr<Stepper<BFloat16>> bfloat16_;
};

}  // namespace
}  // namespace throughtime

NB_MODULE(_native, m) {
    using namespace throughtime;
    m.doc() = "Fused recurrent kernels. Pointers are addresses as integers, 0 for none; strides count elements.";
    m.def("instruction_set", &instruction_set, "Name of the instruction set whose kernels run.");
    m.def("instruction_sets", &instruction_sets, "Names that this processor and build can run, best first.");
    m.def("set_instruction_set", &set_instruction_set, "name"_a, "Chooses the kernels to run, for tests.");
    m.def(
        "borrow_threads",
        [](Address parallel, Address member, Address members, Address usual) {
            borrow_threads({reinterpret_cast<decltype(OpenMP::parallel)>(parallel),
                            reinterpret_cast<decltype(OpenMP::member)>(member),
                            reinterpret_cast<decltype(OpenMP::members)>(members),
                            reinterpret_cast<decltype(OpenMP::usual)>(usual)});
        },
        "parallel"_a, "member"_a, "members"_a, "usual"_a,
        "Runs on an OpenMP runtime's threads, its functions at these addresses; zeros: on our own.");
    m.def(
        "saved_width", [](int cell, Index hidden, bool zoneout) { return saved_width(cell_id(cell), hidden, zoneout); },
        "cell"_a, "hidden_size"_a, "zoneout"_a = false, "Values of `saved` for each (time, row).");
    m.attr("saved_unit_multiple") = saved_unit_multiple;
    m.def("drop_mask", &drop_mask, "seed"_a, "stream"_a, "kind"_a, "p"_a, "rows"_a, "columns"_a, "dtype"_a, "mask"_a,
          "Writes a mask [rows, columns]: 0 with probability p, else 1 / (1 - p).");
    m.def("sequence_forward_raw", &sequence_forward, "cell"_a, "dtype"_a, "T"_a, "B"_a, "I"_a, "H"_a, "x"_a, "x_t"_a,
          "x_b"_a, "h0"_a, "c0"_a, "weight_ih"_a, "weight_hh"_a, "bias_ih"_a, "bias_hh"_a, "weight_ch"_a, "lengths"_a,
          "reset"_a, "reset_t"_a, "reset_b"_a, "reverse"_a, "threads"_a, "y"_a, "y_t"_a, "y_b"_a, "h_n"_a, "c_n"_a,
          "saved"_a, "c_seq"_a, "variation"_a = nb::none(), "norm"_a = nb::none());
    m.def("sequence_backward_raw", &sequence_backward, "cell"_a, "dtype"_a, "T"_a, "B"_a, "I"_a, "H"_a, "x"_a, "x_t"_a,
          "x_b"_a, "h0"_a, "c0"_a, "weight_ih"_a, "weight_hh"_a, "weight_ch"_a, "lengths"_a, "reset"_a, "reset_t"_a,
          "reset_b"_a, "reverse"_a, "threads"_a, "y"_a, "y_t"_a, "y_b"_a, "saved"_a, "c_seq"_a, "dy"_a, "dy_t"_a,
          "dy_b"_a, "dh_n"_a, "dc_n"_a, "dc_seq"_a, "dx"_a, "dx_t"_a, "dx_b"_a, "dh0"_a, "dc0"_a, "dweight_ih"_a,
          "dweight_hh"_a, "dbias_ih"_a, "dbias_hh"_a, "dweight_ch"_a, "dh_square"_a = 0, "dc_square"_a = 0,
          "saturated"_a = 0, "margin"_a = 0.0, "first_bad"_a = 0, "variation"_a = nb::none(), "norm"_a = nb::none());
    m.def("saved_gates", &saved_gates, "cell"_a, "dtype"_a, "T"_a, "B"_a, "H"_a, "saved"_a, "lengths"_a, "reverse"_a,
          "threads"_a, "gates"_a, "norm"_a = nb::none(),
          "Writes the gates [slots, T, B, H] of what a forward pass saved, zero past a length.");
    nb::class_<AnyStepper>(m, "Stepper", "Layers packed once, one time step a call, on the calling thread.")
        .def(nb::init<int, int, nb::list, double, double>(), "cell"_a, "dtype"_a, "layers"_a, "keep_h"_a = 0.0,
             "keep_c"_a = 0.0)
        .def("step", &AnyStepper::step, "x"_a, "h"_a, "c"_a, "h_out"_a, "c_out"_a, "B"_a, "reset"_a);
}
