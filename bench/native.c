/* What a bench needs in C: loops that call a BLAS without Python between the calls, and loops that
 * measure the machine's limits. bench/native.py compiles it with the flags of the engine's build. */
#include <stddef.h>
#include <stdint.h>

#define ROW_MAJOR 101

/* C = op(A) op(B), `repeats` times, through a pointer to cblas_?gemm, whose integers are INT. */
#define REPEAT_GEMM(NAME, INT, SCALAR) \
typedef void (*NAME##_gemm)(int, int, int, INT, INT, INT, SCALAR, const SCALAR *, INT, \
                            const SCALAR *, INT, SCALAR, SCALAR *, INT); \
void NAME(NAME##_gemm gemm, int transpose_a, int transpose_b, int64_t m, int64_t n, int64_t k, \
          const SCALAR *a, int64_t lda, const SCALAR *b, int64_t ldb, SCALAR *c, int64_t ldc, \
          int64_t repeats) \
{ \
    for (; repeats > 0; repeats--) \
        gemm(ROW_MAJOR, transpose_a, transpose_b, (INT)m, (INT)n, (INT)k, \
             1, a, (INT)lda, b, (INT)ldb, 0, c, (INT)ldc); \
}

REPEAT_GEMM(repeat_sgemm, int32_t, float)
REPEAT_GEMM(repeat_dgemm, int32_t, double)
REPEAT_GEMM(repeat_sgemm64, int64_t, float)
REPEAT_GEMM(repeat_dgemm64, int64_t, double)

#if defined(__AVX512F__)
#define BYTES 64
#define KEEP(v) __asm__("" : "+v"(v))
#elif defined(__AVX__)
#define BYTES 32
#define KEEP(v) __asm__("" : "+x"(v))
#elif defined(__SSE2__)
#define BYTES 16
#define KEEP(v) __asm__("" : "+x"(v))
#else
#define BYTES 16
#define KEEP(v) __asm__("" : "+w"(v))
#endif

#define TWELVE(F) F(0) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11)
#define DECLARE(i) vector x##i = {0};
#define MULTIPLY_ADD(i) x##i = x##i * a + b; KEEP(x##i);
#define SUM(i) + x##i[0]

/* Twelve independent chains hide the latency of the multiply-add; returns the flops done. */
#define PEAK(NAME, SCALAR) \
double NAME(int64_t repeats, volatile SCALAR *sink) \
{ \
    typedef SCALAR vector __attribute__((vector_size(BYTES))); \
    vector a = {0}, b = {0}; \
    KEEP(a); KEEP(b); \
    TWELVE(DECLARE) \
    for (int64_t i = 0; i < repeats; i++) { TWELVE(MULTIPLY_ADD) } \
    *sink = 0 TWELVE(SUM); \
    return 2.0 * 12 * (BYTES / sizeof(SCALAR)) * repeats; \
}

PEAK(multiply_adds_f32, float)
PEAK(multiply_adds_f64, double)

/* Adds up n floats, four vectors at a time: as fast as they can be read. */
double read_all(const float *data, int64_t n)
{
    typedef float vector __attribute__((vector_size(BYTES), aligned(4), may_alias));
    enum { LANES = BYTES / sizeof(float) };
    vector s0 = {0}, s1 = {0}, s2 = {0}, s3 = {0};
    for (int64_t i = 0; i + 4 * LANES <= n; i += 4 * LANES) {
        s0 += *(const vector *)(data + i);
        s1 += *(const vector *)(data + i + LANES);
        s2 += *(const vector *)(data + i + 2 * LANES);
        s3 += *(const vector *)(data + i + 3 * LANES);
    }
    s0 += s1 + s2 + s3;
    return s0[0];
}
