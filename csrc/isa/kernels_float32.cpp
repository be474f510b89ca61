// Built once per instruction set; CMakeLists.txt gives THROUGHTIME_ISA and the compiler flags that go with it.
#define THROUGHTIME_DTYPE float
#define THROUGHTIME_TABLE kernels_float32
#include "../kernels.inc"
