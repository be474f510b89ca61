#include "arena.h"

#include <new>

namespace throughtime {

namespace {
constexpr std::size_t alignment = 64;
// Blocks of a power-of-two spacing would map to the same cache sets; a few lines of slack and the header break that up.
constexpr std::size_t header = 3 * alignment;
}  // namespace

struct Arena::Block {
    Block* previous;
};

void* Arena::bytes(std::size_t bytes) {
    // 64 bytes of slack: a vector load that starts inside a block never leaves it.
    void* memory = ::operator new(header + bytes + alignment, std::align_val_t{alignment});
    last_ = new (memory) Block{last_};
    return static_cast<char*>(memory) + header;
}

Arena::~Arena() {
    while (last_ != nullptr) {
        Block* previous = last_->previous;
        ::operator delete(static_cast<void*>(last_), std::align_val_t{alignment});
        last_ = previous;
    }
}

}  // namespace throughtime
