// Which instruction set's kernels run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "arena.h"
#include "calls.h"

namespace throughtime {

// The set in use: the best that this processor and this build have, until set_instruction_set chooses another.
std::string instruction_set();

// Names that set_instruction_set accepts here, best first.
std::vector<std::string> instruction_sets();

// Throws std::invalid_argument for a name that is not among instruction_sets().
void set_instruction_set(const std::string& name);

// The chosen kernels for T = float, double or BFloat16 and H hidden units.
template <class T>
const Kernels<T>& kernels(Index H);

// The cell's gates, saved slots a unit, and whether it carries c.
struct CellShape {
    int gates, slots;
    bool saves;
    bool has_cell, peepholes;
};
CellShape cell_shape(CellId cell);

// Values of `saved` for each (time, row); zoneout makes every cell save its slots.
Index saved_width(CellId cell, Index H, bool zoneout);

// Some layers of one cell and direction with their weights packed once, to run a step at a time on the calling thread.
template <class T>
class Stepper {
public:
    // layers: I, H, weights and biases of each; T, B, x and states are not looked at.
    // keep_h, keep_c: the share of the old state in the new one (zoneout in evaluation).
    Stepper(CellId cell, const std::vector<Inputs<T>>& layers, double keep_h, double keep_c);
    ~Stepper();

    // x: [B,I]; h, c, h_out, c_out: [L,B,H], out may be in; reset: [B] or null. Safe from many threads at once.
    void step(const T* x, const T* h, const T* c, T* h_out, T* c_out, Index B, const uint8_t* reset);

private:
    struct Private;
    std::unique_ptr<Private> private_;
};

}  // namespace throughtime
