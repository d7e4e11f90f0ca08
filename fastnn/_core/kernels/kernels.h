/* The kernels in C: this file includes each of the others once for float and once for double.
 *
 * In those, `scalar` is the dtype, LANES its number in a vector, and OF_DTYPE(name) is f32_name or
 * f64_name. What stands once for each height and width of a block of C is in the *_shape.h files.
 * Everything else of the engine is typed Cython.
 */
#ifndef FASTNN_KERNELS_H
#define FASTNN_KERNELS_H

#include "instructions.h"

#define JOIN_TOKENS(a, b) a##b
#define JOIN(a, b) JOIN_TOKENS(a, b)

#define scalar float
#define OF_DTYPE(name) f32_##name
#if VECTOR_BYTES == 64
#define LANES 16
#elif VECTOR_BYTES == 32
#define LANES 8
#else
#define LANES 4
#endif
#include "families.h"
#undef scalar
#undef OF_DTYPE
#undef LANES

#define scalar double
#define OF_DTYPE(name) f64_##name
#if VECTOR_BYTES == 64
#define LANES 8
#elif VECTOR_BYTES == 32
#define LANES 4
#else
#define LANES 2
#endif
#include "families.h"
#undef scalar
#undef OF_DTYPE
#undef LANES

#endif
