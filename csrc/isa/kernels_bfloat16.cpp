// Built once per instruction set; CMakeLists.txt gives THROUGHTIME_ISA and the compiler flags that go with it.
#define THROUGHTIME_DTYPE BFloat16
#define THROUGHTIME_TABLE kernels_bfloat16
#include "../kernels.inc"
