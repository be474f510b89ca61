// Built once per instruction set; CMakeLists.txt gives THROUGHTIME_ISA and the compiler flags that go with it.
#define THROUGHTIME_DTYPE double
#define THROUGHTIME_TABLE kernels_float64
#include "../kernels.inc"
