/* What a build's instruction set decides: the width of a vector, masks, permutations, tile sizes.
 *
 * GNU vectors work on every architecture and compiler. With HAVE_MASKS the CPU reads or writes the
 * first few lanes. AVX-512 does it as fast as for all of them. With AVX2 it takes further
 * operations: in the loop of a tile, a load under a mask costs 8 % of the time on an AMD EPYC
 * (Zen 5). So tiles whose last vector is whole have code of their own there (SLOW_MASKS). Elsewhere
 * vector.h does it lane by lane, too slowly for an inner loop.
 *
 * The tiles for 64-bit ARM, which has 32 vectors of 128 bits, were chosen by reading the assembly
 * and by a model of the CPUs, llvm-mca 19. FMAs in a cycle of the loop over k, float32, GCC 12:
 *
 *   rows x vectors   registers for A   Neoverse N1   N2    V1    V2   Apple M1   Cortex-A72
 *      6 x 2         loads broadcast      1.70      1.70  2.94  3.20    1.69        0.92
 *      6 x 2         a lane               1.98      1.98  2.96  3.22    1.70        0.99
 *     12 x 2         a lane               1.99      1.99  3.96  3.96    1.84        1.00
 *      8 x 3         a lane               1.99      1.99  3.96  3.96    2.81        1.00
 *      6 x 4         a lane               1.99      1.99  3.96  3.96    2.98        1.00
 *      4 x 6         a lane               1.99      1.99  3.96  3.96    2.98        1.00
 *     the limit of the model              2         2     4     4       3           1
 *
 * 14 x 2, 9 x 3, 4 x 6 and 5 x 5 have sums in memory with Clang 14, 7 x 4 with GCC 12 too. So
 * panels of B have four vectors and tiles six rows; a C of up to three vectors has twelve rows.
 * `python -m bench.arm` prints the figures of all tiles.
 * SVE is not used: its vectors have no fixed width, which GNU vectors need, and on most CPUs that
 * have it they have 128 bits, as here.
 */
#ifndef FASTNN_INSTRUCTIONS_H
#define FASTNN_INSTRUCTIONS_H

#include <stddef.h>
#include <stdint.h>

#if defined(__AVX512F__)
#include <immintrin.h>
#define VECTOR_BYTES 64
#define HAVE_MASKS 1
#define SLOW_MASKS 0
#define KEEP_VECTOR(v) __asm__("" : "+v"(v))
#elif defined(__AVX2__)
#include <immintrin.h>
#define VECTOR_BYTES 32
#define HAVE_MASKS 1
#define SLOW_MASKS 1
#define KEEP_VECTOR(v) __asm__("" : "+x"(v))
#elif defined(__SSE2__)
#define VECTOR_BYTES 16
#define HAVE_MASKS 0
#define SLOW_MASKS 0
#define KEEP_VECTOR(v) __asm__("" : "+x"(v))
#else
#define VECTOR_BYTES 16
#define HAVE_MASKS 0
#define SLOW_MASKS 0
#if defined(__aarch64__)
#define KEEP_VECTOR(v) __asm__("" : "+w"(v))
#define KEEP_FACTOR(x) KEEP_VECTOR(x)
#else
#define KEEP_VECTOR(v)
#endif
#endif

/* On ARM the FMAs of a row take their factor from one lane of a register. A load that broadcasts it
 * would also occupy an arithmetic unit, which x86 does not need for that. */
#ifndef KEEP_FACTOR
#define KEEP_FACTOR(x)
#endif

/* For a function that the compiler would copy for each constant argument, without any gain. */
#if defined(__clang__)
#define ONE_COPY __attribute__((noinline))
#else
#define ONE_COPY __attribute__((noinline, noclone))
#endif

typedef float f32_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef double f64_vector __attribute__((vector_size(VECTOR_BYTES)));
typedef float f32_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
typedef double f64_unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
typedef int32_t f32_bits __attribute__((vector_size(VECTOR_BYTES)));
typedef int64_t f64_bits __attribute__((vector_size(VECTOR_BYTES)));

/* A mask selects the first n lanes, 1 <= n <= LANES. */
#if defined(__AVX512F__)
typedef __mmask16 f32_mask;
typedef __mmask8 f64_mask;
static inline f32_mask f32_first(ptrdiff_t n) { return (f32_mask)((1u << n) - 1); }
static inline f64_mask f64_first(ptrdiff_t n) { return (f64_mask)((1u << n) - 1); }
#define f32_load_some(p, mask) ((f32_vector)_mm512_maskz_loadu_ps(mask, p))
#define f64_load_some(p, mask) ((f64_vector)_mm512_maskz_loadu_pd(mask, p))
#define f32_store_some(p, mask, v) _mm512_mask_storeu_ps(p, mask, (__m512)(v))
#define f64_store_some(p, mask, v) _mm512_mask_storeu_pd(p, mask, (__m512d)(v))
#elif defined(__AVX2__)
typedef __m256i f32_mask;
typedef __m256i f64_mask;
static const int32_t ones_then_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
static inline f32_mask f32_first(ptrdiff_t n)
{
    return _mm256_loadu_si256((const __m256i *)(ones_then_zeros + 8 - n));
}
static inline f64_mask f64_first(ptrdiff_t n) { return f32_first(2 * n); }
#define f32_load_some(p, mask) ((f32_vector)_mm256_maskload_ps(p, mask))
#define f64_load_some(p, mask) ((f64_vector)_mm256_maskload_pd(p, mask))
#define f32_store_some(p, mask, v) _mm256_maskstore_ps(p, mask, (__m256)(v))
#define f64_store_some(p, mask, v) _mm256_maskstore_pd(p, mask, (__m256d)(v))
#endif

/* permute(v, index) reads lane index[i] of v into lane i. PERMUTED is its number of lanes, 0 where
 * the CPU has no such instruction. */
#if defined(__AVX512F__)
#define f32_permute(v, index) ((f32_vector)_mm512_permutexvar_ps((__m512i)(index), (__m512)(v)))
#define f64_permute(v, index) ((f64_vector)_mm512_permutexvar_pd((__m512i)(index), (__m512d)(v)))
#define f32_PERMUTED 16
#define f64_PERMUTED 8
#elif defined(__AVX2__)
#define f32_permute(v, index) ((f32_vector)_mm256_permutevar8x32_ps((__m256)(v), (__m256i)(index)))
#define f32_PERMUTED 8
#define f64_PERMUTED 0
#else
#define f32_PERMUTED 0
#define f64_PERMUTED 0
#endif

/* SHUFFLE(a, b, i, j, ...) has lanes i, j, ... of a and b, which are numbered one after the other.
 * GCC before 12 has only the second form, with a mask of integers as wide as the lanes. */
#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (bits){__VA_ARGS__})
#endif

/* LOW and HIGH halves of two vectors, interleaved: a0 b0 a1 b1 ... */
#define LOW_2(a, b) SHUFFLE(a, b, 0, 2)
#define HIGH_2(a, b) SHUFFLE(a, b, 1, 3)
#define LOW_4(a, b) SHUFFLE(a, b, 0, 4, 1, 5)
#define HIGH_4(a, b) SHUFFLE(a, b, 2, 6, 3, 7)
#define LOW_8(a, b) SHUFFLE(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define HIGH_8(a, b) SHUFFLE(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#define LOW_16(a, b) SHUFFLE(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define HIGH_16(a, b) SHUFFLE(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define LOG_2 1
#define LOG_4 2
#define LOG_8 3
#define LOG_16 4

/* The most rows of a tile of one or two vectors, and of one of four; the vectors of B's panels. */
#if VECTOR_BYTES == 64
#define TILE_ROWS 14
#define WIDE_TILE_ROWS 6
#define PANEL_VECTORS 2
#elif defined(__aarch64__)
#define TILE_ROWS 12
#define WIDE_TILE_ROWS 6
#define PANEL_VECTORS 4
#else
#define TILE_ROWS 6
#define WIDE_TILE_ROWS 2
#define PANEL_VECTORS 2
#endif

/* Steps of k in a block of a long product, and bytes of a block of A. `set_blocks` changes them when
 * the engine is imported; see _core/machine.py. They change no bit. */
static ptrdiff_t k_block = 512, a_block_bytes = 512 * 1024;

/* What a tile begins with when there is no `start`: as wide as the widest tile, in either dtype. */
static const double zeros[4 * VECTOR_BYTES / sizeof(double)] __attribute__((aligned(64))) = {0};

#endif
