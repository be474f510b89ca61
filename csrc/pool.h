// Threads of our own: a call leases some, they run one body together, and meet at barriers.
#pragma once

#include <atomic>

namespace throughtime {

// The threads that run one body together.
class Team {
public:
    explicit Team(int size) : size_(size) {}
    int size() const { return size_; }

    // Returns once every member has called it; what a member wrote before is visible to all after.
    void barrier();

private:
    const int size_;
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<unsigned> generation_{0};
};

using TeamBody = void (*)(void* context, int member, Team& team);

class Pool;

// Up to `threads` threads, the caller's included, until it goes out of scope. Whoever finds the pool taken runs alone,
// so that calls from many Python threads never wait for each other. The number of members changes no result.
class Lease {
public:
    explicit Lease(int threads);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    int size() const { return size_; }

    // Runs body(context, member, team) on every member, the caller being member 0. Subnormal numbers count as zero
    // inside; the processor's flags are put back after. The body must not throw.
    void run(TeamBody body, void* context);

private:
    Pool* pool_ = nullptr;
    int size_ = 1;
};

// Flushes subnormal results and operands to zero on this thread while it lives.
class FlushSubnormals {
public:
    FlushSubnormals();
    ~FlushSubnormals();
    FlushSubnormals(const FlushSubnormals&) = delete;
    FlushSubnormals& operator=(const FlushSubnormals&) = delete;

private:
    unsigned long saved_;
};

}  // namespace throughtime
