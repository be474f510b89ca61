// Threads that run one body together and meet at barriers: borrowed from the process's OpenMP runtime, or our own.
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

// What is used of an OpenMP runtime that the process has loaded anyway (torch's), found at run time: nothing is linked.
// Two sets of threads would fight over the cores, since OpenMP's spin for milliseconds after each of torch's operators.
struct OpenMP {
    void (*parallel)(void (*body)(void*), void* context, unsigned threads, unsigned flags);  // GOMP_parallel
    int (*member)();                                                                         // omp_get_thread_num
    int (*members)();                                                                        // omp_get_num_threads
    int (*usual)();  // omp_get_max_threads: how many its regions have unless told otherwise
};

// From now on leases that are allowed the usual number of threads borrow OpenMP's workers. A null `parallel` gives them back: leases
// take our own pool again, as they do in a forked child, where a runtime that had workers cannot start them anew.
void borrow_threads(const OpenMP& runtime);

class Pool;

// `useful` threads of the `allowed` ones, the caller's included, until it goes out of scope. Whoever finds them taken runs alone, so
// that calls from many Python threads never wait for each other. The number of members changes no result.
class Lease {
public:
    Lease(int useful, int allowed);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;

    int size() const { return size_; }

    // Runs body(context, member, team) on every member, the caller being member 0. Subnormal numbers count as zero
    // inside; the processor's flags are put back after. The body must not throw. False, and nothing was run, where
    // OpenMP granted fewer members than the lease was made for: inside a parallel region, or at its thread limit.
    [[nodiscard]] bool run(TeamBody body, void* context);

private:
    bool borrowed_ = false;
    Pool* pool_ = nullptr;
    int size_ = 1;
    int allowed_ = 1;
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
