// Scratch memory of one call: aligned blocks that live until the arena goes.
#pragma once

#include "calls.h"

namespace throughtime {

class Arena {
public:
    Arena() = default;
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    // `bytes` bytes at a 64-byte boundary, not initialised. Throws std::bad_alloc.
    void* bytes(std::size_t bytes);

    template <class T>
    [[gnu::always_inline]] T* get(Index count) {
        return static_cast<T*>(bytes(static_cast<std::size_t>(count) * sizeof(T)));
    }

private:
    struct Block;
    Block* last_ = nullptr;
};

}  // namespace throughtime
