#include "pool.h"

#include <pthread.h>
#include <sched.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace throughtime {

namespace {

using Clock = std::chrono::steady_clock;

// A worker looks for new work this long after a body's end, then sleeps: a stack of layers calls again within it,
// and other libraries' threads get the core back soon after.
constexpr std::chrono::microseconds awake_time{30};
constexpr int pauses_per_look = 32;
// A barrier spins this often (about 20 us), then gives its core away: the member it waits for may need it.
constexpr int barrier_spins = 1000;

void pause_briefly() {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#endif
}

}  // namespace

void Team::barrier() {
    if (size_ == 1) return;
    const unsigned generation = generation_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
        arrived_.store(0, std::memory_order_relaxed);
        generation_.store(generation + 1, std::memory_order_release);
        return;
    }
    for (int spins = 0; generation_.load(std::memory_order_acquire) == generation; ++spins) {
        if (spins < barrier_spins) {
            pause_briefly();
        } else {
            sched_yield();
        }
    }
}

class Pool {
public:
    // Takes the pool for one lease and makes sure it has workers; false if it is taken.
    bool take() { return !taken_.exchange(true, std::memory_order_acquire); }
    void give_back() { taken_.store(false, std::memory_order_release); }

    // Starts workers until there are `wanted`; returns how many there are (fewer where the system refuses).
    int grow(int wanted) {
        while (workers_ < wanted) {
            try {
                std::thread(&Pool::work, this, workers_ + 1).detach();
            } catch (const std::system_error&) {
                break;
            }
            ++workers_;
        }
        return workers_ < wanted ? workers_ : wanted;
    }

    void run(TeamBody body, void* context, Team& team) {
        body_ = body;
        context_ = context;
        team_ = &team;
        done_.store(0, std::memory_order_relaxed);
        // One number tells the workers both that there is a new body and how many of them take part.
        const unsigned long ticket = ((ticket_.load(std::memory_order_relaxed) >> 16) + 1) << 16;
        ticket_.store(ticket | static_cast<unsigned long>(team.size()), std::memory_order_seq_cst);
        if (asleep_.load(std::memory_order_seq_cst) > 0) {
            {
                std::lock_guard lock(mutex_);
            }
            wake_.notify_all();
        }
        body(context, 0, team);
        for (int spins = 0; done_.load(std::memory_order_acquire) != team.size() - 1; ++spins) {
            if (spins < barrier_spins) {
                pause_briefly();
            } else {
                sched_yield();
            }
        }
    }

private:
    void work(int member) {
        unsigned long seen = 0;
        for (;;) {
            const unsigned long ticket = next_ticket(seen);
            seen = ticket;
            // A worker that sleeps through a body it has no part in may see a later ticket: only the newest counts,
            // and the body that needs this worker cannot end before it has come.
            if (static_cast<unsigned long>(member) >= (ticket & 0xffff)) continue;
            {
                const FlushSubnormals flush;
                body_(context_, member, *team_);
            }
            done_.fetch_add(1, std::memory_order_release);
        }
    }

    unsigned long next_ticket(unsigned long seen) {
        const auto until = Clock::now() + awake_time;
        do {
            for (int i = 0; i < pauses_per_look; ++i) {
                const unsigned long ticket = ticket_.load(std::memory_order_acquire);
                if (ticket != seen) return ticket;
                pause_briefly();
            }
        } while (Clock::now() < until);
        std::unique_lock lock(mutex_);
        asleep_.fetch_add(1, std::memory_order_seq_cst);
        wake_.wait(lock, [&] { return ticket_.load(std::memory_order_seq_cst) != seen; });
        asleep_.fetch_sub(1, std::memory_order_seq_cst);
        return ticket_.load(std::memory_order_acquire);
    }

    std::atomic<bool> taken_{false};
    int workers_ = 0;
    TeamBody body_ = nullptr;
    void* context_ = nullptr;
    Team* team_ = nullptr;
    alignas(64) std::atomic<unsigned long> ticket_{0};
    alignas(64) std::atomic<int> done_{0};
    std::atomic<int> asleep_{0};
    std::mutex mutex_;
    std::condition_variable wake_;
};

namespace {

std::atomic<Pool*> shared_pool{nullptr};
std::atomic<const OpenMP*> borrowed{nullptr};
std::atomic<bool> borrowed_taken{false};

// A forked child has none of its parent's threads, and may have inherited locked locks: it starts a pool of its own,
// and leaves OpenMP alone, whose idea of its workers is the parent's. The parent's pool is left alone, as are all pools
// at exit: workers may still be looking at them.
void forget_threads_in_child() {
    shared_pool.store(nullptr, std::memory_order_relaxed);
    borrowed.store(nullptr, std::memory_order_relaxed);
    borrowed_taken.store(false, std::memory_order_relaxed);
}

void watch_forks() {
    static const int registered = pthread_atfork(nullptr, nullptr, forget_threads_in_child);
    static_cast<void>(registered);
}

Pool& the_pool() {
    Pool* pool = shared_pool.load(std::memory_order_acquire);
    if (pool != nullptr) return *pool;
    watch_forks();
    auto* fresh = new Pool;
    if (shared_pool.compare_exchange_strong(pool, fresh, std::memory_order_acq_rel)) return *fresh;
    delete fresh;
    return *pool;
}

// One body on OpenMP's workers. The region has the usual number of threads, as torch's have, and those without a part
// leave at once: a runtime ends and starts threads when the size of its regions changes.
struct Region {
    const OpenMP* runtime;
    int allowed;
    TeamBody body;
    void* context;
    Team* team;
    std::atomic<bool> granted{true};

    static void enter(void* self) {
        auto& region = *static_cast<Region*>(self);
        if (region.runtime->members() != region.allowed) {
            region.granted.store(false, std::memory_order_relaxed);
            return;
        }
        const int member = region.runtime->member();
        if (member >= region.team->size()) return;
        const FlushSubnormals flush;
        region.body(region.context, member, *region.team);
    }
};

}  // namespace

void borrow_threads(const OpenMP& runtime) {
    watch_forks();
    // Never freed: a lease in another thread may be looking at the one before.
    borrowed.store(runtime.parallel != nullptr ? new OpenMP(runtime) : nullptr, std::memory_order_release);
}

Lease::Lease(int useful, int allowed) : allowed_(allowed) {
    if (useful <= 1) return;
    const OpenMP* runtime = borrowed.load(std::memory_order_acquire);
    if (runtime != nullptr && runtime->usual() == allowed) {
        if (borrowed_taken.exchange(true, std::memory_order_acquire)) return;
        borrowed_ = true;
        size_ = useful;
        return;
    }
    Pool& pool = the_pool();
    if (!pool.take()) return;
    pool_ = &pool;
    size_ = 1 + pool.grow(useful - 1);
}

Lease::~Lease() {
    if (borrowed_) borrowed_taken.store(false, std::memory_order_release);
    if (pool_ != nullptr) pool_->give_back();
}

bool Lease::run(TeamBody body, void* context) {
    Team team(size_);
    if (borrowed_) {
        const OpenMP* runtime = borrowed.load(std::memory_order_acquire);
        if (runtime == nullptr) return false;
        Region region{runtime, allowed_, body, context, &team};
        runtime->parallel(Region::enter, &region, static_cast<unsigned>(allowed_), 0);
        return region.granted.load(std::memory_order_relaxed);
    }
    const FlushSubnormals flush;
    if (pool_ == nullptr) {
        body(context, 0, team);
    } else {
        pool_->run(body, context, team);
    }
    return true;
}

#if defined(__x86_64__)
FlushSubnormals::FlushSubnormals() : saved_(_mm_getcsr()) {
    constexpr unsigned flush_to_zero = 0x8000;
    constexpr unsigned denormals_are_zero = 0x0040;
    _mm_setcsr(static_cast<unsigned>(saved_) | flush_to_zero | denormals_are_zero);
}
FlushSubnormals::~FlushSubnormals() {
    // Only the modes go back; exception flags raised meanwhile are dropped with the rest of the saved word.
    _mm_setcsr(static_cast<unsigned>(saved_));
}
#elif defined(__aarch64__)
FlushSubnormals::FlushSubnormals() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    constexpr unsigned long flush_to_zero = 1ul << 24;
    asm volatile("msr fpcr, %0" ::"r"(saved_ | flush_to_zero));
}
FlushSubnormals::~FlushSubnormals() { asm volatile("msr fpcr, %0" ::"r"(saved_)); }
#else
FlushSubnormals::FlushSubnormals() : saved_(0) {}
FlushSubnormals::~FlushSubnormals() = default;
#endif

}  // namespace throughtime
