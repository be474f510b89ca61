// The most fused multiply-adds of float32 that the machine can do: `fma_peak THREADS` prints GFLOP/s, an FMA counted as
// two. Built with -march=native for the machine that it measures.

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#if defined(__AVX512F__)
constexpr int BYTES = 64;
#elif defined(__AVX__)
constexpr int BYTES = 32;
#else
constexpr int BYTES = 16;
#endif
constexpr int LANES = BYTES / sizeof(float);
// 2 ports x 4 or 5 cycles of latency need 10 chains; 12 leave room, and fit the 16 registers of AVX beside a and b.
constexpr int CHAINS = 12;
constexpr long LOOPS = 1'000'000;
constexpr int SLICES = 40;

typedef float Vector __attribute__((vector_size(BYTES)));

static float chains(float start) {
    Vector a = {}, b = {}, sums[CHAINS];
    a += 0.999999f;
    b += start;
    for (int k = 0; k < CHAINS; ++k) sums[k] = b + static_cast<float>(k);
    for (long i = 0; i < LOOPS; ++i)
#pragma GCC unroll 12
        for (int k = 0; k < CHAINS; ++k) sums[k] = sums[k] * a + b;
    Vector total = sums[0];
    for (int k = 1; k < CHAINS; ++k) total += sums[k];
    float sum = 0;
    for (int lane = 0; lane < LANES; ++lane) sum += total[lane];
    return sum;
}

int main(int count, char** words) {
    const int threads = count > 1 ? std::max(1, std::atoi(words[1])) : 1;
    std::vector<double> seconds;
    std::vector<float> sinks(threads);
    auto began = std::chrono::steady_clock::now();
    bool running = false;
    // Runs once all threads have arrived: between two slices.
    std::barrier slice(threads, [&]() noexcept {
        const auto now = std::chrono::steady_clock::now();
        if (running) seconds.push_back(std::chrono::duration<double>(now - began).count());
        running = true;
        began = now;
    });
    auto work = [&](int index) {
        for (int k = 0; k < SLICES; ++k) {
            slice.arrive_and_wait();
            sinks[index] += chains(1e-6f * static_cast<float>(index + 1));
        }
        slice.arrive_and_wait();
    };
    std::vector<std::thread> others;
    for (int index = 1; index < threads; ++index) others.emplace_back(work, index);
    work(0);
    for (auto& other : others) other.join();
    const double best = *std::min_element(seconds.begin(), seconds.end());
    std::printf("%.2f\n", 2.0 * LANES * CHAINS * LOOPS * threads / best / 1e9);
    float sum = 0;
    for (float sink : sinks) sum += sink;
    return sum == 12345.0f;  // never; keeps the sums alive
}
