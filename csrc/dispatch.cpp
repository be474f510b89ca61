#include "dispatch.h"

#include <atomic>
#include <stdexcept>

#include "pool.h"

namespace throughtime {

#define THROUGHTIME_DECLARE_KERNELS(set)             \
    namespace set {                                  \
    extern const Kernels<float> kernels_float32;     \
    extern const Kernels<double> kernels_float64;    \
    extern const Kernels<BFloat16> kernels_bfloat16; \
    }
#if defined(__x86_64__)
namespace avx512bf16 {
extern const Kernels<BFloat16> kernels_bfloat16;
}
THROUGHTIME_DECLARE_KERNELS(avx512)
namespace avx512_narrow {
extern const Kernels<float> kernels_float32;
}
THROUGHTIME_DECLARE_KERNELS(avx2)
THROUGHTIME_DECLARE_KERNELS(x86_64_v2)
#else
THROUGHTIME_DECLARE_KERNELS(baseline)
#endif

namespace {

struct InstructionSet {
    const char* name;
    bool (*here)();
    const Kernels<float>* float32;
    const Kernels<double>* float64;
    const Kernels<BFloat16>* bfloat16;
};

#if defined(__x86_64__)
bool has_avx512() {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
}
#endif

// Best first; the last runs everywhere this build runs.
const InstructionSet all_sets[] = {
#if defined(__x86_64__)
    // float32 and float64 gain nothing from it: there it is avx512, code and bits.
    {"avx512bf16", [] { return has_avx512() && __builtin_cpu_supports("avx512bf16"); }, &avx512::kernels_float32,
     &avx512::kernels_float64, &avx512bf16::kernels_bfloat16},
    {"avx512", has_avx512, &avx512::kernels_float32, &avx512::kernels_float64, &avx512::kernels_bfloat16},
    {"avx2", [] { return bool(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")); },
     &avx2::kernels_float32, &avx2::kernels_float64, &avx2::kernels_bfloat16},
    {"x86-64-v2", [] { return bool(__builtin_cpu_supports("sse4.2")); }, &x86_64_v2::kernels_float32,
     &x86_64_v2::kernels_float64, &x86_64_v2::kernels_bfloat16},
#elif defined(__aarch64__)
    {"neon", [] { return true; }, &baseline::kernels_float32, &baseline::kernels_float64, &baseline::kernels_bfloat16},
#else
    {"baseline", [] { return true; }, &baseline::kernels_float32, &baseline::kernels_float64,
     &baseline::kernels_bfloat16},
#endif
};

const InstructionSet* best_set() {
    for (const InstructionSet& set : all_sets) {
        if (set.here()) return &set;
    }
    throw std::runtime_error(
        "throughtime's kernels: expected a processor with at least SSE 4.2, found none; use backend='reference'");
}

std::atomic<const InstructionSet*>& chosen() {
    static std::atomic<const InstructionSet*> set{best_set()};
    return set;
}

}  // namespace

std::string instruction_set() { return chosen().load()->name; }

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const InstructionSet& set : all_sets) {
        if (set.here()) names.emplace_back(set.name);
    }
    return names;
}

void set_instruction_set(const std::string& name) {
    std::string names;
    for (const InstructionSet& set : all_sets) {
        if (!set.here()) continue;
        if (name == set.name) {
            chosen().store(&set);
            return;
        }
        names += (names.empty() ? "" : ", ") + std::string(set.name);
    }
    throw std::invalid_argument("set_instruction_set: expected one of " + names + ", got " + name);
}

template <>
const Kernels<float>& kernels<float>(Index H) {
    const InstructionSet* set = chosen().load();
#if defined(__x86_64__)
    // 16 lanes compute on up to 15 that hold no unit. Up to 128 units, where 8 lanes waste less, they are 5 to 20 %
    // faster; the rule looks at nothing but H, so it changes no sum from one call to another.
    const Index last = H % 16;
    if (set->float32 == &avx512::kernels_float32 && H <= 128 && last > 0 && last <= 8) {
        return avx512_narrow::kernels_float32;
    }
#else
    static_cast<void>(H);
#endif
    return *set->float32;
}

template <>
const Kernels<double>& kernels<double>(Index) {
    return *chosen().load()->float64;
}

template <>
const Kernels<BFloat16>& kernels<BFloat16>(Index) {
    return *chosen().load()->bfloat16;
}

CellShape cell_shape(CellId cell) {
    switch (cell) {
        case CellId::rnn_tanh:
        case CellId::rnn_relu: return {1, 1, false, false, false};
        case CellId::gru: return {3, 4, true, false, false};
        case CellId::gru_reset_before: return {3, 3, true, false, false};
        case CellId::lstm: return {4, 4, true, true, false};
        case CellId::peephole_lstm:
        case CellId::previous_peephole_lstm: return {4, 4, true, true, true};
        case CellId::layer_norm_rnn_tanh:
        case CellId::layer_norm_rnn_relu: return {1, 2, true, false, false};
        case CellId::layer_norm_gru: return {3, 6, true, false, false};
        case CellId::layer_norm_lstm: return {4, 8, true, true, false};
    }
    throw std::invalid_argument("cell: expected 0 to 10, got " + std::to_string(static_cast<int>(cell)));
}

Index saved_width(CellId cell, Index H, bool zoneout) {
    const CellShape shape = cell_shape(cell);
    const Index slots = shape.saves || zoneout ? shape.slots : 0;
    const Index row_values = cell < first_layer_norm ? 0 : shape.has_cell ? 4 : 2;  // Cell::row_values
    return slots * ((H + saved_unit_multiple - 1) / saved_unit_multiple) * saved_unit_multiple + row_values;
}

template <class T>
struct Stepper<T>::Private {
    struct Layer {
        PackedWeights<T> packed;
        Index I, H;
    };
    int cell = 0;
    double keep_h = 0, keep_c = 0;
    const Kernels<T>* kernels = nullptr;
    Arena weights;
    std::vector<Layer> layers;
    // One thread at a time keeps its scratch here between calls; others bring their own.
    std::atomic_flag busy = ATOMIC_FLAG_INIT;
    std::unique_ptr<Arena> scratch_arena;
    void* scratch = nullptr;
    Index scratch_rows = -1;

    void* grow(Arena& arena, Index B) const {
        std::size_t size = 0;
        for (const Layer& layer : layers) size = std::max(size, kernels->step_scratch[cell](B, layer.I, layer.H));
        return arena.bytes(size);
    }
};

template <class T>
Stepper<T>::Stepper(CellId cell, const std::vector<Inputs<T>>& layers, double keep_h, double keep_c)
    : private_(new Private) {
    private_->cell = static_cast<int>(cell);
    private_->keep_h = keep_h;
    private_->keep_c = keep_c;
    private_->kernels = &kernels<T>(layers.empty() ? 0 : layers.front().H);
    for (const Inputs<T>& in : layers) {
        private_->layers.push_back({private_->kernels->pack[private_->cell](in, private_->weights), in.I, in.H});
    }
}

template <class T>
Stepper<T>::~Stepper() = default;

template <class T>
void Stepper<T>::step(const T* x, const T* h, const T* c, T* h_out, T* c_out, Index B, const uint8_t* reset) {
    Private& self = *private_;
    const FlushSubnormals flush;
    const bool mine = !self.busy.test_and_set(std::memory_order_acquire);
    Arena others;
    void* scratch = nullptr;
    if (!mine) {
        scratch = self.grow(others, B);
    } else {
        if (self.scratch_rows < B) {
            auto arena = std::make_unique<Arena>();
            self.scratch = self.grow(*arena, B);
            self.scratch_arena = std::move(arena);
            self.scratch_rows = B;
        }
        scratch = self.scratch;
    }
    for (const auto& layer : self.layers) {
        StepCall<T> call{layer.packed, layer.I, layer.H, B,       x,           h,          c,
                         reset,        h_out,   c_out,   scratch, self.keep_h, self.keep_c};
        self.kernels->step[self.cell](call);
        x = h_out;
        const Index size = B * layer.H;
        h += size;
        h_out += size;
        if (c != nullptr) {
            c += size;
            c_out += size;
        }
    }
    if (mine) self.busy.clear(std::memory_order_release);
}

template class Stepper<float>;
template class Stepper<double>;
template class Stepper<BFloat16>;

}  // namespace throughtime
